package targettest

import (
	"context"
	"errors"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Inside is what the tests need to know of a target for things that live inside a store:
// buckets, users. All tests share one store, in which each has a project of its own.
type Inside struct {
	// Project begins the name of every project.
	Project string
	// Want gives a project's desired state with such a thing in it, always the same, and one
	// with the same thing that is to be different in an attribute which is changed in place.
	Want func(project string) (first, changed spec.Desired)
	// New gives a target. It registers the removal of what a project leaves with t.Cleanup.
	New func(t *testing.T, project string) Target
	// Lose removes the thing by hand, and Spoil changes the attribute back.
	Lose, Spoil func(t *testing.T, r spec.Resource)
	// Unreachable gives a desired state of a project whose store does not answer.
	Unreachable func(project string) spec.Desired
}

// RunInside runs the suite.
func RunInside(t *testing.T, s Inside) {
	for _, c := range []struct {
		name string
		test func(*inside)
	}{
		{"AppliedIsInSync", testInsideApplied},
		{"ApplyTwiceIsSuccess", testInsideTwice},
		{"ChangedInPlace", testInsideChanged},
		{"ObserveSeesHarm", testInsideHarm},
		{"StaleIsRefused", testInsideStale},
		{"OtherProjectsAreNotTouched", testInsideForeign},
		{"NeverReplaced", testInsideNeverReplaced},
		{"ObserveTellsUnreachableFromAbsent", testInsideUnreachable},
		{"ObserveTellsCancelledFromAbsent", testInsideCancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s.project(t, "")) })
	}
}

// inside is a project with one thing that lives in a store.
type inside struct {
	*project
	suite          Inside
	first, changed spec.Desired
}

func (s Inside) project(t *testing.T, suffix string) *inside {
	p := Suite{Project: s.Project, New: s.New}.project(t, suffix)
	first, changed := s.Want(p.name)
	return &inside{p, s, first, changed}
}

// thing is the only one of a desired state.
func thing(d spec.Desired) spec.Resource { return d.Tiers[0].Resources[0] }

func (p *inside) ref() spec.Ref { return thing(p.first).Ref() }

func testInsideApplied(p *inside) {
	p.mustDiffer(p.first, p.ref(), drift.Missing)
	p.mustConverge(p.first)
}

func testInsideTwice(p *inside) {
	p.observe(p.first)
	for range 2 {
		p.mustApply(plan.Create{Want: thing(p.first)})
	}
	p.mustBeInSync(p.first)
}

func testInsideChanged(p *inside) {
	p.mustConverge(p.first)
	before := p.found(p.first, p.ref())
	p.mustPlan(p.changed, p.ref(), plan.VerbUpdate)
	p.mustConverge(p.changed)
	if after := p.found(p.changed, p.ref()); after.ID != before.ID {
		p.t.Errorf("it is another one: %s, before %s", after.ID, before.ID)
	}
}

func testInsideHarm(p *inside) {
	p.mustConverge(p.changed)
	p.suite.Spoil(p.t, thing(p.changed))
	p.mustDiffer(p.changed, p.ref(), drift.Changed)
	p.mustConverge(p.changed)
	p.suite.Lose(p.t, thing(p.changed))
	p.mustDiffer(p.changed, p.ref(), drift.Missing)
	p.mustConverge(p.changed)
}

func testInsideStale(p *inside) {
	p.mustConverge(p.first)
	have := p.found(p.first, p.ref())
	p.suite.Lose(p.t, thing(p.first))
	if err := p.apply(plan.Update{Want: thing(p.changed), Have: have}); !errors.Is(err, plan.ErrStale) {
		p.t.Errorf("update of what is gone: %v, want ErrStale", err)
	}
	p.mustDiffer(p.first, p.ref(), drift.Missing)
}

// testInsideForeign has another project want the very same thing.
func testInsideForeign(p *inside) {
	p.mustConverge(p.changed)
	other := p.suite.project(p.t, "-b")
	claim := other.first
	claim.Tiers = p.first.Tiers
	d := other.mustDiffer(claim, p.ref(), drift.Foreign)
	for _, c := range []plan.Change{
		plan.Create{Want: d.Want}, plan.Update{Want: d.Want, Have: *d.Have}, plan.Remove{Have: *d.Have},
	} {
		if err := other.apply(c); err == nil {
			p.t.Errorf("%s of what is another project's went through", c.Verb())
		}
	}
	p.mustBeInSync(p.changed)
}

func testInsideNeverReplaced(p *inside) {
	p.mustConverge(p.first)
	have := p.found(p.first, p.ref())
	for _, c := range []plan.Change{plan.Replace{Want: thing(p.changed), Have: have}, plan.Restart{Want: thing(p.changed), Have: have}} {
		if err := p.apply(c); err == nil {
			p.t.Errorf("%s went through", c.Verb())
		}
	}
	p.mustBeInSync(p.first)
}

func testInsideUnreachable(p *inside) {
	want := p.suite.Unreachable(p.name)
	have := p.observe(want)
	if _, unseen := have.Unseen(thing(want).Ref()); !unseen {
		p.t.Errorf("could not look, and takes %s for absent", thing(want).Ref())
	}
}

func testInsideCancelled(p *inside) {
	ctx, cancel := context.WithCancel(p.t.Context())
	cancel()
	have, err := p.target.Observe(ctx, p.first)
	if _, unseen := have.Unseen(p.ref()); err == nil && !unseen {
		p.t.Errorf("was not let look, and takes %s for absent", p.ref())
	}
}
