package reconciler

import (
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// late is for how long, after the services were seen, other targets are waited for before
// what has stopped is brought back meanwhile.
const late = 500 * time.Millisecond

// Look observes and compares. It changes nothing. Of the options only LastStores counts.
func (r *Reconciler) Look(ctx context.Context, want spec.Desired, o Options) (drift.Observed, drift.Drift, error) {
	return r.look(ctx, want, o, Target.Observe, nil)
}

// glance looks as well, but lets targets take what they have seen before for what they would
// have been told of.
func (r *Reconciler) glance(ctx context.Context, want spec.Desired, o Options) (drift.Observed, drift.Drift, error) {
	return r.look(ctx, want, o, func(t Target, ctx context.Context, want spec.Desired) (drift.Observed, error) {
		if glancer, ok := t.(Glancer); ok {
			return glancer.Glance(ctx, want)
		}
		return t.Observe(ctx, want)
	}, nil)
}

// look looks at all targets side by side. If some are late, it calls meanwhile once with what
// has been seen up to then; what they serve is blind in that. It may be nil.
func (r *Reconciler) look(ctx context.Context, want spec.Desired, o Options, observe func(Target, context.Context, spec.Desired) (drift.Observed, error), meanwhile func(drift.Observed)) (drift.Observed, drift.Drift, error) {
	l := &look{seen: make([]drift.Observed, len(r.Targets)), done: make([]chan struct{}, len(r.Targets))}
	g, gctx := errgroup.WithContext(ctx)
	for i, t := range r.Targets {
		l.done[i] = make(chan struct{})
		g.Go(func() (err error) {
			if l.seen[i], err = observe(t, gctx, want); err == nil {
				close(l.done[i])
			}
			return err
		})
	}
	if meanwhile != nil && l.someLate(gctx, r.Targets) {
		meanwhile(l.soFar(r.Targets))
	}
	if err := g.Wait(); err != nil {
		return drift.Observed{}, nil, err
	}
	have := drift.Merge(l.seen...)
	maps.Copy(have.Found, leftBehind(want, o.LastStores))
	return have, drift.Compare(want, have), nil
}

// look is one look at all targets.
type look struct {
	seen []drift.Observed
	done []chan struct{} // closed when the one of seen is there
}

// someLate tells whether other targets are late when that of the services has been seen. It
// waits for that, and for a while.
func (l *look) someLate(ctx context.Context, targets []Target) bool {
	i := slices.IndexFunc(targets, func(t Target) bool { return slices.Contains(t.Kinds(), spec.KindService) })
	if i < 0 || len(targets) == 1 {
		return false
	}
	select {
	case <-l.done[i]:
	case <-ctx.Done():
		return false
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	for _, done := range l.done {
		select {
		case <-done:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// soFar is what has been seen up to now. Nothing is known of the rest.
func (l *look) soFar(targets []Target) drift.Observed {
	var all []drift.Observed
	for i, t := range targets {
		select {
		case <-l.done[i]:
			all = append(all, l.seen[i])
		default:
			blind := drift.Observed{Blind: map[spec.Ref]string{}}
			for _, kind := range t.Kinds() {
				blind.Blind[spec.Ref{Kind: kind}] = "has not answered yet"
			}
			all = append(all, blind)
		}
	}
	return drift.Merge(all...)
}

// lookBeforeRun looks for a run. A store that hangs must not keep down what has stopped: of a
// state that has been in force, that is brought back while the look goes on.
func (r *Reconciler) lookBeforeRun(ctx context.Context, want spec.Desired, o Options, rep *report.Report) (drift.Observed, drift.Drift, error) {
	if o.Refresh || o.Fingerprint != "" { // a new state, or a person who has agreed to just one plan
		return r.Look(ctx, want, o)
	}
	if o.Glance {
		// What a glance sees amiss is looked at in full before anything is done about it.
		if have, d, err := r.glance(ctx, want, o); err == nil && d.InSync() {
			return have, d, nil
		}
	}
	have, d, err := r.look(ctx, want, o, Target.Observe, func(have drift.Observed) {
		rep.Steps = r.bringBack(ctx, want, have, o)
	})
	if err != nil || len(rep.Steps) == 0 {
		return have, d, err
	}
	return r.Look(ctx, want, o)
}

// bringBack starts or makes again the services that are not there as they should be, and
// changes none.
func (r *Reconciler) bringBack(ctx context.Context, want spec.Desired, have drift.Observed, o Options) []report.Step {
	o.Rules = append(slices.Clone(o.Rules), plan.Rule{Name: "late", Holds: func(s plan.Step) string {
		switch s.Change.(type) {
		case plan.Start, plan.Create:
			if s.Change.Ref().Kind == spec.KindService {
				return ""
			}
		}
		return "not everything has been looked at yet"
	}})
	p := r.planAround(ctx, want, have, drift.Compare(want, have), o)
	if p.Empty() || o.Enter != nil && o.Enter(ctx) != nil { // the run itself says why
		return nil
	}
	return r.execution(want, nil).run(ctx, p)
}
