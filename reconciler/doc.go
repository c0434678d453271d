// Package reconciler closes the gap between what should be and what is.
//
//	           ┌────────────── Agent: triggers, one run at a time ──────────────┐
//	           │                                                                 │
//	Loader ─▶ spec.Desired ─▶ Targets observe ─▶ drift.Compare ─▶ plan.Build ─▶ execute ─▶ report.Report
//
// A Reconciler does one run, from a Desired to a Report. An Agent does one after the
// other, whenever something says "look again". Neither decides what to do about a
// difference: that is plan's work; nor how: that is the targets'.
package reconciler

import (
	"context"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Target is a system that holds resources of some kinds: it can look at them and
// change them. One Target serves one kind; calls may come from several goroutines.
type Target interface {
	// Kinds are those this target serves.
	Kinds() []spec.Kind

	// Observe looks at everything of these kinds that want names or the project owns.
	// It changes nothing. What cannot be looked at is in Observed.Blind; an error
	// means that nothing could be.
	Observe(ctx context.Context, want spec.Desired) (drift.Observed, error)

	// Apply returns nil only when the change is true: the thing exists, runs and is
	// ready. It may be called again after any failure; "already there" and "already
	// gone" are success. It touches nothing that is not owned. plan.ErrStale says
	// that the thing is no longer the one observed, *plan.Failure that it did not
	// become ready. When ctx ends, waiting ends; an act half done is finished first.
	Apply(ctx context.Context, c plan.Change, p plan.Progress) error
}

// Glancer is a Target of a system that tells of changes.
type Glancer interface {
	// Glance is as Observe, but may take what was seen of a thing a while ago for how it is
	// now, if the system would have told of a change, and none came in since. Nothing is
	// to be done on account of it.
	Glance(ctx context.Context, want spec.Desired) (drift.Observed, error)
}

// Checker is a Target that can tell, before the first act, what would make a plan
// fail.
type Checker interface {
	Check(ctx context.Context, p plan.Plan) []plan.Obstacle
}

// Pruner is a Target that makes things nobody declares, such as images built for
// revisions long gone. It removes those of a project that are not to be kept, and says
// what they were.
type Pruner interface {
	PruneImages(ctx context.Context, project string, keep []spec.ImageKey) (removed []string, err error)
}
