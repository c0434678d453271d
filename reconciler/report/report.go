// Package report says what a run did, and how things stand: a Report of one run and
// a Status of the project, as text for people and JSON for machines.
//
// The package is pure: it turns values into values and text.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	Done       Outcome = "done"
	Failed     Outcome = "failed"
	RolledBack Outcome = "rolled_back" // it failed, and what was there before runs again
	Skipped    Outcome = "skipped"     // its turn never came
	Stale      Outcome = "stale"       // what it was about had changed since it was looked at
	CalledOff  Outcome = "called_off"  // something else had failed; what was there before runs on
)

// Step is one step of a run and what became of it.
type Step struct {
	Tier    string        `json:"tier"`
	Verb    plan.Verb     `json:"verb"`
	Ref     spec.Ref      `json:"ref"`
	Reason  string        `json:"reason"`
	Fields  []drift.Field `json:"fields,omitempty"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Log     []string      `json:"log,omitempty"` // the last lines of what failed
	// Left names data that nothing uses any more: volumes without a name, of containers
	// that are gone.
	Left []string `json:"left,omitempty"`
	// Unready: it was made or started, and did not become ready.
	Unready bool `json:"unready,omitempty"`
	// Began is when its turn came; zero: it never did.
	Began time.Time     `json:"began,omitzero"`
	Took  time.Duration `json:"took_ns"`
	// Waited is what its turn waited for; nil: for nothing of its own stage.
	Waited *Waited `json:"waited_for,omitempty"`
}

// Report is one run: what was found, what was done about it, and what is left.
type Report struct {
	Project  string        `json:"project"`
	Revision spec.Revision `json:"revision"`
	Trigger  string        `json:"trigger"` // what made the agent look
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took_ns"`
	Before   drift.Drift   `json:"differences"`
	Steps    []Step        `json:"steps"`
	Held     []plan.Held   `json:"held"`
	// After is what still differs, seen after the last step. Nil when the run ended
	// before it could look again.
	After drift.Drift `json:"after"`
	// Ready: everything was seen to be as it should be, after the last step. What is
	// held and works as it is does not count against it.
	Ready bool `json:"ready"`
	// Status is how everything stood at the last look of the run; nil when there was none.
	// It is for those who show it at once: history keeps what has changed, not what stood.
	Status *Status `json:"-"`
	// Fault is why the run could not be carried out at all, or was cut short.
	Fault string `json:"fault,omitempty"`
	// Beside: it brought things back while another run went on.
	Beside bool `json:"beside,omitempty"`
	// CutShort: it was ended on purpose before its time, and has failed at nothing.
	CutShort bool `json:"cut_short,omitempty"`
}

// MarshalJSON writes lists as lists, also those that are empty.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	if r.Steps == nil {
		r.Steps = []Step{}
	}
	if r.Held == nil {
		r.Held = []plan.Held{}
	}
	if r.Before == nil {
		r.Before = drift.Drift{}
	}
	if r.After == nil && !r.CutShort && r.Fault == "" {
		r.After = drift.Drift{}
	}
	return json.Marshal(plain(r))
}

// Saw takes in what a look of the run has shown.
func (r *Report) Saw(want spec.Desired, have drift.Observed, d drift.Drift) {
	status := NewStatus(want, have, d)
	r.Status = &status
}

// Err joins everything that failed, or is nil.
func (r Report) Err() error {
	var all *multierror.Error
	if r.Fault != "" {
		all = multierror.Append(all, errors.New(r.Fault))
	}
	for _, s := range r.Steps {
		if s.Outcome.failed() {
			all = multierror.Append(all, fmt.Errorf("%s %s: %s", s.Verb, s.Ref, s.Error))
		}
	}
	return all.ErrorOrNil()
}

// Left are the things that the run says were left behind in stores.
func (r Report) Left() (refs []spec.Ref) {
	for _, h := range r.Held {
		if h.Rule == plan.RuleLeft {
			refs = append(refs, h.Ref)
		}
	}
	return refs
}

// Tells are the things whose history the run belongs to: it did something to them, or is
// the last that speaks of them.
func (r Report) Tells() (refs []spec.Ref) {
	for _, s := range r.Steps {
		if s.Verb != plan.VerbWait {
			refs = append(refs, s.Ref)
		}
	}
	return append(refs, r.Left()...)
}

func (o Outcome) failed() bool { return o == Failed || o == RolledBack || o == Stale }

// Failures is the number of steps that failed, whatever came after.
func (r Report) Failures() int { return r.Count(Failed) + r.Count(RolledBack) + r.Count(Stale) }

// Count is the number of steps with that outcome.
func (r Report) Count(o Outcome) int {
	n := 0
	for _, s := range r.Steps {
		if s.Outcome == o {
			n++
		}
	}
	return n
}
