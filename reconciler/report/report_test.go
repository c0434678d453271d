package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

var (
	at       = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	db       = &spec.Service{Name: "db", Number: 1, Container: "p-db-1", Image: "db:1"}
	web      = &spec.Service{Name: "web", Number: 1, Container: "p-web-1", Image: "web:1"}
	seed     = &spec.Service{Name: "seed", Number: 1, Container: "p-seed-1", Image: "db:1", Job: true}
	revision = spec.Revision{ID: "3fa9c0d1e2b4aaaaaaaa", Source: "flumen.yaml"}
	want     = spec.Desired{Project: "p", Revision: revision, Tiers: []spec.Tier{
		{Name: "base", Resources: []spec.Resource{db, seed}},
		{Name: "top", Resources: []spec.Resource{web}},
	}}
)

func found(s *spec.Service, state drift.State) drift.Found {
	return drift.Found{Ref: s.Ref(), ID: "id-" + s.Name, Owned: true, State: state, Fields: s.Fields(), Since: at.Add(-90 * time.Minute)}
}

func observed(all ...drift.Found) drift.Observed {
	have := drift.Observed{At: at, Found: map[spec.Ref]drift.Found{}}
	for _, f := range all {
		have.Found[f.Ref] = f
	}
	return have
}

// text is what a value prints in a pipe, without the spaces at line ends.
func text(write func(*strings.Builder)) string {
	var b strings.Builder
	write(&b)
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n")
}

func TestStatusTellsStateAgeExitCodeAndLog(t *testing.T) {
	crashed := found(web, drift.Restarting)
	crashed.ExitCode, crashed.OOM, crashed.Restarts = 137, true, 4
	have := observed(found(db, drift.Healthy), found(seed, drift.Done), crashed)
	s := NewStatus(want, have, drift.Compare(want, have))
	s.Tiers[1].Resources[0].Log = []string{"java.lang.OutOfMemoryError"}
	expected := strings.TrimSpace(`
p at revision 3fa9c0d1e2b4: not ready

  tier base  ready
    ✓ service/db                       healthy     for 1h30m
    ✓ service/seed                     done        for 1h30m

  tier top  not ready
    ✗ service/web                      restarting  for 1h30m, exit code 137, killed for want of memory, 4 restarts, unready, exits and is restarted again and again (exit code 137, out of memory)
        | java.lang.OutOfMemoryError`)
	if diff := cmp.Diff(expected, text(func(b *strings.Builder) { s.Text(b, false) })); diff != "" {
		t.Error(diff)
	}
}

func TestTierIsReadyThoughAServiceRunsWithOtherAttributes(t *testing.T) {
	old := found(db, drift.Healthy)
	old.Fields = spec.Fields{"name": spec.Plain("p-db-1"), "image": spec.Plain("db:0")}
	have := observed(old, found(seed, drift.Done), found(web, drift.Running))
	s := NewStatus(want, have, drift.Compare(want, have))
	if !s.Ready || s.Tiers[0].Resources[0].Verdict != drift.Changed {
		t.Errorf("%+v", s)
	}
}

func TestWhatCouldNotBeSeenIsUnknownAndNotReady(t *testing.T) {
	have := observed()
	have.Blind = map[spec.Ref]string{{Kind: spec.KindService}: "list containers: timeout"}
	s := NewStatus(want, have, drift.Compare(want, have))
	if r := s.Tiers[0].Resources[0]; s.Ready || r.State != "unknown" || r.Reason != "list containers: timeout" {
		t.Errorf("%+v", s)
	}
}

func TestBucketOfAServiceThatDoesNotRunIsPending(t *testing.T) {
	bucket := &spec.Bucket{Key: "lake", Name: "lake", Store: &spec.Store{Name: "minio"}, Depends: []spec.Dep{{Ref: db.Ref(), Until: spec.Ready}}}
	lake := spec.Desired{Project: "p", Tiers: []spec.Tier{{Name: "base", Resources: []spec.Resource{db, bucket}}}}
	have := observed(found(db, drift.Exited))
	have.Blind = map[spec.Ref]string{bucket.Ref(): "connection refused"}
	s := NewStatus(lake, have, drift.Compare(lake, have))
	if r := s.Tiers[0].Resources[1]; s.Ready || r.State != "pending" || r.Reason != "lives in service/db, which is not ready" {
		t.Errorf("%+v", s)
	}
}

func TestCheckListsDifferencesTierByTier(t *testing.T) {
	old := found(db, drift.Healthy)
	old.Fields = spec.Fields{"name": spec.Plain("p-db-1"), "image": spec.Plain("db:0")}
	gone := drift.Found{Ref: spec.Ref{Kind: spec.KindService, Name: "old"}, Owned: true, State: drift.Running}
	have := observed(old, found(seed, drift.Done), gone)
	c := NewCheck(want, have, drift.Compare(want, have))
	expected := strings.TrimSpace(`
p differs from revision 3fa9c0d1e2b4:

  tier base
    changed  service/db
          image  db:0 → db:1

  tier top
    missing  service/web

  in no tier
    extra    service/old                      no tier declares it

3 differences. To see what would be done: flumen-agent plan`)
	if diff := cmp.Diff(expected, text(func(b *strings.Builder) { c.Text(b, false) })); diff != "" {
		t.Error(diff)
	}
}

func TestCheckInJSONHidesSecrets(t *testing.T) {
	old, secret := found(db, drift.Healthy), *db
	secret.Environment = map[string]spec.Value{"PASSWORD": spec.Sensitive("hunter2")}
	old.Fields = secret.Fields()
	have := observed(old, found(seed, drift.Done), found(web, drift.Running))
	b, err := json.Marshal(NewCheck(want, have, drift.Compare(want, have)))
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); strings.Contains(s, "hunter2") || !strings.Contains(s, `"name":"env.PASSWORD","want":null,"have":"***"`) || !strings.Contains(s, `"in_sync":false`) {
		t.Error(s)
	}
}

func TestReportShowsWhatFailedWithItsLogAndWhatIsHeld(t *testing.T) {
	r := Report{
		Project: "p", Revision: revision, Took: 2400 * time.Millisecond,
		Steps: []Step{
			{Verb: plan.VerbCreate, Ref: db.Ref(), Outcome: Done},
			{Verb: plan.VerbReplace, Ref: web.Ref(), Outcome: RolledBack, Error: "exited with code 3; the container before it runs again", Log: []string{"no such table"}},
			{Verb: plan.VerbCreate, Ref: seed.Ref(), Outcome: Skipped, Error: "tier base did not become ready"},
		},
		Held: []plan.Held{{Ref: spec.Ref{Kind: spec.KindVolume, Name: "old"}, Rule: "data", Reason: "volumes are never removed"}},
	}
	expected := strings.TrimSpace(`
rolled back replace service/web: exited with code 3; the container before it runs again
    | no such table
skipped create service/seed: tier base did not become ready
held volume/old (rule data): volumes are never removed
✗ p is not as revision 3fa9c0d1e2b4 says: 1 of 3 steps done, 1 failed, 1 skipped, 1 held, in 2.4s.`)
	if diff := cmp.Diff(expected, text(func(b *strings.Builder) { r.Text(b, false) })); diff != "" {
		t.Error(diff)
	}
}

func TestReportNamesWhatChangedWhileTheRunWentOn(t *testing.T) {
	r := Report{
		Project: "p", Revision: revision, Took: 2400 * time.Millisecond,
		Steps: []Step{
			{Verb: plan.VerbCreate, Ref: db.Ref(), Outcome: Done},
			{Verb: plan.VerbCreate, Ref: seed.Ref(), Outcome: Skipped, Error: "its turn never came"},
		},
		Held: []plan.Held{{Ref: web.Ref(), Rule: "budget", Reason: "it stopped three times"}},
		After: drift.Drift{
			{Ref: db.Ref(), Verdict: drift.Down, Reason: "is unhealthy"},
			{Ref: seed.Ref(), Verdict: drift.Missing, Reason: "said by the step"},
			{Ref: web.Ref(), Verdict: drift.Down, Reason: "said by what is held"},
		},
	}
	said := text(func(b *strings.Builder) { r.Text(b, false) })
	if !strings.Contains(said, "down service/db: is unhealthy\n") || strings.Contains(said, "said by") {
		t.Error(said)
	}
}

func TestErrNamesEveryFailure(t *testing.T) {
	r := Report{Steps: []Step{
		{Verb: plan.VerbCreate, Ref: db.Ref(), Outcome: Failed, Error: "no such image"},
		{Verb: plan.VerbStart, Ref: web.Ref(), Outcome: Stale, Error: "it changed"},
		{Verb: plan.VerbCreate, Ref: seed.Ref(), Outcome: Skipped, Error: "its turn never came"},
	}}
	err := r.Err().Error()
	if !strings.Contains(err, "create service/db: no such image") || !strings.Contains(err, "start service/web: it changed") || strings.Contains(err, "seed") {
		t.Error(err)
	}
}

func TestDurationsReadAsPeopleWriteThem(t *testing.T) {
	for d, expected := range map[time.Duration]string{
		340 * time.Millisecond:  "340ms",
		2449 * time.Millisecond: "2.4s",
		72 * time.Second:        "1m12s",
	} {
		if got := Duration(d); got != expected {
			t.Errorf("%d: %q, expected %q", d, got, expected)
		}
	}
}

func TestLookIsNeverInTheFuture(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, k := range map[string]Kept{
		"last looked 3.0s ago: in sync": {Looked: now.Add(-3 * time.Second), Verdict: VerdictInSync},
		"last looked 0s ago: in sync":   {Looked: now.Add(63 * time.Millisecond), Verdict: VerdictInSync}, // while status looked
		"last looked at 2026-03-01 13:00:00 UTC, which is yet to come by this clock: how things stand is unknown": {Looked: now.Add(time.Hour), Verdict: VerdictUnknown},
	} {
		said := text(func(b *strings.Builder) { k.text(b, now, false) })
		if !strings.Contains(said, want) {
			t.Errorf("%s\nwant %s", said, want)
		}
	}
}

// A look counts for a while, and one that a clock set back has put into the future for none.
func TestLookThatIsTooLongAgoIsUnknown(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at     time.Time
		inSync bool
		want   string
	}{
		{now.Add(-time.Minute), true, VerdictInSync},
		{now.Add(-time.Minute), false, VerdictDrift},
		{now.Add(-time.Hour), true, VerdictUnknown},
		{now.Add(time.Hour), true, VerdictUnknown},
		{time.Time{}, true, VerdictUnknown},
	} {
		if got := VerdictOf(c.at, c.inSync, now, 5*time.Minute); got != c.want {
			t.Errorf("looked %s ago, in sync %v: %s, expected %s", now.Sub(c.at), c.inSync, got, c.want)
		}
	}
}
