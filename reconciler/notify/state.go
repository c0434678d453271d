package notify

import (
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// Condition is how a project stands, in one word.
type Condition string

// The conditions, best first.
const (
	InSync      Condition = "in_sync"     // all is as it should be
	Drift       Condition = "drift"       // something differs, and nothing is done about it
	Held        Condition = "held"        // something is to be done, and a rule holds it
	Quarantined Condition = "quarantined" // the newest revision has failed, an earlier one is kept up
	Failed      Condition = "failed"      // a run or a step failed; it is tried again
	Degraded    Condition = "degraded"    // something failed so often that it is tried only now and then
)

// State is what receivers are told of: another State is worth a message. The zero State is
// that of nobody having been told anything.
type State struct {
	Condition Condition `json:"condition"`
	// Revision is the ID of the one that is quarantined: another one is news.
	Revision string `json:"revision,omitempty"`
}

// Of says how a project stands after a run. kept is what is known after it.
func Of(rep report.Report, kept report.Kept) State {
	wanted := kept.Wanted.ID
	bad := slices.ContainsFunc(kept.Quarantined, func(r spec.Revision) bool { return r.ID == wanted })
	quarantined := State{Quarantined, wanted}
	switch {
	case bad && rep.Revision.ID == wanted: // it is what this run has failed at
		return quarantined
	case len(kept.Degraded) > 0:
		return State{Condition: Degraded}
	case rep.Fault != "" || rep.Failures() > 0 || waits(rep.Held):
		return State{Condition: Failed}
	case bad:
		return quarantined
	case len(rep.Held) > 0:
		return State{Condition: Held}
	case !rep.After.InSync():
		return State{Condition: Drift}
	}
	return State{Condition: InSync}
}

// waits tells whether something that has failed waits for its turn to be tried again.
func waits(held []plan.Held) bool {
	return slices.ContainsFunc(held, func(h plan.Held) bool { return h.Rule == plan.RuleBackoff })
}
