package reconciler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// seenNote is the name under which it is remembered since when things differ.
const seenNote = "differences"

// mostHappened bounds of how many things it is known what has happened to them last.
const mostHappened = 1000

// sameAct is how long after a look began what happens to a thing may still belong to what
// made us look.
const sameAct = time.Second

// happening is something that was done to a thing, and not by the agent.
type happening struct {
	what string // "exited with code 137, then was removed"
	at   time.Time
}

// Happened has the agent know what was done to a thing by others, for the cause of a
// difference that a check may find. It may be called from any goroutine.
func (a *Agent) Happened(ref spec.Ref, what string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.happened == nil || len(a.happened) >= mostHappened {
		a.happened = map[spec.Ref]happening{}
	}
	a.happened[ref] = happening{what, at}
}

// retell gives what made a run look with what is known by now of the thing that it was about:
// an engine tells of one act in several events, and the first is enough to look.
func (a *Agent) retell(rep report.Report) string {
	name, _, _ := strings.Cut(rep.Trigger, ": ")
	ref, err := spec.ParseRef(name)
	if err != nil {
		return rep.Trigger
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h, ok := a.happened[ref]; ok && h.at.Before(rep.At.Add(sameAct)) {
		return ref.String() + ": " + h.what
	}
	return rep.Trigger
}

// cause says why a thing has begun to differ, or "" if that is not known.
func (a *Agent) cause(ref spec.Ref) string {
	if a.fresh {
		return "revision " + a.current.Revision.Short() + " is wanted and not in force yet"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h, ok := a.happened[ref]; ok {
		return "out of band: " + h.what + " at " + h.at.UTC().Format(time.RFC3339)
	}
	return ""
}

// ErrNotHeld says that no check was made since this agent does not hold the project: the one
// that does makes them.
var ErrNotHeld = errors.New("another agent holds the project")

// checkRequest asks the agent's goroutine for a check.
type checkRequest struct{ answer chan checkAnswer }

type checkAnswer struct {
	check report.Check
	err   error
}

// CheckDrift looks how far what runs is from what is kept up. It changes nothing, waits for
// a run that is under way, and may be called by a trigger while the agent runs.
func (a *Agent) CheckDrift(ctx context.Context) (report.Check, error) {
	r := checkRequest{make(chan checkAnswer, 1)}
	select {
	case a.checks <- r:
	case <-ctx.Done():
		return report.Check{}, ctx.Err()
	}
	select {
	case answer := <-r.answer:
		return answer.check, answer.err
	case <-ctx.Done():
		return report.Check{}, ctx.Err()
	}
}

func (a *Agent) check(ctx context.Context) checkAnswer {
	a.load(ctx)
	if a.current == nil {
		return checkAnswer{err: errors.New("no spec has loaded yet")}
	}
	if a.hold(ctx); !a.held {
		return checkAnswer{err: fmt.Errorf("%w: %s", ErrNotHeld, a.other)}
	}
	e := a.choose(ctx)
	check, err := a.Reconciler.CheckDrift(ctx, e.want, a.options(e, "check"))
	if err != nil {
		return checkAnswer{err: err}
	}
	check.Ahead = e.why
	a.age(ctx, &check)
	return checkAnswer{check: check}
}

// age adds to a check since when each difference has been seen, and what has come and gone
// since the check before.
func (a *Agent) age(ctx context.Context, check *report.Check) {
	if a.memory == nil {
		return
	}
	now, err := recallAges(ctx, a.memory, check, a.cause)
	if err != nil {
		a.Log.Warn("since when things differ is not known", "err", err)
	}
	a.write(ctx, func(ctx context.Context, m *state.Store) error { return m.Remember(ctx, seenNote, now) })
}

// recallAges ages a check by what is remembered, and gives what is to be remembered for the
// next. What cannot be recalled begins anew.
func recallAges(ctx context.Context, m *state.Store, check *report.Check, cause func(spec.Ref) string) (now map[spec.Ref]report.Seen, err error) {
	seen := map[spec.Ref]report.Seen{}
	err = m.Recall(ctx, seenNote, &seen)
	return check.Age(seen, cause), err
}

// Age adds to a check that was made without the agent since when things differ, as far as
// that is remembered. If keep says so it is remembered for the next one.
func Age(ctx context.Context, m *state.Store, check *report.Check, keep bool) error {
	now, err := recallAges(ctx, m, check, func(spec.Ref) string { return "" })
	if err != nil || !keep {
		return err
	}
	return m.Remember(ctx, seenNote, now)
}

// CheckDrift looks, and says what converging would do. It changes nothing.
func (r *Reconciler) CheckDrift(ctx context.Context, want spec.Desired, o Options) (report.Check, error) {
	have, d, err := r.Look(ctx, want, o)
	if err != nil {
		return report.Check{}, err
	}
	check := report.NewCheck(want, have, d)
	check.At = r.now()
	if r.Tables != nil {
		tables, unknown := r.Tables(want, check.At)
		check.Differences = append(slices.Clip(check.Differences), tables...)
		if unknown != "" {
			check.Blind = maps.Clone(check.Blind)
			if check.Blind == nil {
				check.Blind = map[spec.Ref]string{}
			}
			check.Blind[spec.Ref{Kind: spec.KindTable}] = unknown
		}
	}
	p := r.planAround(ctx, want, have, d, o)
	check.Would = &p
	return check, nil
}
