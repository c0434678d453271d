package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
)

func (a *Agent) say(rep report.Report, e enforcement) {
	a.sayLeft(rep)
	attrs := []any{"revision", rep.Revision.Short(), "cause", rep.Trigger, "took", rep.Took.Round(time.Millisecond)}
	watches := a.watches(e.want)
	switch {
	case rep.Fault != "":
		a.sayOnce(slog.LevelError, "run failed", "err", rep.Fault, "revision", rep.Revision.Short())
	case rep.Err() != nil:
		a.said = ""
		a.Log.Error("run ended with failures", append(attrs, "failed", rep.Failures())...)
	case len(rep.Steps) > 0:
		a.said = ""
		a.Log.Info("run done", append(attrs, "steps", len(rep.Steps), "ready", rep.Ready)...)
	case watches != "" && len(rep.After) > 0:
		a.sayOnce(slog.LevelWarn, "drift found, nothing is changed", "cause", watches, "differences", len(rep.After), "revision", rep.Revision.Short())
	case rep.Ready && len(rep.Held) == 0:
		a.sayOnce(slog.LevelInfo, "in sync", "revision", rep.Revision.Short())
	default:
		attrs := []any{"held", len(rep.Held), "ready", rep.Ready, "revision", rep.Revision.Short()}
		first, why := firstHeld(rep.Held)
		a.sayAs(fmt.Sprint("held", attrs, first), slog.LevelWarn, "steps are held", append(append(attrs, first...), why...)...)
	}
}

// sayLeft says what a revision that is in force by now leaves behind in a store.
func (a *Agent) sayLeft(rep report.Report) {
	for _, h := range rep.Held {
		if h.Rule == plan.RuleLeft && worthKeeping(rep) {
			a.Log.Warn("left behind", "ref", h.Ref.String(), "cause", h.Reason, "revision", rep.Revision.Short())
		}
	}
}

// sayCondemned says that a revision has failed, and what is kept up instead.
func (a *Agent) sayCondemned(rep report.Report) {
	good, _ := a.standing.LastGood()
	q, _ := a.standing.quarantined(rep.Revision)
	a.Log.Error("revision failed, the last good one is kept up", "revision", rep.Revision.Short(), "good", good.Short(), "cause", q.Reason)
}

// firstHeld names one held thing, one that does not work if there is any, so that the log says
// where to look, and why it is held, which may count down.
func firstHeld(held []plan.Held) (first, why []any) {
	if len(held) == 0 {
		return nil, nil
	}
	h := slices.MinFunc(held, func(a, b plan.Held) int { return cmp.Compare(urgency(a), urgency(b)) })
	return []any{"ref", h.Ref.String(), "rule", h.Rule}, []any{"cause", h.Reason}
}

// urgency is least for what is to be named first.
func urgency(h plan.Held) int {
	switch {
	case !h.Works:
		return 0
	case h.Rule != plan.RuleNeeds: // else something else is the reason
		return 1
	}
	return 2
}

// sayOnce logs something when it is another thing than the last.
func (a *Agent) sayOnce(level slog.Level, msg string, args ...any) {
	a.sayAs(fmt.Sprint(msg, args), level, msg, args...)
}

// sayAs logs something when the condition is another one than the last.
func (a *Agent) sayAs(condition string, level slog.Level, msg string, args ...any) {
	if a.said == condition {
		return
	}
	a.said = condition
	a.Log.Log(context.Background(), level, msg, args...)
}
