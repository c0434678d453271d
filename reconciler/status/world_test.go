package status_test

import (
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const desired = `
project lake
tier foundation
volume data
service db image=db:1 volume=data:/data
service store image=store:1
bucket warehouse in=store
tier sql
service trino image=trino:1 env.TZ=UTC
`

// run is the report of a run that did nothing and saw this.
func run(t *testing.T, at time.Time, observed string) report.Report {
	t.Helper()
	want, err := sketch.Desired(desired)
	if err != nil {
		t.Fatal(err)
	}
	have, err := sketch.Observed(want, observed)
	if err != nil {
		t.Fatal(err)
	}
	rep := report.Report{Project: want.Project, Revision: want.Revision, At: at, Took: 20 * time.Millisecond}
	rep.After = drift.Compare(want, have)
	rep.Ready = rep.After.InSync()
	rep.Saw(want, have, rep.After)
	return rep
}

// board is one of an agent that says this of itself.
func board(s status.Standing) *status.Board {
	return status.New(status.Options{Version: "v1.2.3", Standing: func() (status.Standing, bool) { return s, s.Verdict != "" },
		Notified: func() (sent, dropped int) { return 3, 1 }, Tables: func() *status.Tables { return lookedAt }})
}

// lookedAt is what a look at tables came to that are not all well.
var lookedAt = &status.Tables{At: noon.Add(10 * time.Minute), Unseen: 1, All: []status.Table{
	{Name: "bronze.events", Standing: status.TableReclaimable, Findings: map[string]int{"note": 2}, Holds: map[string]status.Amount{"live": {Files: 310, Bytes: 4000}, "can_go": {Files: 1204, Bytes: 9000}}},
	{Name: "silver.orders", Standing: status.TableRefused, Findings: map[string]int{"note": 1, "refuse": 1}, Holds: map[string]status.Amount{"live": {Files: 7, Bytes: 70}, "can_go": {}}},
}}

// good is what an agent says that is well.
var good = status.Standing{
	Kept: report.Kept{
		Wanted: spec.Revision{ID: "4d1c"}, Enforced: spec.Revision{ID: "4d1c"}, Verdict: report.VerdictInSync,
		Looked: noon, Degraded: []spec.Ref{}, Quarantined: []spec.Revision{},
	},
	Holds: true,
}

// bad is what one says that is not, in all ways.
var bad = status.Standing{
	Kept: report.Kept{
		Wanted: spec.Revision{ID: "4d1c"}, Enforced: spec.Revision{ID: "0000"}, Verdict: report.VerdictUnknown, Paused: true, Trouble: "no route to host",
		Looked: noon.Add(-time.Hour), Degraded: []spec.Ref{spec.InstanceRef("trino", 1)}, Quarantined: []spec.Revision{{ID: "4d1c"}},
	},
	Fetched: noon.Add(-time.Hour),
}

// troubled is a board on which each metric has something to tell.
func troubled(t *testing.T) *status.Board {
	b := board(bad)
	b.Reported(run(t, noon, "everything"))
	healed := run(t, noon.Add(time.Minute), "everything")
	healed.Steps = startedSteps
	b.Reported(healed)
	failed := run(t, noon.Add(time.Hour), "everything\nservice trino env.TZ=CET\nno bucket warehouse\nbucket kept holds=1204/94489280512\nservice old running")
	failed.Steps = []report.Step{{Verb: plan.VerbReplace, Ref: spec.InstanceRef("trino", 1), Outcome: report.RolledBack, Took: 40 * time.Second}}
	failed.Held = []plan.Held{{Ref: spec.Ref{Kind: spec.KindBucket, Name: "warehouse"}, Rule: "backoff"}}
	failed.Took = time.Minute
	failed.Status.Window = &plan.Window{Closed: true}
	b.Reported(failed)
	b.Checked(noon.Add(30 * time.Minute))
	return b
}

// startedSteps are of a run that started something.
var startedSteps = []report.Step{{Verb: plan.VerbStart, Ref: spec.InstanceRef("db", 1), Outcome: report.Done, Took: 2 * time.Second}}

// get asks a board and gives the answer.
func get(t *testing.T, b *status.Board, path string) (code int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}
