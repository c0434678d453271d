package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// errNewer ends the waiting of a run when something else is to be kept up by now.
var errNewer = errors.New("something newer is to be done")

// holdAgain is how often an agent that only looks tries to become the one that acts.
const holdAgain = 2 * time.Second

// inFull is how long glances may follow one another: what nobody has told of is found within it,
// or within an interval if that is longer.
const inFull = 10 * time.Minute

// Agent keeps a system at its desired state: it converges whenever something says
// that there may be something to do, one run at a time.
type Agent struct {
	// Load gives the desired state as it is now. An error leaves what runs alone:
	// the last state that loaded stays in force. With an error may come a state, the newest
	// that can be had.
	Load func(context.Context) (spec.Desired, error)
	// Recall gives the desired state of an earlier revision, with all its files. Nil:
	// only what this process has seen can be gone back to.
	Recall     func(context.Context, spec.Revision) (spec.Desired, error)
	Reconciler *Reconciler
	// Enter is called before the first act of a run and when there is nothing to do:
	// from here on this is the state whose files containers are to find. good is the last
	// revision that became ready, or zero: what is brought back finds its files. May be
	// nil.
	Enter func(ctx context.Context, want spec.Desired, good spec.Revision) error
	// Hold makes this agent the one that changes the project, or says who is. It is
	// called again until it has succeeded. Nil: nobody else is there.
	Hold func(ctx context.Context, project string) (other string, err error)
	// Memory outlives the agent. Nil: nothing does, and nobody can ask it anything. It
	// gives the memory of a project, once.
	Memory func(ctx context.Context, project string) (*state.Store, error)
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

	checks  chan checkRequest
	mailbox chan string // capacity one: the newest reason to look is enough
	current *spec.Desired
	fresh   bool           // current has not been seen ready yet
	had     string         // the revision whose images were had, and that waits for its window
	past    []spec.Desired // that became ready while this agent ran, newest first
	retry   backoff
	ran     time.Time       // when the last run began
	looked  time.Time       // when the last one began that did not only glance
	calm    bool            // it found all in sync
	said    string          // the last condition that was logged, so that each is said once
	held    bool            // this agent is the one that changes the project
	other   string          // else: who is
	asking  []state.Request // that wait for the next run to end
	unkept  string          // why the memory cannot be written

	unrecorded []report.Report // the runs that could not be written

	mu       sync.Mutex // what follows is changed by Run's goroutine and read by others
	memory   *state.Store
	happened map[spec.Ref]happening // by others, the last of each
	heard    int64                  // the newest request that was taken up
	standing Standing
	enforced spec.Desired
}

// Run looks, converges and keeps looking until ctx ends. A run in progress is ended
// at a safe point then.
func (a *Agent) Run(ctx context.Context) {
	a.mailbox, a.checks = make(chan string, 1), make(chan checkRequest)
	ctx, cancel := context.WithCancel(ctx)
	var triggers sync.WaitGroup
	for _, watch := range a.Triggers {
		triggers.Go(func() { watch(ctx, a.look) })
	}
	triggers.Go(func() { a.awaitRequests(ctx) })
	defer a.forget()
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
		case r := <-a.checks:
			timer.Stop()
			r.answer <- a.check(ctx)
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
	wait := a.Interval - rand.N(a.Interval/10+1) // agents do not look in step
	if a.other != "" {
		wait = min(wait, holdAgain)
	}
	if next, ok := a.retry.next(a.ran); ok {
		wait = min(wait, time.Until(next))
	}
	if pause := a.standing.Pause; pause != nil && !pause.Until.IsZero() {
		wait = min(wait, time.Until(pause.Until))
	}
	return max(wait, 0)
}

// pass loads the desired state and converges to what is to be kept up. When that becomes
// something else on the way, the run is cut short and the other has its turn.
func (a *Agent) pass(ctx context.Context, why string) {
	a.load(ctx)
	if a.current == nil {
		return
	}
	if a.hold(ctx); !a.held && why == "interval" && time.Since(a.ran) < a.Interval-a.Interval/10 {
		return // it was only about holding
	}
	a.regain(ctx)
	a.hear(ctx)
	a.endPause()
	for ctx.Err() == nil {
		again := a.run(ctx, why)
		if again == "" {
			return
		}
		why = again
	}
}

// load takes over what Load gives and tells whether it is a new revision.
func (a *Agent) load(ctx context.Context) (isNew bool) {
	want, err := a.Load(ctx)
	if a.trouble(ctx, err); err != nil && want.Project == "" {
		return false
	}
	isNew = a.current == nil || a.current.Revision.ID != want.Revision.ID
	a.current = &want // of the same content, it may come from another commit
	if isNew {
		a.fresh = true
		a.Log.Info("revision loaded", "project", want.Project, "revision", want.Revision.Short())
	}
	a.know(a.standing.want(want.Revision))
	return isNew
}

// trouble says once why the newest state cannot be had, and that it can be had again.
func (a *Agent) trouble(ctx context.Context, err error) {
	before, now := a.standing.Trouble, ""
	if err != nil {
		now = err.Error()
	}
	switch {
	case now == before || ctx.Err() != nil:
		return
	case now == "":
		a.Log.Info("the newest spec can be had again")
	default:
		a.Log.Error("the newest spec cannot be had, what is in force stays so", "err", err)
	}
	a.know(a.standing.inTrouble(now, time.Now()))
}

// hold sees to it that this agent is the one that changes the project.
func (a *Agent) hold(ctx context.Context) {
	if a.held {
		return
	}
	other, err := "", error(nil)
	if a.Hold != nil {
		other, err = a.Hold(ctx, a.current.Project)
	}
	if err != nil {
		other = err.Error()
	}
	switch before := a.other; {
	case other == "":
		if a.held, a.other = true, ""; before != "" {
			a.Log.Info("this agent changes the project now", "project", a.current.Project)
		}
		a.wake(ctx)
	case other != before:
		a.other = other
		a.Log.Warn("this agent only looks, until it can be the one that changes the project", "project", a.current.Project, "cause", other)
	}
}

// endPause ends a pause that has had its time.
func (a *Agent) endPause() {
	if s := a.standing; s.Pause != nil && !s.Paused(time.Now()) {
		s.Pause = nil
		a.know(s)
		a.Log.Info("the pause has ended")
	}
}

// watches tells why the agent changes nothing now, or "".
func (a *Agent) watches(want spec.Desired) (why string) {
	switch {
	case !a.held:
		return a.other
	case a.NoHeal:
		return "healing is off"
	case a.standing.Paused(time.Now()):
		return "paused"
	case want.Checks.NoHeal && len(a.asking) == 0: // a person who says apply is obeyed
		return "the spec says drift.heal: false"
	}
	return ""
}

// run does one run, and gives the reason for the next one if something else is to be kept
// up by now. Reasons to look that come in the meantime are looked at for that; what has to
// be brought back is brought back beside the run, which may wait for health for a long
// time.
func (a *Agent) run(parent context.Context, why string) (again string) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	e := a.choose(parent)
	under := &underWay{}
	o := a.options(e, why)
	if a.ran = time.Now(); !o.Glance {
		a.looked = a.ran
	}
	good, _ := a.standing.LastGood() // here, since the run has a goroutine of its own
	o.Enter, o.follow = func(ctx context.Context) error { return a.enter(ctx, e.want, good) }, under.listen
	watches := a.watches(e.want)
	done, beside := make(chan report.Report, 1), (chan report.Report)(nil)
	asked := len(a.asking) // of this run; who asks from now on waits for the next one
	go func() { done <- a.once(ctx, e.want, o, watches) }()
	next := ""
	for {
		select {
		case rep := <-done:
			if beside != nil {
				a.noteBeside(parent, e, <-beside)
			}
			later := slices.Clone(a.asking[asked:])
			a.asking = a.asking[:asked]
			if a.finish(parent, e, rep) && again == "" {
				again = "revision failed"
			}
			a.asking = append(a.asking, later...)
			a.tidy(parent, e.want, rep)
			if next != "" {
				a.look(next)
			}
			return again
		case rep := <-beside:
			beside = nil
			a.noteBeside(parent, e, rep)
		case next = <-a.mailbox:
			switch {
			case a.hear(ctx):
				again, next = "asked for", ""
				cancel(errNewer)
			case a.load(ctx) && a.overtakes(e):
				again, next = "newer revision", ""
				cancel(errNewer)
			case beside == nil && again == "" && watches == "":
				beside = a.mendBeside(ctx, e, next, under)
			}
		}
	}
}

// options are those of a run that begins now.
func (a *Agent) options(e enforcement, why string) Options {
	onTime := time.Since(a.ran) < 2*a.Interval // else this process slept, and events may be lost
	next := time.Since(a.looked) + a.Interval  // how long ago that will be when the next run may look
	return Options{
		Glance:  why == "interval" && a.calm && onTime && next <= inFull,
		Trigger: why, Refresh: e.fresh && a.had != e.want.Revision.ID, KeepMoved: !e.fresh, GoingBack: e.why != "", LastTiers: a.standing.Tiers, LastStores: a.standing.Stores,
		Rules: append([]plan.Rule{a.retry.rule(time.Now())}, e.rules...),
	}
}

// once looks, or looks and converges.
func (a *Agent) once(ctx context.Context, want spec.Desired, o Options, watches string) report.Report {
	if watches != "" {
		return a.Reconciler.Check(ctx, want, o)
	}
	return a.Reconciler.Converge(ctx, want, o)
}

func (a *Agent) enter(ctx context.Context, want spec.Desired, good spec.Revision) error {
	if a.Enter == nil {
		return nil
	}
	return a.Enter(ctx, want, good)
}

// finish takes note of a run that is over, and tells whether its revision has failed and
// another one is to be kept up. A run that was cut short on purpose has failed at nothing.
func (a *Agent) finish(ctx context.Context, e enforcement, rep report.Report) (condemned bool) {
	rep.Trigger = a.retell(rep)
	if rep.CutShort { // whoever asked waits for the run that comes next
		if ctx.Err() != nil {
			a.Log.Info("run cut short", "cause", context.Cause(ctx))
		}
		a.keep(ctx, rep)
		return false
	}
	rep.Trigger = a.askedBy(rep.Trigger)
	condemned = a.note(ctx, e, rep)
	a.answer(ctx, rep)
	return condemned
}

// note remembers a run, and says what is worth saying.
func (a *Agent) note(ctx context.Context, e enforcement, rep report.Report) (condemned bool) {
	a.calm = rep.Ready && len(rep.Steps) == 0 && rep.After.InSync()
	if rep.CutShort {
		return false
	}
	if rep.Revision.ID == a.retry.revision {
		a.retry.note(rep, time.Now())
	}
	if !rep.Beside {
		condemned = a.judge(e, rep)
		a.know(a.standing.serving(e.want, rep))
	}
	a.keep(ctx, rep)
	if a.Reported != nil {
		a.Reported(rep)
	}
	a.say(rep, e)
	if condemned {
		a.sayCondemned(rep)
	}
	return condemned
}

// tidy removes what a revision that became ready leaves behind.
func (a *Agent) tidy(ctx context.Context, want spec.Desired, rep report.Report) {
	if !rep.Ready || waits(rep.Held) || a.watches(want) != "" {
		return
	}
	if len(a.past) == 0 || a.past[0].Revision.ID != want.Revision.ID {
		a.past = append([]spec.Desired{want}, a.past[:min(1, len(a.past))]...)
	}
	s, news := a.standing.keeping(want)
	if !news {
		return
	}
	a.know(s)
	a.save(ctx)
	removed, err := a.Reconciler.Prune(ctx, want.Project, s)
	if err != nil {
		a.Log.Warn("old images not removed", "err", err)
	}
	for _, image := range removed {
		a.Log.Info("old image removed", "ref", image)
	}
}
