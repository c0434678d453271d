package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Past is a run of the history.
type Past struct {
	ID     int64  `json:"id"` // counts up, from 1
	Report Report `json:"report"`
}

// History are runs that did something, the newest first.
type History struct {
	Project string `json:"project"`
	Runs    []Past `json:"runs"`
	// Retention is what was done about the files of Delta tables; nil: the spec has no tables.
	Retention *Retention `json:"retention,omitempty"`
}

// MarshalJSON writes the runs as a list, also if there is none.
func (h History) MarshalJSON() ([]byte, error) {
	type plain History
	if h.Runs == nil {
		h.Runs = []Past{}
	}
	return json.Marshal(plain(h))
}

// Text writes a line for each run.
func (h History) Text(w io.Writer, paint plan.Paint) {
	if len(h.Runs) == 0 {
		fmt.Fprintf(w, "nothing has been done to %s that is remembered here\n", h.Project)
		h.Retention.Text(w, paint)
		return
	}
	fmt.Fprintf(w, "%s\n", paint.On(plan.Bold, fmt.Sprintf("%5s  %-19s  %-12s  %-11s  %7s  %s", "RUN", "WHEN", "REVISION", "OUTCOME", "TOOK", "WHAT")))
	for _, run := range h.Runs {
		r := run.Report
		outcome, colour := r.outcome()
		fmt.Fprintf(w, "%5d  %-19s  %-12s  %s  %7s  %s\n", run.ID, when(r.At), r.Revision.Short(), paint.On(colour, pad(outcome, 11)), Duration(r.Took), r.what())
	}
	fmt.Fprintf(w, "\nOne in full: flumen-agent history RUN\n")
	if h.Retention != nil {
		fmt.Fprintln(w)
		h.Retention.Text(w, paint)
	}
}

// outcome is how a run ended, in a word.
func (r Report) outcome() (word, colour string) {
	switch {
	case r.CutShort:
		return "cut short", plan.Yellow
	case r.Count(RolledBack) > 0:
		return "rolled back", plan.Red
	case r.Err() != nil:
		return "failed", plan.Red
	case !r.Ready:
		return "not ready", plan.Yellow
	}
	return "ready", plan.Green
}

// what names the steps of a run and what made the agent look.
func (r Report) what() string {
	const most = 3
	text := ""
	for i, s := range r.Steps {
		if i == most {
			text += fmt.Sprintf(" and %d more", len(r.Steps)-most)
			break
		}
		if i > 0 {
			text += ", "
		}
		text += string(s.Verb) + " " + s.Ref.String()
	}
	if left := r.Left(); len(r.Steps) == 0 && len(left) > 0 {
		text = "left " + Counted(len(left), "thing") + " behind"
	}
	return text + " (" + r.Trigger + ")"
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// Text writes a run in full.
func (p Past) Text(w io.Writer, paint plan.Paint) {
	r := p.Report
	outcome, colour := r.outcome()
	fmt.Fprintf(w, "%s %s: %s\n", paint.On(plan.Bold, fmt.Sprintf("Run %d", p.ID)), r.Project, paint.On(colour, outcome))
	fmt.Fprintf(w, "  when      %s UTC, for %s\n  looked    because of: %s\n  revision  %s\n", when(r.At), Duration(r.Took), r.Trigger, origin(r.Revision))
	for _, s := range r.Steps {
		fmt.Fprintf(w, "\n  %s %s %s  %s\n", paint.On(s.Outcome.colour(), pad(outcomeWord(s.Outcome), 11)), pad(string(s.Verb), 8), s.Ref, paint.On(plan.Dim, s.Reason))
		s.details(w, paint)
	}
	for _, h := range r.Held {
		fmt.Fprintf(w, "\n  %s %s (rule %s): %s\n", paint.On(plan.Yellow, "held"), h.Ref, h.Rule, h.Reason)
	}
	if r.Fault != "" {
		fmt.Fprintf(w, "\n  %s %s\n", paint.On(plan.Red, "error"), r.Fault)
	}
}

// details are a step's fields, its error and the log that came with it.
func (s Step) details(w io.Writer, paint plan.Paint) {
	plan.FieldsText(w, s.Fields, "      ", paint)
	if s.Error != "" {
		fmt.Fprintf(w, "      %s\n", s.Error)
	}
	for _, line := range s.Log {
		fmt.Fprintf(w, "      %s %s\n", paint.On(plan.Dim, "|"), line)
	}
}

func (o Outcome) colour() string {
	switch {
	case o == Done:
		return plan.Green
	case o == Skipped, o == CalledOff:
		return plan.Dim
	}
	return plan.Red
}

// origin says where a revision came from.
func origin(r spec.Revision) string {
	text := r.Short()
	if r.Subject != "" {
		text += fmt.Sprintf(" %q", r.Subject)
	}
	if r.Source != "" {
		text += " of " + r.Source
	}
	return text
}

// Why is the chain of reasons behind what was last done to a thing, and what would be
// done next.
type Why struct {
	Project string   `json:"project"`
	Ref     spec.Ref `json:"ref"`
	// Usage is how much it holds; nil: nobody tells.
	Usage *drift.Usage `json:"usage,omitempty"`
	Last  *Past        `json:"last"` // nil: nothing is remembered
	Next  Next         `json:"next"`
}

// Next is what would be done to a thing now: nothing, a step, or one that is held.
type Next struct {
	Difference *drift.Difference `json:"difference,omitempty"`
	Verb       plan.Verb         `json:"verb,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Held       *plan.Held        `json:"held,omitempty"`
}

// NextOf finds what a plan says of a thing.
func NextOf(ref spec.Ref, p plan.Plan, d drift.Drift) Next {
	next := Next{}
	if difference, ok := d.Of(ref); ok {
		next.Difference = &difference
	}
	for _, s := range p.Steps() {
		if s.Change.Ref() == ref {
			next.Verb, next.Reason = s.Change.Verb(), s.Reason()
		}
	}
	for _, h := range p.Held {
		if h.Ref == ref {
			next.Held = &h
		}
	}
	return next
}

// Text writes the chain, the last link first.
func (y Why) Text(w io.Writer, paint plan.Paint) {
	fmt.Fprintf(w, "%s\n", paint.On(plan.Bold, y.Ref.String()))
	plan.UsageText(w, y.Usage, "  ", paint)
	y.lastText(w, paint)
	y.Next.text(w, paint)
}

func (y Why) lastText(w io.Writer, paint plan.Paint) {
	if y.Last == nil {
		fmt.Fprintf(w, "\n  last: nothing that is remembered here\n")
		return
	}
	r := y.Last.Report
	for _, s := range r.Steps {
		if s.Ref != y.Ref {
			continue
		}
		fmt.Fprintf(w, "\n  last: %s, %s, at %s UTC in run %d\n", s.Verb, paint.On(s.Outcome.colour(), outcomeWord(s.Outcome)), when(r.At), y.Last.ID)
		fmt.Fprintf(w, "      since it %s\n", s.Reason)
		s.details(w, paint)
		fmt.Fprintf(w, "      by revision %s\n      the agent looked because of: %s\n", origin(r.Revision), r.Trigger)
	}
	for _, h := range r.Held {
		if h.Ref == y.Ref && h.Rule == plan.RuleLeft {
			fmt.Fprintf(w, "\n  last: left behind, at %s UTC in run %d\n      since %s\n      by revision %s\n", when(r.At), y.Last.ID, h.Reason, origin(r.Revision))
		}
	}
}

func (n Next) text(w io.Writer, paint plan.Paint) {
	switch {
	case n.Verb != "":
		fmt.Fprintf(w, "\n  next: %s, since it %s\n", n.Verb, n.Reason)
	case n.Held != nil:
		fmt.Fprintf(w, "\n  next: nothing; rule %s: %s\n", paint.On(plan.Yellow, n.Held.Rule), n.Held.Reason)
	case n.Difference != nil:
		fmt.Fprintf(w, "\n  next: nothing, though it is %s: %s\n", n.Difference.Verdict, n.Difference.Reason)
	default:
		fmt.Fprintf(w, "\n  next: nothing, %s\n", cmp.Or(n.Reason, "it is as it should be"))
		return
	}
	if n.Difference != nil {
		plan.FieldsText(w, n.Difference.Fields, "      ", paint)
	}
}
