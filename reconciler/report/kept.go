package report

import (
	"fmt"
	"io"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Kept is how a project is kept up: by whom, at which revision, and what keeps it from
// being another one.
type Kept struct {
	Agent    string        `json:"agent,omitempty"` // the process of the agent that holds the project, if one does
	Wanted   spec.Revision `json:"wanted"`
	Enforced spec.Revision `json:"enforced"`
	// Summary says what is in force in words: a pause, a pin, a revision that failed.
	Summary  string     `json:"summary"`
	Trouble  string     `json:"trouble,omitempty"` // why the newest revision cannot be had
	Since    time.Time  `json:"trouble_since,omitzero"`
	Paused   bool       `json:"paused"`
	Degraded []spec.Ref `json:"degraded"` // failed too often, and are tried only now and then
	// Quarantined are the revisions that failed and are not tried again by themselves.
	Quarantined []spec.Revision `json:"quarantined"`
	// Looked is when what runs was last looked at, InSync what was found. When that is
	// too long ago, Verdict is "unknown".
	Looked  time.Time `json:"looked,omitzero"`
	Verdict string    `json:"verdict"` // "in sync", "drift" or "unknown"
}

// The verdicts of a look that may be a while ago.
const (
	VerdictInSync  = "in sync"
	VerdictDrift   = "drift"
	VerdictUnknown = "unknown"
)

// VerdictOf says what a look at that time is still worth: what is older than bound is not
// known any more.
func VerdictOf(at time.Time, inSync bool, now time.Time, bound time.Duration) string {
	switch {
	case at.IsZero() || now.Sub(at) > bound || at.After(now.Add(bound)):
		return VerdictUnknown
	case inSync:
		return VerdictInSync
	}
	return VerdictDrift
}

// text writes what is in force, and what a look of the agent's own has found.
func (k *Kept) text(w io.Writer, at time.Time, paint plan.Paint) {
	if k == nil {
		return
	}
	colour := plan.Dim
	if k.Paused || k.Wanted.ID != k.Enforced.ID {
		colour = plan.Yellow
	}
	by := "no flumen-agent holds the project"
	if k.Agent != "" {
		by = "flumen-agent, process " + k.Agent
	}
	fmt.Fprintf(w, "  %s: %s\n", by, paint.On(colour, k.Summary))
	if k.Trouble != "" {
		since := ""
		if before := at.Sub(k.Since); !k.Since.IsZero() && before >= time.Second {
			since = " for " + age(before)
		}
		fmt.Fprintf(w, "  %s %s\n", paint.On(plan.Red, "the newest revision cannot be had"+since+":"), k.Trouble)
	}
	looked := Duration(max(0, at.Sub(k.Looked))) // an agent may have looked since at
	switch {
	case k.Looked.IsZero():
	case k.Verdict == VerdictUnknown && k.Looked.After(at):
		fmt.Fprintf(w, "  last looked at %s, which is yet to come by this clock: how things stand is unknown\n", k.Looked.UTC().Format(time.DateTime+" UTC"))
	case k.Verdict == VerdictUnknown:
		fmt.Fprintf(w, "  last looked %s ago: how things stand since is unknown\n", looked)
	default:
		fmt.Fprintf(w, "  last looked %s ago: %s\n", looked, k.Verdict)
	}
	for _, ref := range k.Degraded {
		fmt.Fprintf(w, "  %s %s failed too often, and is tried only now and then; at once with: flumen-agent apply\n", paint.On(plan.Red, "degraded"), ref)
	}
}
