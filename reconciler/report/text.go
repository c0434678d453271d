package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// Text writes the report for people: what failed and why, what is held, one line that
// says how things stand, and what bounded the run.
func (r Report) Text(w io.Writer, paint plan.Paint) {
	for _, s := range r.Steps {
		if s.Outcome != Done {
			s.text(w, paint)
		}
	}
	r.TextOfLeft(w, paint)
	for _, h := range r.Held {
		fmt.Fprintf(w, "%s %s (rule %s): %s\n", paint.On(plan.Yellow, "held"), h.Ref, h.Rule, h.Reason)
	}
	for _, d := range r.unexplained() {
		fmt.Fprintf(w, "%s %s: %s\n", paint.On(plan.Yellow, string(d.Verdict)), d.Ref, reason(d))
		plan.FieldsText(w, d.Fields, "    ", paint)
	}
	if r.Fault != "" {
		fmt.Fprintf(w, "%s %s\n", paint.On(plan.Red, "error"), r.Fault)
	}
	fmt.Fprintln(w, r.Summary(paint))
	fmt.Fprint(w, paint.On(plan.Dim, r.pathText()))
}

// unexplained are the differences that are left though no step for them failed and nothing of
// them is held.
func (r Report) unexplained() drift.Drift {
	return slices.DeleteFunc(slices.Clone(r.After), func(d drift.Difference) bool {
		return slices.ContainsFunc(r.Held, func(h plan.Held) bool { return h.Ref == d.Ref }) ||
			slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Ref == d.Ref && s.Outcome != Done })
	})
}

// TextOfLeft writes what data the run left that nothing uses any more.
func (r Report) TextOfLeft(w io.Writer, paint plan.Paint) {
	for _, s := range r.Steps {
		for _, what := range s.Left {
			fmt.Fprintf(w, "%s %s: its data stays, and nothing uses it any more\n", paint.On(plan.Yellow, "left"), what)
		}
	}
}

func (s Step) text(w io.Writer, paint plan.Paint) {
	colour := plan.Red
	if s.Outcome == Skipped || s.Outcome == CalledOff {
		colour = plan.Dim
	}
	fmt.Fprintf(w, "%s %s %s: %s\n", paint.On(colour, outcomeWord(s.Outcome)), s.Verb, s.Ref, s.Error)
	for _, line := range s.Log {
		fmt.Fprintf(w, "    %s %s\n", paint.On(plan.Dim, "|"), line)
	}
}

func outcomeWord(o Outcome) string { return strings.ReplaceAll(string(o), "_", " ") }

// Summary is the report in one line.
func (r Report) Summary(paint plan.Paint) string {
	took := Duration(r.Took)
	failed := r.Failures()
	switch {
	case r.Fault != "" || failed > 0:
		return fmt.Sprintf("%s %s is not as revision %s says: %d of %s done, %d failed, %d skipped, %d held, in %s.",
			paint.On(plan.Red, "✗"), r.Project, r.Revision.Short(), r.Count(Done), Counted(len(r.Steps), "step"), failed, r.Count(Skipped)+r.Count(CalledOff), len(r.Held), took)
	case len(r.Held) > 0:
		return fmt.Sprintf("%s %s: %s done, %d held back, in %s.",
			paint.On(plan.Yellow, "!"), r.Project, Counted(r.Count(Done), "step"), len(r.Held), took)
	case len(r.Steps) == 0 && !r.Ready:
		return fmt.Sprintf("%s %s is not as revision %s says: %s; nothing was changed.",
			paint.On(plan.Yellow, "!"), r.Project, r.Revision.Short(), Counted(len(r.After), "difference"))
	case len(r.Steps) == 0:
		return fmt.Sprintf("%s %s is as revision %s says; nothing to do (looked in %s).",
			paint.On(plan.Green, "✓"), r.Project, r.Revision.Short(), took)
	case !r.Ready:
		return fmt.Sprintf("%s %s changed again while the run went on: %s done, %s left, in %s.",
			paint.On(plan.Yellow, "!"), r.Project, Counted(r.Count(Done), "step"), Counted(len(r.After), "difference"), took)
	default:
		return fmt.Sprintf("%s %s is as revision %s says: %s done, everything ready, in %s.",
			paint.On(plan.Green, "✓"), r.Project, r.Revision.Short(), Counted(r.Count(Done), "step"), took)
	}
}

// Counted writes a number of things: "1 step", "2 steps".
func Counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Duration writes a time span as people do: 340ms, 2.4s, 1m12s.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}
