package reconciler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// errNewer ends the waiting of a run that a newer revision has overtaken.
var errNewer = errors.New("a newer revision is here")

// Agent keeps a system at its desired state: it converges whenever something says
// that there may be something to do, one run at a time.
type Agent struct {
	// Load gives the desired state as it is now. An error leaves what runs alone:
	// the last state that loaded stays in force.
	Load       func(context.Context) (spec.Desired, error)
	Reconciler *Reconciler
	// Triggers are watched while the agent runs. Each blocks until its context is
	// done, and calls look with a reason whenever there may be something to do.
	Triggers []func(ctx context.Context, look func(why string))
	// Interval is how often to look when nothing else gives a reason to.
	Interval time.Duration
	// NoHeal looks and reports, and changes nothing.
	NoHeal bool
	Log    *slog.Logger
	// Reported is told of every run; it may be nil.
	Reported func(report.Report)

	mailbox chan string // capacity one: the newest reason to look is enough
	current *spec.Desired
	fresh   bool           // current has not been seen ready yet
	good    []spec.Desired // the newest revisions that became ready, newest first
	retry   backoff
	ran     time.Time // when the last run began
	said    string    // the last condition that was logged, so that each is said once
}

// Run looks, converges and keeps looking until ctx ends. A run in progress is ended
// at a safe point then.
func (a *Agent) Run(ctx context.Context) {
	a.mailbox = make(chan string, 1)
	ctx, cancel := context.WithCancel(ctx)
	var triggers sync.WaitGroup
	for _, watch := range a.Triggers {
		triggers.Go(func() { watch(ctx, a.look) })
	}
	defer triggers.Wait()
	defer cancel()
	a.look("start")
	for {
		timer := time.NewTimer(a.untilNext())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case why := <-a.mailbox:
			timer.Stop()
			a.pass(ctx, why)
		case <-timer.C:
			a.pass(ctx, "interval")
		}
	}
}

// look puts a reason into the mailbox; one that waits there already is enough.
func (a *Agent) look(why string) {
	select {
	case a.mailbox <- why:
	default:
	}
}

// untilNext is how long to sleep when nobody calls.
func (a *Agent) untilNext() time.Duration {
	wait := a.Interval
	if next, ok := a.retry.next(a.ran); ok {
		wait = min(wait, time.Until(next))
	}
	return max(wait, 0)
}

// pass loads the desired state and converges to it. When a newer one comes while it
// is at it, the run is cut short and the newer one has its turn.
func (a *Agent) pass(ctx context.Context, why string) {
	a.load(ctx)
	for a.current != nil && ctx.Err() == nil {
		overtaken := a.run(ctx, *a.current, why)
		if !overtaken {
			return
		}
		why = "newer revision"
	}
}

// load takes over what Load gives and tells whether it is a new revision.
func (a *Agent) load(ctx context.Context) (isNew bool) {
	want, err := a.Load(ctx)
	if err != nil {
		a.sayOnce(slog.LevelError, "spec does not load, what runs is left alone", "err", err)
		return false
	}
	isNew = a.current == nil || a.current.Revision.ID != want.Revision.ID
	if isNew {
		a.current, a.fresh = &want, true
		a.retry.at(want.Revision.ID)
		a.Log.Info("revision loaded", "project", want.Project, "revision", want.Revision.Short())
	}
	return isNew
}

// run does one run, and tells whether a newer revision ended it. Reasons to look
// that come in the meantime are looked at for a newer revision; what has to be brought
// back is brought back beside the run, which may wait for health for a long time.
func (a *Agent) run(parent context.Context, want spec.Desired, why string) (overtaken bool) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	a.ran = time.Now()
	under := &underWay{}
	o := Options{Trigger: why, Refresh: a.fresh, KeepMoved: !a.fresh, Rules: []plan.Rule{a.retry.rule(a.ran)}, follow: under.listen}
	done, beside := make(chan report.Report, 1), (chan report.Report)(nil)
	go func() { done <- a.once(ctx, want, o) }()
	again := ""
	for {
		select {
		case rep := <-done:
			if beside != nil {
				a.finish(parent, <-beside)
			}
			a.finish(parent, rep)
			a.tidy(parent, want, rep)
			if again != "" {
				a.look(again)
			}
			return overtaken
		case rep := <-beside:
			beside = nil
			if len(rep.Steps) > 0 {
				a.finish(parent, rep)
			}
		case again = <-a.mailbox:
			switch {
			case a.load(ctx):
				overtaken, again = true, ""
				cancel(errNewer)
			case beside == nil && !overtaken && !a.NoHeal:
				beside = a.mendBeside(ctx, want, again, under)
			}
		}
	}
}

// mendBeside brings back what is not under way in the run that goes on.
func (a *Agent) mendBeside(ctx context.Context, want spec.Desired, why string, under *underWay) chan report.Report {
	o := Options{Trigger: why, KeepMoved: true, beside: true, Rules: []plan.Rule{under.rule(), a.retry.rule(time.Now())}}
	done := make(chan report.Report, 1)
	go func() { done <- a.Reconciler.Converge(ctx, want, o) }()
	return done
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

// once looks, or looks and converges.
func (a *Agent) once(ctx context.Context, want spec.Desired, o Options) report.Report {
	if a.NoHeal {
		return a.Reconciler.Check(ctx, want, o.Trigger)
	}
	return a.Reconciler.Converge(ctx, want, o)
}

// finish takes note of a run that is over, and says what is worth saying. A run that
// was cut short on purpose has failed at nothing.
func (a *Agent) finish(ctx context.Context, rep report.Report) {
	if rep.CutShort {
		if ctx.Err() != nil {
			a.Log.Info("run cut short", "cause", context.Cause(ctx))
		}
		return
	}
	if rep.Revision.ID == a.retry.revision {
		a.retry.note(rep, time.Now())
		a.fresh = a.fresh && !rep.Ready
	}
	if a.Reported != nil {
		a.Reported(rep)
	}
	a.say(rep)
}

func (a *Agent) say(rep report.Report) {
	attrs := []any{"revision", rep.Revision.Short(), "cause", rep.Trigger, "took", rep.Took.Round(time.Millisecond)}
	switch {
	case rep.Fault != "":
		a.sayOnce(slog.LevelError, "run failed", "err", rep.Fault, "revision", rep.Revision.Short())
	case rep.Err() != nil:
		a.said = ""
		a.Log.Error("run ended with failures", append(attrs, "failed", rep.Failures())...)
	case len(rep.Steps) > 0:
		a.said = ""
		a.Log.Info("run done", append(attrs, "steps", len(rep.Steps), "ready", rep.Ready)...)
	case a.NoHeal && len(rep.After) > 0:
		a.sayOnce(slog.LevelWarn, "drift found, healing is off", "differences", len(rep.After), "revision", rep.Revision.Short())
	case rep.Ready:
		a.sayOnce(slog.LevelInfo, "in sync", "revision", rep.Revision.Short())
	default:
		a.sayOnce(slog.LevelWarn, "steps are held", append([]any{"held", len(rep.Held), "revision", rep.Revision.Short()}, firstHeld(rep.Held)...)...)
	}
}

// firstHeld names one held thing that does not work, so that the log says where to look.
func firstHeld(held []plan.Held) []any {
	for _, h := range held {
		if !h.Works {
			return []any{"ref", h.Ref.String(), "rule", h.Rule, "cause", h.Reason}
		}
	}
	return nil
}

// tidy removes what a revision that became ready leaves behind: images built for
// revisions before the last good one, which nobody will go back to. An agent that has
// seen only one revision does not know what was good before, and removes nothing.
func (a *Agent) tidy(ctx context.Context, want spec.Desired, rep report.Report) {
	if !rep.Ready || a.NoHeal || len(a.good) > 0 && a.good[0].Revision.ID == want.Revision.ID {
		return
	}
	a.good = append([]spec.Desired{want}, a.good[:min(1, len(a.good))]...)
	if len(a.good) < 2 {
		return
	}
	removed, err := a.Reconciler.Prune(ctx, a.good)
	if err != nil {
		a.Log.Warn("old images not removed", "err", err)
	}
	for _, image := range removed {
		a.Log.Info("old image removed", "ref", image)
	}
}

// sayOnce logs a condition when it is another one than the last.
func (a *Agent) sayOnce(level slog.Level, msg string, args ...any) {
	condition := fmt.Sprint(msg, args)
	if a.said == condition {
		return
	}
	a.said = condition
	a.Log.Log(context.Background(), level, msg, args...)
}
