package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

func unhealed(want spec.Desired) spec.Desired {
	want.Checks.NoHeal = true
	return want
}

func TestAgentHealsNothingWhereTheSpecSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.load(unhealed(desired("2", []*spec.Service{service("db")})), nil)
		b.world.stop(ref("db"))
		b.look("engine event")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff([]string{"create service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
		if last := b.reports[len(b.reports)-1]; last.Ready || len(last.After) != 1 {
			t.Errorf("%+v", last)
		}
	})
}

func TestOneBadCommitTearsNothingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		four := []*spec.Service{service("a"), service("b"), service("c"), service("d")}
		b := start(t, newWorld(), desired("1", four))
		defer b.stop()
		before := len(b.did())
		b.load(desired("2", []*spec.Service{service("a")}), nil)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if did := b.did(); len(did) != before {
			t.Errorf("did %q", did[before:])
		}
		if last := b.reports[len(b.reports)-1]; len(last.Held) != 3 || last.Held[0].Rule != plan.RuleTeardown {
			t.Errorf("held: %+v", last.Held)
		}
		want := desired("3", []*spec.Service{service("a")})
		for _, name := range []string{"b", "c", "d"} {
			want.Consents = append(want.Consents, spec.Consent{Remove: ref(name), Until: time.Now().Add(time.Hour)})
		}
		b.load(want, nil)
		if did := b.did(); len(did) != before+3 {
			t.Errorf("did %q", did)
		}
	})
}

// What a failed revision added goes, however much that is: it was never wanted for good.
func TestGoingBackTakesAwayWhatTheFailedRevisionAdded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		b := start(t, w, desired("1", []*spec.Service{user("web", "good")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("a", ""), user("b", ""), user("c", "")}, []*spec.Service{user("web", "bad")}), nil)
		if diff := cmp.Diff(map[string]string{"web": "good"}, w.users()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCheckChangesNothingAndTellsSinceWhenThingsDiffer(t *testing.T) {
	memory, broken, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state.db"), state.Options{})
	if err != nil || broken != nil {
		t.Fatal(err, broken)
	}
	w := newWorld()
	a, stop := startChecked(t, w, memory)
	defer stop()
	first := check(t, a)
	if !first.Differences.InSync() || len(first.New) != 0 {
		t.Errorf("%+v", first)
	}
	w.stop(ref("db"))
	second, third := check(t, a), check(t, a)
	if len(second.New) != 1 || len(third.New) != 0 || len(third.Differences) != 1 || third.Differences[0].Verdict != drift.Down {
		t.Errorf("%+v\n%+v", second, third)
	}
	if since := third.Seen[ref("db")].Since; !since.Equal(second.Seen[ref("db")].Since) || since.IsZero() {
		t.Errorf("since %s", since)
	}
	if steps := third.Would.Steps(); len(steps) != 1 || steps[0].Change.Verb() != plan.VerbStart {
		t.Errorf("would: %v", steps)
	}
	if diff := cmp.Diff([]string{"create service/db"}, w.did()); diff != "" {
		t.Error(diff)
	}
	w.mu.Lock()
	f := w.found[ref("db")]
	f.State = drift.Healthy
	w.found[ref("db")] = f
	w.mu.Unlock()
	if fourth := check(t, a); len(fourth.Gone) != 1 || !fourth.Differences.InSync() {
		t.Errorf("%+v", fourth)
	}
}

func TestAgentThatDoesNotHoldTheProjectMakesNoChecks(t *testing.T) {
	a, stop := startChecked(t, newWorld(), nil)
	defer stop()
	if _, err := a.CheckDrift(t.Context()); !errors.Is(err, ErrNotHeld) {
		t.Error(err)
	}
}

func check(t *testing.T, a *Agent) report.Check {
	t.Helper()
	c, err := a.CheckDrift(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startChecked runs an agent that has converged and mends nothing since. Without a memory
// another agent holds the project.
func startChecked(t *testing.T, w *world, memory *state.Store) (a *Agent, stop func()) {
	t.Helper()
	ran := make(chan struct{}, 1)
	a = &Agent{
		Reconciler: &Reconciler{Targets: []Target{w}}, Interval: time.Hour, Log: slog.New(slog.DiscardHandler),
		Load:     func(context.Context) (spec.Desired, error) { return desired("1", []*spec.Service{service("db")}), nil },
		Reported: func(report.Report) { ran <- struct{}{} },
	}
	if memory != nil {
		a.Memory = func(context.Context, string) (*state.Store, error) { return memory, nil }
	} else {
		a.Hold = func(context.Context, string) (string, error) { return "somebody", nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { a.Run(ctx); close(over) }()
	<-ran
	return a, func() { cancel(); <-over }
}

// An engine first tells that a container that died is disconnected, and of its end a little
// later.
func TestCauseOfARunIsToldWithWhatTheEngineToldSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		w.apply[ref("db")] = func(context.Context, plan.Change, plan.Progress) error {
			b.agent.Happened(ref("db"), "exited with code 137", time.Now())
			return nil
		}
		w.stop(ref("db"))
		b.agent.Happened(ref("db"), "was disconnected from network p_default", time.Now())
		b.look("service/db: was disconnected from network p_default")
		synctest.Wait()
		if last := b.reports[len(b.reports)-1]; last.Trigger != "service/db: exited with code 137" {
			t.Errorf("trigger %q", last.Trigger)
		}
		time.Sleep(time.Minute)
		b.look("file changed")
		synctest.Wait()
		if last := b.reports[len(b.reports)-1]; last.Trigger != "file changed" {
			t.Errorf("trigger %q", last.Trigger)
		}
	})
}

// A container keeps the tier that it was made for. What has moved to another one since counts
// there, also for the next agent.
func TestServiceThatMovedToAnotherTierMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, memory := newWorld(), remembering(t)
		remembers := func(a *Agent) { a.Memory = memory }
		first := startWith(t, w, desired("1", []*spec.Service{service("db")}, []*spec.Service{service("web")}), remembers)
		w.mu.Lock()
		for name, tier := range map[string]string{"db": "a", "web": "b"} {
			f := w.found[ref(name)]
			f.Tier = tier
			w.found[ref(name)] = f
		}
		w.mu.Unlock()
		first.load(desired("2", []*spec.Service{service("db"), service("web")}), nil)
		first.stop()
		second := startWith(t, w, desired("3", []*spec.Service{service("db")}), remembers)
		defer second.stop()
		if last := second.reports[len(second.reports)-1]; len(last.Held) > 0 {
			t.Errorf("held: %+v", last.Held)
		}
		indexOf(t, w.did(), "remove service/web")
	})
}

func TestCheckTellsOfTablesAndWhenNobodyKnows(t *testing.T) {
	w := newWorld()
	want := desired("1", []*spec.Service{service("db")})
	table := spec.Ref{Kind: spec.KindTable, Name: "bronze.events"}
	for unknown, tables := range map[string]drift.Drift{"": {{Ref: table, Verdict: drift.Expired}}, "nobody looked": nil} {
		r := &Reconciler{Targets: []Target{w}, Tables: func(spec.Desired, time.Time) (drift.Drift, string) { return tables, unknown }}
		c, err := r.CheckDrift(t.Context(), want, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, differs := c.Differences.Of(table)
		if why := c.Blind[spec.Ref{Kind: spec.KindTable}]; differs != (unknown == "") || why != unknown {
			t.Errorf("%q: %+v", unknown, c)
		}
		if len(c.Would.Steps()) == 0 {
			t.Error("tables took the rest's place")
		}
	}
}
