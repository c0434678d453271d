package targettest

import (
	"errors"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func testStaleIDIsRefused(p *project) {
	web := p.service("web")
	want := p.desired(web)
	p.mustConverge(want)
	stale := p.found(want, web.Ref())
	p.suite.Break(p.t, web.Container, Remove)
	p.mustConverge(want)
	now := p.found(want, web.Ref())

	changed := *web
	changed.Memory = 64 << 20
	for _, c := range []plan.Change{
		plan.Start{Want: web, Have: stale},
		plan.Wait{Want: web, Have: stale},
		plan.Restart{Want: web, Have: stale},
		plan.Replace{Want: web, Have: stale},
		plan.Update{Want: &changed, Have: stale, Fields: []drift.Field{{Name: "mem_limit", Want: spec.Plain("64MiB")}}},
	} {
		if err := p.apply(c); !errors.Is(err, plan.ErrStale) {
			p.t.Errorf("%s of a container that is gone: %v, want ErrStale", c.Verb(), err)
		}
	}
	p.mustApply(plan.Remove{Have: stale})
	if after := p.found(want, web.Ref()); after.ID != now.ID || after.State != now.State {
		p.t.Errorf("the container that took its place was touched: %+v", after)
	}
	p.mustBeInSync(want)
}

func testRemoveOfGoneIsSuccess(p *project) {
	web := p.service("web")
	want := p.desired(web)
	p.mustConverge(want)
	service := p.found(want, web.Ref())
	network := p.found(want, spec.Ref{Kind: spec.KindNetwork, Name: "default"})
	for range 2 {
		p.mustApply(plan.Remove{Have: service})
		p.mustApply(plan.Remove{Have: network})
	}
}

func testNetworkInUseIsNotRemoved(p *project) {
	want := p.desired(p.service("web"))
	p.mustConverge(want)
	network := p.found(want, spec.Ref{Kind: spec.KindNetwork, Name: "default"})
	if err := p.apply(plan.Remove{Have: network}); err == nil {
		p.t.Error("removed a network from under a container")
	}
	p.mustBeInSync(want)
}

func testVolumeIsNeverRemoved(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	want := p.desired(web)
	p.mustConverge(want)
	ref := spec.Ref{Kind: spec.KindVolume, Name: "data"}
	volume := p.found(want, ref)
	p.mustApply(plan.Remove{Have: p.found(want, web.Ref())})
	for _, c := range []plan.Change{plan.Remove{Have: volume}, plan.Replace{Want: want.Find(ref), Have: volume}} {
		if err := p.apply(c); err == nil {
			p.t.Errorf("%s of a volume went through", c.Verb())
		}
	}
	p.found(want, ref)
}

func testForeignIsNotTouched(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	want := p.desired(web)
	names := map[spec.Ref]string{
		web.Ref(): web.Container,
		{Kind: spec.KindNetwork, Name: "default"}: p.name + "_default",
		{Kind: spec.KindVolume, Name: "data"}:     p.name + "_data",
	}
	for ref, name := range names {
		p.suite.Foreign(p.t, ref.Kind, name)
	}
	before := p.observe(want)
	d := drift.Compare(want, before)
	for ref := range names {
		if one, _ := d.Of(ref); one.Verdict != drift.Foreign {
			p.t.Errorf("%s is %q, want foreign", ref, one.Verdict)
		}
		found := before.Found[ref]
		for _, c := range []plan.Change{
			plan.Remove{Have: found},
			plan.Replace{Want: want.Find(ref), Have: found},
			plan.Create{Want: want.Find(ref)},
		} {
			if err := p.apply(c); err == nil {
				p.t.Errorf("%s of the foreign %s went through", c.Verb(), ref)
			}
		}
		if after := p.found(want, ref); after.ID != found.ID || after.State != found.State || after.Owned {
			p.t.Errorf("%s was touched: %+v, before %+v", ref, after, found)
		}
	}
	if err := p.converge(want); err != nil {
		p.t.Errorf("planned something in spite of them: %v", err)
	}
}

func testExternalIsUsedAndLeft(p *project) {
	web := p.service("web")
	p.opens(web, "data")
	for kind, name := range map[spec.Kind]string{spec.KindNetwork: p.name + "_default", spec.KindVolume: p.name + "_data"} {
		p.suite.Foreign(p.t, kind, name)
	}
	want := p.desired(
		&spec.Network{Key: "default", Name: p.name + "_default", External: true},
		&spec.Volume{Key: "data", Name: p.name + "_data", External: true},
		web,
	)
	p.mustConverge(want)
	p.mustTakeDown(want)
	p.found(want, spec.Ref{Kind: spec.KindNetwork, Name: "default"})
	p.found(want, spec.Ref{Kind: spec.KindVolume, Name: "data"})
}

func testDownLeavesTheVolumes(p *project) {
	web, above := p.service("web"), p.service("above")
	above.Depends = []spec.Dep{{Ref: web.Ref(), Until: spec.Ready}}
	p.opens(web, "data")
	want := p.desired(web, above)
	p.mustConverge(want)
	p.mustTakeDown(want)
	p.found(want, spec.Ref{Kind: spec.KindVolume, Name: "data"})
	p.mustConverge(want)
}

// mustTakeDown takes the project down, and checks that no container and no
// network of ours is left.
func (p *project) mustTakeDown(want spec.Desired) {
	p.t.Helper()
	for _, step := range plan.Down(want, p.observe(want), "").Steps() {
		p.mustApply(step.Change)
	}
	for ref, found := range p.observe(want).Found {
		if found.Owned && (ref.Kind == spec.KindService || ref.Kind == spec.KindNetwork) {
			p.t.Errorf("%s is left after down", ref)
		}
	}
}
