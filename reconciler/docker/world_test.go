package docker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// world is one project on one real engine.
type world struct {
	*testing.T
	engine  *client.Client
	target  *Target
	project string
}

// eachWorld runs a test on each engine, in a project of its own.
func eachWorld(t *testing.T, test func(w world)) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		test(newWorld(t, engine))
	})
}

func newWorld(t *testing.T, engine *client.Client) world {
	return world{t, engine, New(engine), enginetest.Project(t, engine)}
}

// service is a plain one on the project's default network.
func (w world) service(name string, edits ...func(*spec.Service)) *spec.Service {
	s := &spec.Service{
		Name: name, Number: 1, Container: w.project + "-" + name + "-1", Image: enginetest.Sleeper,
		Networks: []spec.Attachment{{Network: "default", Name: w.project + "_default"}},
		Restart:  "unless-stopped",
	}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

// desired is one tier with the default network and these resources.
func (w world) desired(resources ...spec.Resource) spec.Desired {
	network := &spec.Network{Key: "default", Name: w.project + "_default"}
	return spec.Desired{
		Project: w.project, Revision: spec.Revision{ID: "test"},
		Tiers: []spec.Tier{{Name: "base", Timeout: time.Minute, Resources: append([]spec.Resource{network}, resources...)}},
	}
}

func (w world) observe(want spec.Desired) drift.Observed {
	w.Helper()
	have, err := w.target.Observe(w.Context(), want)
	if err != nil {
		w.Fatal(err)
	}
	return have
}

func (w world) drift(want spec.Desired) drift.Drift {
	w.Helper()
	return drift.Compare(want, w.observe(want))
}

// converge plans and carries out, each step after those it waits for, and gives the
// errors.
func (w world) converge(want spec.Desired) error {
	w.Helper()
	have := w.observe(want)
	p := plan.Build(want, have, drift.Compare(want, have))
	for _, stage := range p.Stages {
		if err := w.carryOut(stage.Steps); err != nil {
			return err
		}
	}
	return nil
}

func (w world) carryOut(steps []plan.Step) error {
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Minute)
	defer cancel()
	done := map[int]chan struct{}{}
	for _, step := range steps {
		done[step.ID] = make(chan struct{})
	}
	errs := make([]error, len(steps))
	slots := make(chan struct{}, atOnce)
	var g sync.WaitGroup
	for i, step := range steps {
		g.Go(func() {
			defer close(done[step.ID])
			for _, dep := range step.After {
				if first, ok := done[dep.Step]; ok {
					<-first
				}
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = w.target.Apply(ctx, step.Change, silent{})
		})
	}
	g.Wait()
	return errors.Join(errs...)
}

// mustConverge converges and finds nothing left to do.
func (w world) mustConverge(want spec.Desired) {
	w.Helper()
	if err := w.converge(want); err != nil {
		w.Fatal(err)
	}
	w.mustBeInSync(want)
}

func (w world) mustBeInSync(want spec.Desired) {
	w.Helper()
	for _, d := range w.drift(want) {
		w.Errorf("%s is %s: %s %v %v", d.Ref, d.Verdict, d.Reason, d.Fields, d.Have)
	}
}

// mustOnlySettle finds nothing that differs, only that some things have just started.
func (w world) mustOnlySettle(want spec.Desired) {
	w.Helper()
	for _, d := range w.drift(want) {
		if d.Verdict != drift.Unready {
			w.Errorf("%s is %s: %s %v", d.Ref, d.Verdict, d.Reason, d.Fields)
		}
	}
	w.mustConverge(want)
}

func (w world) inspect(name string) container.InspectResponse {
	w.Helper()
	c, err := w.engine.ContainerInspect(w.Context(), name)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// names are those of the project's containers.
func (w world) names() []string {
	w.Helper()
	all, err := w.engine.ContainerList(w.Context(), container.ListOptions{All: true, Filters: ofProject(w.project)})
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, nameOf(c))
	}
	slices.Sort(names)
	return names
}

// progress remembers the phases that were reached.
type progress struct {
	mu     sync.Mutex
	phases []spec.Phase
}

func (p *progress) Reached(phase spec.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phases = append(p.phases, phase)
}

func (p *progress) Doing(string, int64, int64) {}

func (p *progress) Left(string) {}

// silent is progress that nobody follows.
type silent struct{}

func (silent) Reached(spec.Phase)         {}
func (silent) Doing(string, int64, int64) {}
func (silent) Left(string)                {}
