package report

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// step is one that began and ended at these seconds of the run.
func step(tier string, s *spec.Service, verb plan.Verb, began, ended float64) Step {
	return Step{Tier: tier, Verb: verb, Ref: s.Ref(), Outcome: Done, Began: after(began), Took: seconds(ended - began)}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
func after(n float64) time.Time       { return at.Add(seconds(n)) }

func (s Step) waiting(on *spec.Service, until string, when float64) Step {
	s.Waited = &Waited{on.Ref(), until, after(when)}
	return s
}

var (
	cache = &spec.Service{Name: "cache", Number: 1, Container: "p-cache-1"}
	side  = &spec.Service{Name: "side", Number: 1, Container: "p-side-1"}
	// converged: seed waits for a healthy db, web's tier for the slower of the two below, and
	// side only for web to be started.
	converged = Report{Project: "p", Revision: revision, At: at, Took: seconds(15), Ready: true, Steps: []Step{
		step("base", cache, plan.VerbCreate, 0.5, 2.5),
		step("base", db, plan.VerbCreate, 0.5, 4),
		step("base", seed, plan.VerbCreate, 4.5, 7).waiting(db, "ready", 4),
		{Tier: "base", Verb: plan.VerbCreate, Ref: spec.Ref{Kind: spec.KindService, Name: "never"}, Outcome: Skipped},
		step("top", web, plan.VerbCreate, 7, 9),
		step("top", side, plan.VerbStart, 8, 14).waiting(web, "started", 8),
	}}
)

func TestPathIsTheChainOfStepsThatBoundedARun(t *testing.T) {
	create, start := plan.VerbCreate, plan.VerbStart
	want := Path{
		{"base", create, db.Ref(), seconds(0.5), seconds(3.5)},
		{"base", create, seed.Ref(), seconds(0.5), seconds(2.5)},
		{"top", create, web.Ref(), 0, seconds(1)}, // until side could begin, not until it was ready
		{"top", start, side.Ref(), 0, seconds(6)},
	}
	path := converged.Path()
	if diff := cmp.Diff(want, path); diff != "" {
		t.Error(diff)
	}
	all := path.Took()
	for _, link := range path {
		all += link.Idle
	}
	if all != seconds(14) {
		t.Errorf("it accounts for %s of the 14 s until the last step ended", all)
	}
}

func TestRunThatDidNothingHasNoPath(t *testing.T) {
	if path := (Report{At: at, Took: time.Second, Ready: true}).Path(); path != nil {
		t.Errorf("%s", path)
	}
}

func TestPathOfADamagedHistoryEnds(t *testing.T) {
	r := Report{At: at, Steps: []Step{
		step("base", db, plan.VerbCreate, 1, 2).waiting(web, "ready", 3),
		step("base", web, plan.VerbCreate, 1, 2).waiting(web, "ready", 3),
	}}
	if path := r.Path(); len(path) != 1 {
		t.Errorf("%s", path)
	}
}

func TestReportSaysWhatBoundedTheRun(t *testing.T) {
	out := text(func(b *strings.Builder) { converged.Text(b, false) })
	const want = "\n  critical path 13.0s of 15.0s: service/db 3.5s → service/seed 2.5s → service/web 1.0s → service/side 6.0s"
	if !strings.HasSuffix(out, want) {
		t.Errorf("it does not end with %q:\n%s", want, out)
	}
}

func TestStatusTellsHowLongEachTookAndWhatItWaitedFor(t *testing.T) {
	healed := Report{At: at.Add(time.Hour), Took: seconds(3), Ready: true, Steps: []Step{step("base", db, plan.VerbStart, 3601, 3602.5), step("base", cache, plan.VerbRemove, 3601, 3602)}}
	have := observed(found(db, drift.Healthy), found(seed, drift.Done), found(web, drift.Healthy))
	s := NewStatus(want, have, drift.Compare(want, have))
	s.Remember([]Past{{ID: 7, Report: healed}, {ID: 4, Report: converged}})
	expected := strings.TrimSpace(`
p at revision 3fa9c0d1e2b4: ready
  last brought up at 2026-03-01 13:00:00 UTC in 3.0s (run 7); critical path 1.5s: service/db 1.5s

  tier base  ready
    ✓ service/db                       healthy     for 1h30m, ready in 1.5s
    ✓ service/seed                     done        for 1h30m, done in 2.5s after waiting 4.5s for service/db

  tier top  ready
    ✓ service/web                      healthy     for 1h30m, ready in 2.0s after waiting 7.0s for service/seed`)
	if diff := cmp.Diff(expected, text(func(b *strings.Builder) { s.Text(b, false) })); diff != "" {
		t.Error(diff)
	}
}
