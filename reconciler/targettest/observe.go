package targettest

import (
	"context"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

func testUnreachable(p *project) {
	p.mustBeBlind(p.suite.Unreachable(p.t), p.t.Context())
}

func testCancelled(p *project) {
	web := p.service("web")
	p.mustConverge(p.desired(web))
	ctx, cancel := context.WithCancel(p.t.Context())
	cancel()
	p.mustBeBlind(p.target, ctx)
}

// mustBeBlind checks that a target which cannot look says so: by an error, or by
// being blind to each of its kinds.
func (p *project) mustBeBlind(target Target, ctx context.Context) {
	p.t.Helper()
	have, err := target.Observe(ctx, p.desired(p.service("web")))
	if err != nil {
		return
	}
	for _, kind := range target.Kinds() {
		if _, unseen := have.Unseen(spec.Ref{Kind: kind}); !unseen {
			p.t.Errorf("could not look, and takes every %s for absent", kind)
		}
	}
}

func testObserveSeesFaults(p *project) {
	web := p.service("web")
	web.Restart = "unless-stopped"
	want := p.desired(web, p.service("other"))
	p.mustConverge(want)
	for _, c := range []struct {
		how     Fault
		verdict drift.Verdict
	}{
		{Stop, drift.Down},
		{Kill, drift.Down},
		{Pause, drift.Down},
		{Remove, drift.Missing},
	} {
		before := p.found(want, web.Ref())
		p.suite.Break(p.t, web.Container, c.how)
		p.mustDiffer(want, web.Ref(), c.verdict)
		p.mustConverge(want)
		if kept := p.found(want, web.Ref()).ID == before.ID; kept == (c.how == Remove) {
			p.t.Errorf("after %s: the container kept: %v", c.how, kept)
		}
	}
}

func testObserveSeesExtra(p *project) {
	web, old := p.service("web"), p.service("old")
	p.opens(old, "data")
	p.joins(old, "side")
	p.mustConverge(p.desired(web, old))

	want := p.desired(web)
	if extra := p.extra(want); len(extra) != 3 {
		p.t.Errorf("want a service, a network and a volume that are extra, got %v", extra)
	}
	if err := p.converge(want); err != nil {
		p.t.Fatal(err)
	}
	if extra := p.extra(want); !slices.Equal(extra, []spec.Kind{spec.KindVolume}) {
		p.t.Errorf("want the volume alone to be left, got %v", extra)
	}
}

// extra gives the kinds of what is extra, in order. Nothing else may differ. What a
// target calls a thing that no tier declares is its own affair.
func (p *project) extra(want spec.Desired) []spec.Kind {
	p.t.Helper()
	var kinds []spec.Kind
	d := p.drift(want)
	for _, one := range d {
		if one.Verdict != drift.Extra {
			p.t.Fatalf("not only extras:\n%s", describe(d))
		}
		kinds = append(kinds, one.Ref.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

func testProjectsDoNotSeeOneAnother(p *project) {
	other := p.suite.project(p.t, "-b")
	both := map[*project]spec.Desired{}
	for _, one := range []*project{p, other} {
		web := one.service("web")
		one.opens(web, "data")
		both[one] = one.desired(web)
		one.mustConverge(both[one])
	}
	before := other.found(both[other], spec.Ref{Kind: spec.KindService, Name: "web"})
	p.mustBeInSync(both[p])
	p.mustTakeDown(both[p])
	other.mustBeInSync(both[other])
	if after := other.found(both[other], before.Ref); after.ID != before.ID {
		p.t.Error("the other project's container was made anew")
	}
}
