package notify_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func holding(rule string) report.Report {
	rep := drifted()
	rep.Held = []plan.Held{{Ref: db, Rule: rule, Reason: "because"}}
	return rep
}

func TestWorstThatHoldsIsTheCondition(t *testing.T) {
	cutOff := calm()
	cutOff.Fault = "the engine does not answer"
	older := spec.Revision{ID: "0a0a"}
	bad := report.Kept{Wanted: rev, Enforced: older, Quarantined: []spec.Revision{rev}}
	back, backBroken := calm(), broken()
	back.Revision, backBroken.Revision = older, older
	worn := report.Kept{Wanted: rev, Enforced: rev, Degraded: []spec.Ref{db}}
	mended := report.Kept{Wanted: rev, Enforced: rev, Quarantined: []spec.Revision{older}}
	for name, c := range map[string]struct {
		rep  report.Report
		kept report.Kept
		want notify.State
	}{
		"all is well":                       {calm(), kept, notify.State{Condition: notify.InSync}},
		"an earlier revision is bad":        {calm(), mended, notify.State{Condition: notify.InSync}},
		"something differs":                 {drifted(), kept, notify.State{Condition: notify.Drift}},
		"a rule holds":                      {holding(plan.RuleForeign), kept, notify.State{Condition: notify.Held}},
		"it waits to be tried again":        {holding(plan.RuleBackoff), kept, notify.State{Condition: notify.Failed}},
		"a step failed":                     {broken(), kept, notify.State{Condition: notify.Failed}},
		"the run failed":                    {cutOff, kept, notify.State{Condition: notify.Failed}},
		"the revision failed just now":      {broken(), bad, notify.State{Condition: notify.Quarantined, Revision: rev.ID}},
		"the last good one is kept up":      {back, bad, notify.State{Condition: notify.Quarantined, Revision: rev.ID}},
		"the last good one fails too":       {backBroken, bad, notify.State{Condition: notify.Failed}},
		"it failed too often":               {holding(plan.RuleBackoff), worn, notify.State{Condition: notify.Degraded}},
		"it failed too often, and just now": {broken(), worn, notify.State{Condition: notify.Degraded}},
	} {
		if got := notify.Of(c.rep, c.kept); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
