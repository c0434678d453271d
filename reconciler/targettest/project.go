package targettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// patience is how long any one call may take: far more than a sound target needs.
const patience = 10 * time.Minute

// project is one project on the engine, and the words the tests are written in.
type project struct {
	t      *testing.T
	suite  Suite
	name   string
	target Target
}

// project makes the project of one test; a suffix tells several of them apart.
func (s Suite) project(t *testing.T, suffix string) *project {
	words := strings.Split(t.Name(), "/")
	name := strings.ToLower(s.Project + "-" + words[len(words)-1] + suffix)
	return &project{t, s, name, s.New(t, name)}
}

// container is the name on the engine of a service's first instance.
func (p *project) container(service string) string { return p.name + "-" + service + "-1" }

// service is one that becomes healthy about a second after its start.
func (p *project) service(name string) *spec.Service {
	return &spec.Service{
		Name: name, Number: 1, Container: p.container(name), Image: p.suite.Image,
		Health:    health("health"),
		Networks:  []spec.Attachment{{Network: "default", Name: p.name + "_default"}},
		StopGrace: new(time.Second),
	}
}

// unhealthy is a service that runs and whose health check always fails.
func (p *project) unhealthy(name string) *spec.Service {
	s := p.service(name)
	s.Health = health("exit", "1")
	return s
}

// exits is a service that ends at once with a code.
func (p *project) exits(name string, code int) *spec.Service {
	s := p.service(name)
	s.Health, s.Command = nil, []string{"exit", fmt.Sprint(code)}
	return s
}

func health(args ...string) *spec.Health {
	return &spec.Health{
		Test:     append([]string{"CMD", "/sleeper"}, args...),
		Interval: time.Second, Timeout: 30 * time.Second, Retries: 3,
	}
}

// opens mounts a named volume of the project into a service.
func (p *project) opens(s *spec.Service, volume string) {
	s.Mounts = append(s.Mounts, spec.Mount{
		Type: spec.MountVolume, Target: "/data", Volume: volume, Source: p.name + "_" + volume,
	})
}

// publishes publishes the n-th of the suite's host ports.
func (p *project) publishes(s *spec.Service, n int) {
	s.Ports = append(s.Ports, spec.Port{Target: 8080, Protocol: "tcp", Published: fmt.Sprint(p.suite.HostPort + n)})
}

// joins attaches a service to one more network of the project.
func (p *project) joins(s *spec.Service, network string) {
	s.Networks = append(s.Networks, spec.Attachment{Network: network, Name: p.name + "_" + network})
}

// desired is a project of one tier: the services, and the images, networks and
// volumes they use unless they are among the resources given.
func (p *project) desired(resources ...spec.Resource) spec.Desired {
	var all []spec.Resource
	add := func(r spec.Resource) {
		same := func(o spec.Resource) bool { return o.Ref() == r.Ref() }
		if !slices.ContainsFunc(all, same) && !slices.ContainsFunc(resources, same) {
			all = append(all, r)
		}
	}
	for _, r := range resources {
		s, ok := r.(*spec.Service)
		if !ok {
			continue
		}
		add(&spec.Image{Name: s.Image, Pull: spec.PullMissing})
		for _, a := range s.Networks {
			add(&spec.Network{Key: a.Network, Name: a.Name})
		}
		for _, m := range s.Mounts {
			if m.Volume == "" {
				continue
			}
			add(&spec.Volume{Key: m.Volume, Name: m.Source})
		}
	}
	return spec.Desired{
		Project:  p.name,
		Revision: spec.Revision{ID: "0123456789abcdef"},
		Tiers:    []spec.Tier{{Name: "only", Timeout: patience, Resources: append(all, resources...)}},
	}
}

func (p *project) context() context.Context {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	p.t.Cleanup(cancel)
	return ctx
}

// observe looks at the project, and checks what holds for every look.
func (p *project) observe(want spec.Desired) drift.Observed {
	p.t.Helper()
	have, err := p.target.Observe(p.context(), want)
	if err != nil {
		p.t.Fatalf("observe: %v", err)
	}
	for ref, found := range have.Found {
		if found.Ref != ref || found.ID == "" || found.State == "" {
			p.t.Errorf("found under %s without its ref, an ID or a state: %+v", ref, found)
		}
		if !slices.Contains(p.target.Kinds(), ref.Kind) {
			p.t.Errorf("found %s, which is not of the target's kinds", ref)
		}
	}
	if have.At.IsZero() {
		p.t.Error("observed at no time")
	}
	return have
}

// drift is how far the project is from what is wanted.
func (p *project) drift(want spec.Desired) drift.Drift {
	p.t.Helper()
	return drift.Compare(want, p.observe(want))
}

// plan plans what is to be done now.
func (p *project) plan(want spec.Desired) plan.Plan {
	p.t.Helper()
	have := p.observe(want)
	return plan.Build(want, have, drift.Compare(want, have))
}

// found gives what ref is now. It must be there.
func (p *project) found(want spec.Desired, ref spec.Ref) drift.Found {
	p.t.Helper()
	found, ok := p.observe(want).Found[ref]
	if !ok {
		p.t.Fatalf("%s is not there", ref)
	}
	return found
}

func (p *project) apply(c plan.Change) error {
	return p.target.Apply(p.context(), c, &recorder{})
}

// mustApply applies a change that has to succeed.
func (p *project) mustApply(c plan.Change) {
	p.t.Helper()
	if err := p.apply(c); err != nil {
		p.t.Fatalf("%s %s: %v", c.Verb(), c.Ref(), err)
	}
}

// converge applies the plan for what is wanted, one step after the other, and
// stops at the first that fails.
func (p *project) converge(want spec.Desired) error {
	p.t.Helper()
	for _, step := range p.plan(want).Steps() {
		if err := p.apply(step.Change); err != nil {
			return fmt.Errorf("%s %s: %w", step.Change.Verb(), step.Change.Ref(), err)
		}
	}
	return nil
}

// mustConverge converges, and checks that nothing is left to do then.
func (p *project) mustConverge(want spec.Desired) {
	p.t.Helper()
	if err := p.converge(want); err != nil {
		p.t.Fatal(err)
	}
	p.mustBeInSync(want)
}

func (p *project) mustBeInSync(want spec.Desired) {
	p.t.Helper()
	if d := p.drift(want); !d.InSync() {
		p.t.Fatalf("not in sync:\n%s", describe(d))
	}
}

// mustDiffer checks that ref, and nothing else, differs in this way.
func (p *project) mustDiffer(want spec.Desired, ref spec.Ref, verdict drift.Verdict) drift.Difference {
	p.t.Helper()
	d := p.drift(want)
	if len(d) != 1 || d[0].Ref != ref || d[0].Verdict != verdict {
		p.t.Fatalf("want %s to be %s, and no other difference; got:\n%s", ref, verdict, describe(d))
	}
	return d[0]
}

func describe(d drift.Drift) string {
	var b strings.Builder
	for _, one := range d {
		fmt.Fprintf(&b, "  %s %s %s\n", one.Ref, one.Verdict, one.Reason)
		plan.FieldsText(&b, one.Fields, "      ", false)
	}
	return b.String()
}

// recorder notes the phases a change reached.
type recorder struct {
	mu      sync.Mutex
	reached []spec.Phase
}

func (r *recorder) Reached(phase spec.Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached = append(r.reached, phase)
}

func (*recorder) Doing(string, int64, int64) {}
func (*recorder) Left(string)                {}

func (r *recorder) phases() []spec.Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.reached)
}
