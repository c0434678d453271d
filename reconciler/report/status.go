package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Status is how a project stands: every resource of every tier and what it does.
type Status struct {
	Project  string        `json:"project"`
	Revision spec.Revision `json:"revision"`
	At       time.Time     `json:"at"`
	Ready    bool          `json:"ready"`
	Tiers    []TierStatus  `json:"tiers"`
	// Kept is what is remembered of how the project is kept up; nil: nothing is.
	Kept *Kept `json:"kept,omitempty"`
	// Window is whether changes that interrupt may be made; nil: the spec does not say when.
	Window *plan.Window `json:"window,omitempty"`
	// Retention is when the files of Delta tables were looked after; nil: the spec has no tables.
	Retention *Retention `json:"retention,omitempty"`
	// Converged is the last run that brought services up; nil: none is remembered.
	Converged *Converged `json:"converged,omitempty"`
	// Extra is what belongs to the project and no tier declares.
	Extra []ResourceStatus `json:"extra,omitempty"`
}

// TierStatus is how one tier stands.
type TierStatus struct {
	Name      string           `json:"name"`
	Ready     bool             `json:"ready"`
	Resources []ResourceStatus `json:"resources"`
}

// ResourceStatus is how one thing stands.
type ResourceStatus struct {
	Ref      spec.Ref      `json:"ref"`
	State    drift.State   `json:"state"`             // "missing" when it is not there, "pending" when that cannot be known yet, "unknown" when it could not be seen
	Verdict  drift.Verdict `json:"verdict,omitempty"` // in what way it differs; "" when it does not
	ID       string        `json:"id,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
	ExitCode *int          `json:"exit_code,omitempty"`
	OOM      bool          `json:"out_of_memory,omitempty"`
	Restarts int           `json:"restarts,omitempty"`
	Usage    *drift.Usage  `json:"usage,omitempty"` // of a bucket; nil: its store does not tell
	Reason   string        `json:"reason,omitempty"`
	Became   *Became       `json:"became,omitempty"` // nil: it is not remembered
	Log      []string      `json:"log,omitempty"`    // the last lines of a service that is not well
}

// NewStatus sums up one look.
func NewStatus(want spec.Desired, have drift.Observed, d drift.Drift) Status {
	s := Status{Project: want.Project, Revision: want.Revision, At: have.At, Ready: true}
	for _, tier := range want.Tiers {
		t := TierStatus{Name: tier.Name, Ready: true}
		for _, r := range tier.Resources {
			one := resourceStatus(r.Ref(), have, d)
			t.Ready = t.Ready && !one.Unwell()
			t.Resources = append(t.Resources, one)
		}
		s.Ready = s.Ready && t.Ready
		s.Tiers = append(s.Tiers, t)
	}
	for _, difference := range d {
		if difference.Want == nil && difference.Tier == "" {
			s.Extra = append(s.Extra, resourceStatus(difference.Ref, have, d))
		}
	}
	return s
}

func resourceStatus(ref spec.Ref, have drift.Observed, d drift.Drift) ResourceStatus {
	s := ResourceStatus{Ref: ref, State: "missing"}
	if difference, differs := d.Of(ref); differs {
		s.Verdict, s.Reason = difference.Verdict, difference.Reason
	}
	if reason, unseen := have.Unseen(ref); unseen && s.Verdict != drift.Pending {
		s.State, s.Reason = drift.Unknown, reason
		return s
	}
	found, ok := have.Found[ref]
	switch {
	case s.Verdict == drift.Pending:
		s.State = "pending"
		return s
	case !ok:
		return s
	}
	s.State, s.ID, s.OOM, s.Restarts, s.Usage = found.State, found.ID, found.OOM, found.Restarts, found.Usage
	if !found.Since.IsZero() {
		s.Since = &found.Since
	}
	if ref.Kind == spec.KindService && (found.State == drift.Exited || found.State == drift.Done || found.State == drift.Restarting) {
		s.ExitCode = &found.ExitCode
	}
	return s
}

// Unwell tells whether the thing does not do its work, so that a person would look
// at its log. A service that runs with other attributes than wanted is not unwell.
func (r ResourceStatus) Unwell() bool {
	switch r.State {
	case drift.Present, drift.Running, drift.Healthy:
		return r.Verdict == drift.Foreign
	case drift.Done:
		return r.Verdict == drift.Down
	}
	return true
}

// Text writes the status for people.
func (s Status) Text(w io.Writer, paint plan.Paint) {
	fmt.Fprintf(w, "%s at revision %s: %s\n", paint.On(plan.Bold, s.Project), s.Revision.Short(), readyWord(s.Ready, paint))
	s.Kept.text(w, s.At, paint)
	if s.Window != nil {
		fmt.Fprintf(w, "  window for changes that interrupt: %s\n", s.Window)
	}
	s.Retention.text(w, s.At)
	if s.Converged != nil {
		fmt.Fprintf(w, "  %s\n", s.Converged.text())
	}
	for _, t := range s.Tiers {
		fmt.Fprintf(w, "\n  %s  %s\n", paint.On(plan.Bold, "tier "+t.Name), readyWord(t.Ready, paint))
		for _, r := range t.Resources {
			r.text(w, s.At, paint)
		}
	}
	if len(s.Extra) > 0 {
		fmt.Fprintf(w, "\n  %s\n", paint.On(plan.Bold, "in no tier"))
		for _, r := range s.Extra {
			r.text(w, s.At, paint)
		}
	}
}

func readyWord(ready bool, paint plan.Paint) string {
	if ready {
		return paint.On(plan.Green, "ready")
	}
	return paint.On(plan.Red, "not ready")
}

func (r ResourceStatus) text(w io.Writer, at time.Time, paint plan.Paint) {
	mark, colour := "✓", plan.Green
	switch {
	case r.Unwell():
		mark, colour = "✗", plan.Red
	case r.Verdict != "":
		mark, colour = "~", plan.Yellow
	}
	fmt.Fprintf(w, "    %s %s %s %s\n", paint.On(colour, mark), pad(r.Ref.String(), 32), pad(string(r.State), 11), paint.On(plan.Dim, r.details(at)))
	for _, line := range r.Log {
		fmt.Fprintf(w, "        %s %s\n", paint.On(plan.Dim, "|"), line)
	}
}

// details is the rest of what is known, in a few words.
func (r ResourceStatus) details(at time.Time) string {
	var parts []string
	if r.Since != nil && r.Ref.Kind == spec.KindService {
		parts = append(parts, "for "+age(at.Sub(*r.Since)))
	}
	if r.Became != nil && !r.Unwell() {
		parts = append(parts, r.Became.text(r.State == drift.Done))
	}
	if r.ExitCode != nil && (*r.ExitCode != 0 || r.State != drift.Done) {
		parts = append(parts, fmt.Sprintf("exit code %d", *r.ExitCode))
	}
	if r.OOM {
		parts = append(parts, "killed for want of memory")
	}
	if r.Restarts > 0 {
		parts = append(parts, Counted(r.Restarts, "restart"))
	}
	if r.Usage != nil {
		parts = append(parts, r.Usage.String())
	}
	if r.Verdict != "" {
		parts = append(parts, string(r.Verdict))
	}
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	return strings.Join(parts, ", ")
}

// age writes a long time span in its largest units.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
