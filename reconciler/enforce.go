package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// failsTwice is how often in a row a step may go wrong for other reasons than that a
// service did not become ready, before the revision counts as failed: an engine may be
// out of sorts for a while.
const failsTwice = 2

// enforcement is what a run keeps up, and how.
type enforcement struct {
	want  spec.Desired
	why   string // it is not the wanted revision
	fresh bool   // it has not been seen ready: registries are asked, moved tags followed
	rules []plan.Rule
}

// overtakes tells whether something else than e is to be kept up by now.
func (a *Agent) overtakes(e enforcement) bool {
	rev, _ := a.standing.choose()
	return rev.ID != e.want.Revision.ID
}

// choose gives what is to be kept up now: what is wanted, or, if that has failed or a
// person says so, an earlier revision.
func (a *Agent) choose(ctx context.Context) enforcement {
	rev, why := a.standing.choose()
	e := enforcement{want: *a.current, why: why, fresh: a.fresh}
	if rev.ID != a.current.Revision.ID {
		e = a.goBack(ctx, rev, why)
	}
	a.retry.at(e.want.Revision.ID)
	s := a.standing
	s.Enforced, s.Why = e.want.Revision, e.why
	a.mu.Lock()
	a.standing, a.enforced = s, e.want
	a.mu.Unlock()
	return e
}

// goBack gives an earlier revision. One that cannot be had any more leaves what runs as it
// is: it is only kept running.
func (a *Agent) goBack(ctx context.Context, rev spec.Revision, why string) enforcement {
	want, err := a.recall(ctx, rev)
	if err == nil {
		return enforcement{want: want, why: why, rules: []plan.Rule{keepMigrated(*a.current)}}
	}
	a.sayOnce(slog.LevelWarn, "earlier revision cannot be had, what runs is only kept running", "revision", rev.Short(), "err", err, "cause", why)
	return enforcement{want: *a.current, why: why, rules: []plan.Rule{keepRunning(why)}}
}

func (a *Agent) recall(ctx context.Context, rev spec.Revision) (spec.Desired, error) {
	if a.Recall != nil {
		return a.Recall(ctx, rev)
	}
	i := slices.IndexFunc(a.past, func(d spec.Desired) bool { return d.Revision.ID == rev.ID })
	if i < 0 {
		return spec.Desired{}, fmt.Errorf("the files of revision %s are not kept: only a git repository keeps earlier ones", rev.Short())
	}
	return a.past[i].WithoutSources(), nil
}

// keepMigrated holds what would put an earlier revision of a service on data that the
// failed one may have changed.
func keepMigrated(failed spec.Desired) plan.Rule {
	return plan.Rule{Name: plan.RuleRollback, Holds: func(s plan.Step) string {
		service, ok := failed.Find(s.Change.Ref()).(*spec.Service)
		if _, replace := s.Change.(plan.Replace); !ok || !replace || !service.NoRollback {
			return ""
		}
		return fmt.Sprintf("it says x-flumen.rollback: none, so it stays at revision %s, whose data it may have made its own; mend it by a new revision", failed.Revision.Short())
	}}
}

// keepRunning lets pass only what brings back what is there.
func keepRunning(why string) plan.Rule {
	return plan.Rule{Name: plan.RuleQuarantine, Holds: func(s plan.Step) string {
		switch s.Change.(type) {
		case plan.Start, plan.Restart, plan.Wait:
			return ""
		}
		return why + "; tried again when the spec changes, or with: flumen-agent apply"
	}}
}

// judge takes note of what a run says about its revision, and tells whether that has
// failed and an earlier one is to be kept up.
func (a *Agent) judge(e enforcement, rep report.Report) (condemned bool) {
	s := a.standing.after(rep)
	switch {
	case rep.Fault != "":
	case waits(rep.Held):
		if rep.Ready {
			a.had = rep.Revision.ID
		}
	case rep.Ready:
		a.fresh = a.fresh && rep.Revision.ID != s.Wanted.ID
	case a.fresh && rep.Revision.ID == s.Wanted.ID:
		if reason := a.fault(rep); reason != "" {
			s, condemned = s.quarantine(rep.Revision, time.Now(), reason)
		}
	}
	a.know(s)
	return condemned
}

// complete tells whether a run that ended well has left nothing of its revision undone.
// That a volume is never changed, and a moved tag not followed, is as it should be.
func complete(rep report.Report) bool {
	return !slices.ContainsFunc(rep.Held, func(h plan.Held) bool {
		undone := h.Verdict == drift.Missing || h.Verdict == drift.Changed
		return undone && h.Rule != plan.RuleData && h.Rule != plan.RuleMovedTag
	})
}

// fault says what of a run shows that its revision is no good, or "". That an image could
// not be had does not: nothing was changed on account of it.
func (a *Agent) fault(rep report.Report) string {
	for _, s := range rep.Steps {
		failed := s.Outcome == report.Failed || s.Outcome == report.RolledBack
		gone := s.Ref.Kind == spec.KindBucket && s.Verb == plan.VerbRemove // nothing waits for that
		if !failed || gone || s.Ref.Kind == spec.KindImage {
			continue
		}
		if s.Unready || a.retry.failed[s.Ref].times >= failsTwice {
			return fmt.Sprintf("%s %s: %s", s.Verb, s.Ref, s.Error)
		}
	}
	return ""
}

// know takes over what is known now.
func (a *Agent) know(s Standing) {
	a.mu.Lock()
	a.standing = s
	a.mu.Unlock()
}

// Standing gives what the agent knows, and what it keeps up. It may be called from any
// goroutine; ok is false until a spec has loaded.
func (a *Agent) Standing() (s Standing, enforced spec.Desired, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing, a.enforced, a.enforced.Project != ""
}
