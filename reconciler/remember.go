package reconciler

import (
	"context"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// StandingNote is the name under which a Standing is remembered.
const StandingNote = "standing"

// mostUnrecorded bounds how many runs are kept in mind while the memory cannot be written.
const mostUnrecorded = 100

// wake recalls what an earlier agent knew. Without memory the agent goes on with what it
// finds out itself.
func (a *Agent) wake(ctx context.Context) {
	if a.Memory == nil {
		return
	}
	memory, err := a.Memory(ctx, a.current.Project)
	if err != nil {
		a.Log.Error("no memory, so history, pause, pin and quarantine last only as long as this agent", "err", err)
		return
	}
	a.takeOver(ctx, memory)
}

// takeOver has what a memory holds be what this agent knows.
func (a *Agent) takeOver(ctx context.Context, memory *state.Store) {
	var s Standing
	if err := memory.Recall(ctx, StandingNote, &s); err != nil {
		a.Log.Error("memory cannot be read, so history, pause, pin and quarantine begin anew", "err", err)
		s = Standing{}
	}
	if err := memory.WithdrawAll(ctx); err != nil {
		a.Log.Warn("requests of before are not withdrawn", "err", err)
	}
	if s.Enforced.ID == a.current.Revision.ID && s.good(s.Enforced) {
		a.fresh = false // it was converged by the agent before
	}
	a.retry.recall(s.Enforced.ID, s.Retries, time.Now())
	s = s.inTrouble(a.standing.Trouble, a.standing.TroubleSince)
	a.mu.Lock()
	a.memory, a.standing = memory, s.want(a.current.Revision)
	a.mu.Unlock()
}

// regain opens the memory anew if it could not be opened or written, or its file is not on the
// disk any more. What the agent has not read yet counts then; what it had read it has in mind,
// and writes again.
func (a *Agent) regain(ctx context.Context) {
	if a.memory == nil || a.unkept == "" && !a.memory.Lost() {
		return
	}
	unread := a.memory.Fleeting()
	broken, err := a.memory.Reopen(ctx)
	if broken != nil {
		a.Log.Warn(broken.Error())
	}
	switch {
	case err != nil && !unread: // else it was said at the start
		a.sayUnkept(err.Error())
	case err == nil && unread:
		a.Log.Info("memory can be opened now")
		a.takeOver(ctx, a.memory)
	case err == nil && a.unkept == "":
		a.Log.Warn("memory was gone from the disk, and begins anew with what this agent knows")
	}
}

// keep remembers a run, and what is known after it.
func (a *Agent) keep(ctx context.Context, rep report.Report) {
	a.save(ctx)
	if worthKeeping(rep) {
		a.unrecorded = append(a.unrecorded[max(0, len(a.unrecorded)-mostUnrecorded+1):], rep)
	}
	a.write(ctx, func(ctx context.Context, m *state.Store) error {
		for len(a.unrecorded) > 0 {
			if err := m.Record(ctx, a.unrecorded[0]); err != nil {
				return err
			}
			a.unrecorded = a.unrecorded[1:]
		}
		return nil
	})
}

// save remembers what is known now.
func (a *Agent) save(ctx context.Context) {
	s := a.standing
	s.Retries = a.retry.remembered()
	a.know(s)
	a.write(ctx, func(ctx context.Context, m *state.Store) error { return m.Remember(ctx, StandingNote, s) })
}

// write changes the memory, also for an agent that has been told to end, and says once when that
// cannot be done. The agent itself goes on: it has in mind what it would have written.
func (a *Agent) write(ctx context.Context, do func(context.Context, *state.Store) error) {
	if a.memory == nil {
		return
	}
	fault := ""
	if err := do(context.WithoutCancel(ctx), a.memory); err != nil {
		fault = err.Error()
	}
	a.sayUnkept(fault)
}

// sayUnkept says once that the memory cannot be written, and that it can be again.
func (a *Agent) sayUnkept(fault string) {
	switch {
	case (fault == "") == (a.unkept == ""):
	case fault == "":
		a.Log.Info("memory can be written again")
	default:
		a.Log.Error("memory cannot be written; until it can, a new agent would not know what this one does", "err", fault)
	}
	a.unkept = fault
}

// forget closes the memory.
func (a *Agent) forget() {
	if a.memory != nil {
		a.memory.Close()
	}
}

// Note remembers a run that was done without an agent, and gives what is known after it.
// pruneable: there may be images by now that nobody will go back to.
func Note(ctx context.Context, m *state.Store, want spec.Desired, rep report.Report) (s Standing, pruneable bool, err error) {
	if err := m.Recall(ctx, StandingNote, &s); err != nil {
		return s, false, err
	}
	s = s.want(rep.Revision).after(rep)
	s.Enforced, s.Why = rep.Revision, ""
	s = s.serving(want, rep)
	if rep.Ready {
		s, pruneable = s.keeping(want)
	}
	if err := m.Remember(ctx, StandingNote, s); err != nil {
		return s, false, err
	}
	if worthKeeping(rep) {
		err = m.Record(ctx, rep)
	}
	return s, pruneable, err
}

// Tell does in a memory, where no agent holds the project, what a request asks for.
func Tell(ctx context.Context, m *state.Store, verb string, ask Ask, now time.Time) (said string, err error) {
	var s Standing
	if err := m.Recall(ctx, StandingNote, &s); err != nil {
		return "", err
	}
	switch verb {
	case AskPause:
		s = s.pause(ask, now)
	case AskResume:
		s = s.resume()
	case AskRollback:
		if s, err = s.rollback(ask.Revision, now); err != nil {
			return "", err
		}
	}
	return s.Summary(now), m.Remember(ctx, StandingNote, s)
}
