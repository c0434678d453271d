package reconciler

import (
	"context"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// mendBeside brings back what is not under way in the run that goes on.
func (a *Agent) mendBeside(ctx context.Context, e enforcement, why string, under *underWay) chan report.Report {
	o := Options{Trigger: why, KeepMoved: true, beside: true, Rules: append([]plan.Rule{under.rule(), a.retry.rule(time.Now())}, e.rules...)}
	done := make(chan report.Report, 1)
	go func() { done <- a.Reconciler.Converge(ctx, e.want, o) }()
	return done
}

// noteBeside takes note of such a run, if it did something.
func (a *Agent) noteBeside(ctx context.Context, e enforcement, rep report.Report) {
	if len(rep.Steps) > 0 {
		rep.Trigger = a.retell(rep)
		a.note(ctx, e, rep)
	}
}

// underWay are the things that a run is to change and has not done with.
type underWay struct {
	mu      sync.Mutex
	planned bool
	refs    map[spec.Ref]bool
}

func (u *underWay) listen(e Event) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch e.Kind {
	case Planned:
		u.planned, u.refs = true, map[spec.Ref]bool{}
		for _, s := range e.Plan.Steps() {
			u.refs[s.Change.Ref()] = true
		}
	case StepDone:
		delete(u.refs, e.Step.Change.Ref())
	}
}

// rule lets pass only what brings back a service that the run does not change itself:
// all else is for the next run.
func (u *underWay) rule() plan.Rule {
	return plan.Rule{Name: "under-way", Holds: func(s plan.Step) string {
		u.mu.Lock()
		defer u.mu.Unlock()
		ref := s.Change.Ref()
		switch s.Change.(type) {
		case plan.Start, plan.Create:
			if ref.Kind == spec.KindService && u.planned && !u.refs[ref] {
				return ""
			}
		}
		return "a run is under way"
	}}
}
