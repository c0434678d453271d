package reconciler

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// inStores is a state with a service, and buckets by name in stores.
func inStores(revision string, buckets map[string]*spec.Store) spec.Desired {
	want := desired(revision, []*spec.Service{service("db")})
	for key, store := range buckets {
		want.Stores = append(want.Stores, store)
		want.Tiers[0].Resources = append(want.Tiers[0].Resources, &spec.Bucket{Key: key, Name: key, Store: store})
	}
	return want
}

// TestStoreThatLeftIsSaidByTheRunThatPutsThatInForce holds that it is said until then, and
// remembered after.
func TestStoreThatLeftIsSaidByTheRunThatPutsThatInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s, memory := newWorld(), &stores{newWorld()}, remembering(t)
		old := &spec.Store{Name: "old", Endpoint: "s3.example.com"}
		b := startWith(t, w, inStores("1", map[string]*spec.Store{"lake": old}), func(a *Agent) {
			a.Reconciler.Targets, a.Memory = []Target{w, s}, memory
		})
		defer b.stop()
		w.apply[ref("db")] = fails
		failing := inStores("2", nil)
		failing.Tiers[0].Resources[1].(*spec.Service).User = "other"
		b.load(failing, nil)
		if last := mustLeave(t, b, "2", "bucket/lake"); last.Ready {
			t.Error("it is ready though a service failed")
		}
		mustLeave(t, b, "1") // it went back
		delete(w.apply, ref("db"))
		b.load(inStores("3", nil), nil)
		if last := mustLeave(t, b, "3", "bucket/lake"); !last.Ready || !slices.ContainsFunc(last.After, func(d drift.Difference) bool { return d.Verdict == drift.Extra }) {
			t.Errorf("%+v", last)
		}
		b.look("test")
		synctest.Wait()
		mustLeave(t, b, "3")
		m, err := memory(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		runs, err := m.RunsOf(t.Context(), spec.Ref{Kind: spec.KindBucket, Name: "lake"}, 1)
		if err != nil || len(runs) != 1 || len(runs[0].Report.Left()) != 1 || runs[0].Report.Revision.ID != "3" {
			t.Errorf("%+v %v", runs, err)
		}
	})
}

// mustLeave expects the last report of a revision to say that these were left behind, and
// nothing else.
func mustLeave(t *testing.T, b *bench, revision string, refs ...string) (last report.Report) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rep := range b.reports {
		if rep.Revision.ID == revision {
			last = rep
		}
	}
	var left []string
	for _, ref := range last.Left() {
		left = append(left, ref.String())
	}
	if !slices.Equal(left, refs) {
		t.Errorf("%v was left behind, want %v: %+v", left, refs, last)
	}
	return last
}

// TestRunsByHandRememberStores has no agent hold the project.
func TestRunsByHandRememberStores(t *testing.T) {
	m, err := remembering(t)(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w, s := newWorld(), &stores{newWorld()}
	r := &Reconciler{Targets: []Target{w, s}}
	var standing Standing
	apply := func(want spec.Desired) report.Report {
		t.Helper()
		rep := r.Converge(t.Context(), want, Options{LastStores: standing.Stores})
		if standing, _, err = Note(t.Context(), m, want, rep); err != nil || !rep.Ready {
			t.Fatalf("%+v %v", rep, err)
		}
		return rep
	}
	old := &spec.Store{Name: "old", Service: "db", Port: 9000}
	apply(inStores("1", map[string]*spec.Store{"lake": old}))
	renamed := &spec.Store{Name: "new", Service: "db", Endpoint: "localhost:9000"}
	if rep := apply(inStores("2", map[string]*spec.Store{"other": renamed})); len(rep.Left()) > 0 {
		t.Errorf("a store that has another name left %v", rep.Left())
	}
	elsewhere := &spec.Store{Name: "new", Endpoint: "s3.example.com"}
	failing := inStores("bad", map[string]*spec.Store{"other": elsewhere})
	failing.Tiers[0].Resources[1].(*spec.Service).User = "other"
	w.apply[ref("db")] = fails
	rep := r.Converge(t.Context(), failing, Options{LastStores: standing.Stores})
	if standing, _, err = Note(t.Context(), m, failing, rep); err != nil || rep.Ready || len(rep.Left()) != 1 {
		t.Errorf("%+v %v", rep, err)
	}
	delete(w.apply, ref("db"))
	rep = apply(inStores("3", map[string]*spec.Store{"other": elsewhere}))
	if left := rep.Left(); len(left) != 1 || left[0].String() != "bucket/new/other" {
		t.Errorf("a store that is elsewhere left %v", left)
	}
	if rep := apply(inStores("4", map[string]*spec.Store{"other": elsewhere})); len(rep.Left()) > 0 {
		t.Errorf("it is said again: %v", rep.Left())
	}
}

// TestWhatIsLeftIsSaidToATierToo holds that a run up to a tier, which leaves alone what no tier
// declares, says it all the same.
func TestWhatIsLeftIsSaidToATierToo(t *testing.T) {
	want := inStores("1", nil)
	last := map[string]Served{"s3.example.com": {"old", []spec.Ref{{Kind: spec.KindBucket, Name: "lake"}}}}
	p, _, err := (&Reconciler{Targets: []Target{newWorld()}}).Plan(t.Context(), want, Options{Upto: "a", LastStores: last})
	if err != nil || len(p.Held) != 1 || p.Held[0].Rule != plan.RuleLeft {
		t.Errorf("%+v %v", p.Held, err)
	}
}
