package delta_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// killedWithSpark is what a process leaves that is killed now, while it has Spark do something, and a
// Spark for the next one that removes what may go.
func (k *keeper) killedWithSpark() *keeper {
	k.Helper()
	left := k.killed()
	s := &spark{left: []string{"Spark was still at it, and was stopped"}, does: func(context.Context, []string) error { left.vacuum(goners...); return nil }}
	left.spark, left.tidy, left.quiet = s, s.Tidy, k.quiet
	return left
}

// killedIn runs a VACUUM that comes so far by the time that the process is killed.
func killedIn(t *testing.T, prepare func(*deltatest.Store), removes ...string) (left *keeper, table *deltatest.Table, before map[string]string) {
	k, table, s := delegated(t, prepare, func(k *keeper, _ *deltatest.Table) { k.Put("lake/wh/t/young.parquet", "x", ago(3)) })
	before = k.content()
	s.does = func(context.Context, []string) error {
		k.vacuum(removes...)
		left = k.killedWithSpark()
		return errors.New("nobody hears of it")
	}
	k.run()
	return left, table, before
}

// inventories are those that are kept.
func (k *keeper) inventories() []string {
	all, err := filepath.Glob(filepath.Join(k.dir, "runs/*/*/inventory*"))
	if err != nil {
		k.Fatal(err)
	}
	return all
}

func TestVacuumWhoseRunWasKilledIsTakenDownByTheNextRun(t *testing.T) {
	for _, prepare := range []func(*deltatest.Store){plainStore, (*deltatest.Store).Versions} {
		for _, gone := range [][]string{nil, goners[:2], goners} {
			t.Run(fmt.Sprintf("%d gone", len(gone)), func(t *testing.T) {
				k, table, before := killedIn(t, prepare, gone...)
				if runs, err := delta.NewMemory(k.dir).Runs(); err != nil || len(runs) != 1 || runs[0].State != "cut off" || len(k.inventories()) != 1 {
					t.Fatalf("%+v %v %v", runs, err, k.inventories())
				}
				one := k.run()
				mustHaveLive(t, k.Store, table, "after both")
				f, cut := one.Find(proof.FoundInterrupted)
				if says := fmt.Sprintf("had removed %s", proof.Amount{Files: int64(len(gone)), Bytes: sizeOf(before, gone)}); !cut || f.Effect != proof.EffectNote || !strings.Contains(f.Says, says+" of 5 files") {
					t.Errorf("%q, want %q\n%s", f.Says, says, k.text())
				}
				if !strings.Contains(k.text(), "Spark was still at it, and was stopped") {
					t.Errorf("%s", k.text())
				}
				rest := 0
				if one.Removal != nil && one.Removal.Verified {
					rest = int(one.Removal.Removed.Files)
				}
				if rest+len(gone) != len(goners) {
					t.Errorf("%d were gone, and %+v\n%s", len(gone), one.Removal, k.text())
				}
				runs, err := delta.NewMemory(k.dir).Runs()
				slices.SortStableFunc(runs, func(a, b delta.PastRun) int { return strings.Compare(b.State, a.State) }) // all are of the same second
				if err != nil || len(runs) == 0 || runs[0].State != "stopped" || runs[0].Removed.Files != int64(len(gone)) || len(k.inventories()) != 0 {
					t.Fatalf("%+v %v %v", runs, err, k.inventories())
				}
				if again := k.run(); again.Removal != nil || again.Worst() != proof.EffectNote {
					t.Errorf("%+v\n%s", again.Removal, k.text())
				}
				if !keepsVersions(k) {
					return
				}
				for _, run := range slices.Backward(runs) { // the later one first
					if u := k.undo(run.Run); u.Err() != nil {
						t.Error(u.Err())
					}
				}
				if diff := cmp.Diff(before, k.content()); diff != "" {
					t.Errorf("not undone: %s", diff)
				}
			})
		}
	}
}

// A person may be quicker than the next run: all comes back that Spark took, and no Spark goes on taking it.
func TestVacuumWhoseRunWasKilledCanBeUndoneAtOnce(t *testing.T) {
	k, _, before := killedIn(t, (*deltatest.Store).Versions, goners[0], "lake/wh/t/young.parquet")
	s := k.spark.(*spark)
	runs, err := delta.NewMemory(k.dir).Runs()
	if err != nil || len(runs) != 1 {
		t.Fatalf("%+v %v", runs, err)
	}
	s.untidy = errors.New("the engine does not answer")
	had := k.content()
	if u := k.undo(runs[0].Run); u.Err() == nil || !strings.Contains(u.Err().Error(), "may still go on") || cmp.Diff(had, k.content()) != "" {
		t.Errorf("while Spark may go on: %v", u.Err())
	}
	s.untidy, s.before = nil, func() { k.vacuum(goners[1]) } // until it is stopped
	if u := k.undo(runs[0].Run); u.Err() != nil || u.Restored.Files != 3 || len(k.inventories()) != 0 {
		t.Errorf("%+v", u)
	}
	if diff := cmp.Diff(before, k.content()); diff != "" {
		t.Errorf("not undone: %s", diff)
	}
}

// An agent that starts does no more than that.
func TestVacuumWhoseRunWasKilledIsTakenDownWhenTheAgentStarts(t *testing.T) {
	k, _, _ := killedIn(t, plainStore, goners[:2]...)
	memory := delta.NewMemory(k.dir)
	if due, err := memory.Due(now); err != nil || !due {
		t.Errorf("nothing is due: %v", err)
	}
	k.verify = true
	one := k.run()
	if _, cut := one.Find(proof.FoundInterrupted); !cut || one.Removal != nil || len(k.spark.(*spark).asked) > 0 || len(k.inventories()) != 0 {
		t.Errorf("%+v\n%s", one, k.text())
	}
	known, err := memory.Tables()
	if err != nil || len(known) != 1 || known[0].Last == nil || known[0].Last.Removed.Files != 2 || !known[0].Last.Verified || known[0].Last.Stopped == "" {
		t.Errorf("%+v %v", known, err)
	}
	if due, err := memory.Due(now); err != nil || due {
		t.Errorf("something is still due: %v", err)
	}
}

func sizeOf(content map[string]string, paths []string) (n int64) {
	for _, p := range paths {
		n += int64(len(content[p]))
	}
	return n
}

// It may be live, or of an older version, or of no version at all and too young.
func TestWhatSparkShouldHaveKeptIsFoundWhenItsRunWasKilled(t *testing.T) {
	for _, takes := range []string{"live", "more", "young"} {
		for _, prepare := range []func(*deltatest.Store){plainStore, (*deltatest.Store).Versions} {
			k, _, before := killedIn(t, prepare, goners[0], "lake/wh/t/"+takes+".parquet")
			one := k.run()
			f, lost := one.Find(proof.FoundLost)
			if !lost || k.report.Status() != proof.StatusCritical || one.Removal != nil || len(k.spark.(*spark).asked) != 0 {
				t.Fatalf("%s: %+v\n%s", takes, one, k.text())
			}
			diff := cmp.Diff(before, k.content())
			if says := map[bool]string{true: "was brought back", false: "cannot be brought back"}[keepsVersions(k)]; keepsVersions(k) != (diff == "") || !strings.Contains(f.Says, says) {
				t.Errorf("%s: %s\n%s", takes, f.Says, diff)
			}
			if again := k.run(); again.Removal != nil || len(k.spark.(*spark).asked) != 0 {
				t.Errorf("%s: the table is not locked: %+v", takes, again)
			}
		}
	}
}

// As long as Spark may go on, nobody can say what it has removed.
func TestVacuumThatMayGoOnIsNotVerified(t *testing.T) {
	k, _, _ := killedIn(t, plainStore, goners[:2]...)
	s := k.spark.(*spark)
	s.untidy = errors.New("the engine does not answer")
	one := k.run()
	if f, unverified := one.Find(proof.FoundUnverified); !unverified || !strings.Contains(f.Says, "may still go on: the engine does not answer") || len(s.asked) != 0 || len(k.inventories()) != 1 {
		t.Errorf("%+v\n%s", one, k.text())
	}
	s.untidy = nil
	if one := k.run(); one.Removal == nil || one.Removal.Removed.Files != 3 || !one.Removal.Verified || len(k.inventories()) != 0 {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
}

// Spark is stopped by whoever asked it, also when the spec has forgotten it since.
func TestSparkIsStoppedThatTheSpecHasForgotten(t *testing.T) {
	k, _, before := killedIn(t, (*deltatest.Store).Versions, goners[:2]...)
	runs, err := delta.NewMemory(k.dir).Runs()
	if err != nil || len(runs) != 1 {
		t.Fatalf("%+v %v", runs, err)
	}
	k.spark, k.rule.SparkFrom = nil, 0
	one := k.run()
	if _, cut := one.Find(proof.FoundInterrupted); !cut || !strings.Contains(k.text(), "Spark was still at it, and was stopped") || len(k.inventories()) != 0 {
		t.Errorf("%+v\n%s", one, k.text())
	}
	if u := k.undo(runs[0].Run); u.Err() != nil || u.Restored.Files != 2 || cmp.Diff(before, k.content()) != "" {
		t.Errorf("%+v", u)
	}
}

// TestNobodyIsAskedForASparkThatWasNeverAsked: a machine without an engine has none.
func TestNobodyIsAskedForASparkThatWasNeverAsked(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.tidy = func(context.Context, string) ([]string, error) { return nil, errors.New("there is no engine") }
	if k.run(); len(k.report.Notes) > 0 || k.report.Tables[0].Removal == nil {
		t.Errorf("%s", k.text())
	}
}

// What it saw before Spark was stopped counts for nothing.
func TestSparkIsStoppedBeforeTheNextRunLooks(t *testing.T) {
	k, _, _ := killedIn(t, plainStore)
	s := k.spark.(*spark)
	calls := map[string]int{}
	k.Fail = func(call, _ string) error { calls[call]++; return nil }
	s.before = func() {
		if len(calls) > 0 {
			t.Errorf("before that: %v", calls)
		}
		k.vacuum(goners[:3]...)
	}
	if one := k.run(); one.Removal == nil || one.Removal.Removed.Files != 2 || one.Goes.Files != 2 {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
}

// A run that cannot have Spark has not begun: it announces nothing, and takes nothing down as its own.
func TestRunThatCannotHaveSparkDoesNothing(t *testing.T) {
	k, _, s := delegated(t, plainStore)
	s.busy = fmt.Errorf("%w: container x is at it", delta.ErrSparkBusy)
	s.kept = func() { k.vacuum(goners...) } // as somebody else's Spark does
	one := k.run()
	f, busy := one.Find(proof.FoundBusy)
	if one.Removal == nil || one.Removal.Removed.Files != 0 || !busy || f.Effect != proof.EffectStop || !strings.Contains(f.Says, "container x is at it") || len(k.inventories()) != 0 {
		t.Errorf("%+v\n%s", one, k.text())
	}
	if due, err := delta.NewMemory(k.dir).Due(now); err != nil || due {
		t.Errorf("there is something to look after: %v", err)
	}
	s.busy, s.kept = nil, nil
	if one := k.run(); one.Removal != nil || one.Worst() != proof.EffectNote {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
}

func TestPropertiesAreNotSetWhileSomebodyElseHasSpark(t *testing.T) {
	k, table, s := altering(t)
	s.busy = fmt.Errorf("%w: container x is at it", delta.ErrSparkBusy)
	if one := k.run(); one.Altered || len(s.asked) != 0 || !strings.Contains(k.text(), "busy: its properties are not set: somebody else has Spark do something: container x is at it") {
		t.Errorf("%+v\n%s", one, k.text())
	}
	s.busy = nil
	s.before = nil
	s.kept = func() { set(k, table, "interval 30 days") } // by the one that had it
	if one := k.run(); one.Altered || len(s.asked) != 0 || !strings.Contains(k.text(), "its properties are not set: the table changed") {
		t.Errorf("%+v, asked %q\n%s", one, s.asked, k.text())
	}
}

// An owner is known again by its memory, wherever that is used, and a copy of it is another one.
func TestOwnerOfSparksContainersIsTheMemory(t *testing.T) {
	owner := func(dir string) string {
		k, _, s := altering(t)
		if err := os.CopyFS(dir, os.DirFS(k.dir)); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		k.dir = dir
		k.run()
		if len(s.jobs) != 1 || s.jobs[0].Owner == "" || !strings.HasPrefix(s.jobs[0].About, "s3://lake/wh/t ") {
			t.Fatalf("%+v", s.jobs)
		}
		return s.jobs[0].Owner
	}
	dir := filepath.Join(t.TempDir(), "memory")
	first := owner(dir)
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if again := owner(moved); again != first {
		t.Errorf("%s, and then %s", first, again)
	}
	copied := dir + "-copied"
	if err := os.CopyFS(copied, os.DirFS(moved)); err != nil {
		t.Fatal(err)
	}
	if other := owner(copied); other == first {
		t.Errorf("a copy is %s too", other)
	}
}
