package targettest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func testAppliedIsInSync(p *project) {
	web := p.service("web")
	web.Environment = map[string]spec.Value{"TZ": spec.Plain("UTC"), "EMPTY": spec.Plain(""), "TOKEN": spec.Sensitive("canary")}
	web.Labels = map[string]string{"owner": "data"}
	web.Hostname, web.User, web.WorkingDir = "web", "0", "/"
	web.Init, web.ReadOnly = true, true
	web.Restart, web.StopSignal = "unless-stopped", "SIGINT"
	web.Memory, web.NanoCPUs, web.PidsLimit = 64<<20, 500_000_000, 50
	web.ShmSize = 1 << 20
	web.CapDrop = []string{"ALL"}
	web.ExtraHosts = []string{"elsewhere:10.1.2.3"}
	web.Networks[0].Aliases = []string{"www"}
	web.Mounts = []spec.Mount{{Type: spec.MountTmpfs, Target: "/tmp", TmpfsSize: 1 << 20}}
	p.opens(web, "data")
	p.publishes(web, 0)
	second := *p.service("web")
	second.Number, second.Container = 2, p.name+"-web-2"
	p.opens(&second, "data")

	p.mustConverge(p.desired(web, &second))
}

func testFreshProjectHasNothing(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	want := p.desired(web)
	have := p.observe(want)
	if len(have.Blind) > 0 {
		p.t.Errorf("blind on a sound engine: %v", have.Blind)
	}
	for ref := range have.Found {
		if ref.Kind != spec.KindImage {
			p.t.Errorf("found %s in a project nobody made", ref)
		}
	}
	for _, d := range drift.Compare(want, have) {
		if d.Verdict != drift.Missing {
			p.t.Errorf("%s is %s, want it missing", d.Ref, d.Verdict)
		}
	}
}

func testApplyTwiceIsSuccess(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	want := p.desired(web)
	steps := p.plan(want).Steps()
	for range 2 {
		for _, step := range steps {
			p.mustApply(step.Change)
		}
	}
	p.mustBeInSync(want)

	have := p.found(want, web.Ref())
	for _, c := range []plan.Change{plan.Start{Want: web, Have: have}, plan.Wait{Want: web, Have: have}} {
		p.mustApply(c)
	}
	if again := p.found(want, web.Ref()); again.ID != have.ID {
		p.t.Error("the container was made anew by a change that was true already")
	}
}

func testProgressComesInOrder(p *project) {
	web := p.service("web")
	want := p.desired(web)
	for _, step := range p.plan(want).Steps() {
		r := &recorder{}
		if err := p.target.Apply(p.context(), step.Change, r); err != nil {
			p.t.Fatal(err)
		}
		phases := r.phases()
		ordered := slices.Compact(slices.Sorted(slices.Values(phases)))
		if !slices.Equal(phases, ordered) {
			p.t.Errorf("%s reached %v: out of order, or twice", step.Change.Ref(), phases)
		}
		if step.Change.Ref() == web.Ref() && !slices.Contains(phases, spec.Ready) {
			p.t.Errorf("%s reached %v: never ready", web.Ref(), phases)
		}
	}
}

func testManyAtOnce(p *project) {
	var services []spec.Resource
	for i := range 5 {
		services = append(services, p.service(fmt.Sprint("web", i)))
	}
	want := p.desired(services...)
	var wait sync.WaitGroup
	for _, step := range p.plan(want).Steps() {
		if step.Change.Ref().Kind != spec.KindService {
			p.mustApply(step.Change)
			continue
		}
		wait.Go(func() {
			if err := p.apply(step.Change); err != nil {
				p.t.Error(err)
			}
		})
	}
	wait.Wait()
	p.mustBeInSync(want)
}

func testCreateNeedsItsImage(p *project) {
	web := p.service("web")
	web.Image = "flumen-test/absent:1"
	want := p.desired(p.service("other"), web)
	p.observe(want)
	p.mustApply(plan.Create{Want: want.Find(spec.Ref{Kind: spec.KindNetwork, Name: "default"})})
	if err := p.apply(plan.Create{Want: web}); err == nil {
		p.t.Fatal("made a container of an image that is not there")
	}
	if _, ok := p.observe(want).Found[web.Ref()]; ok {
		p.t.Error("left something behind")
	}
}

func testCreateNeedsItsNetwork(p *project) {
	web := p.service("web")
	want := p.desired(web)
	p.observe(want)
	if err := p.apply(plan.Create{Want: web}); err == nil {
		p.t.Fatal("made a container on a network that is not there")
	}
	p.mustConverge(want)
}

func testCreateFailsWhenUnhealthy(p *project) {
	sick := p.unhealthy("web")
	want := p.desired(sick)
	err := p.converge(want)
	var failure *plan.Failure
	if !errors.As(err, &failure) {
		p.t.Fatalf("want a plan.Failure, got: %v", err)
	}
	if failure.Ref != sick.Ref() || failure.Reason == "" || failure.RolledBack {
		p.t.Errorf("not what happened: %+v", failure)
	}
	p.mustDiffer(want, sick.Ref(), drift.Unready)
	p.mustConverge(p.desired(p.service("web")))
}
