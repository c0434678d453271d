package delta_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// cleaner is a keeper whose rule has logs cleaned up, and a table whose versions 0 to 4 and first
// checkpoint have expired.
func cleaner(t *testing.T, prepare func(*deltatest.Store)) (*keeper, *deltatest.Table) {
	return cleanerOf(t, prepare, deltatest.Checkpoint{})
}

// cleanerOf is one with checkpoints of some kind.
func cleanerOf(t *testing.T, prepare func(*deltatest.Store), c deltatest.Checkpoint) (*keeper, *deltatest.Table) {
	k := newKeeper(t)
	prepare(k.Store)
	k.rule.LogCleanup, k.rule.MaxRatio = spec.HandlingEnforce, 1
	table := k.checkpointed(map[int]deltatest.Checkpoint{2: c, 5: c})
	k.Sized("lake/wh/t/gone.parquet", 100, ago(100))
	table.Commit(ago(9), deltatest.Add("gone.parquet"))
	return k, table
}

// clean is such a table after a report.
func clean(t *testing.T, prepare func(*deltatest.Store)) (*keeper, *deltatest.Table) {
	k, table := cleaner(t, prepare)
	k.look()
	return k, table
}

// cleanings are the stores by how a log can be had back as it was.
var cleanings = map[string]func(*deltatest.Store){
	"versioning": (*deltatest.Store).Versions,
	"folder":     func(s *deltatest.Store) { s.TimesStay = true },
}

func eachCleaning(t *testing.T, test func(t *testing.T, prepare func(*deltatest.Store))) {
	for name, prepare := range cleanings {
		t.Run(name, func(t *testing.T) { test(t, prepare) })
	}
}

// bringsBack undoes a run, and expects files and log as they were.
func (k *keeper) bringsBack(run string, before map[string]string, log []string) {
	k.Helper()
	if u := k.undo(run); u.Err() != nil {
		k.Errorf("%+v", u)
	}
	if diff := cmp.Diff(before, k.originals()); diff != "" {
		k.Errorf("-before +after\n%s", diff)
	}
	if diff := cmp.Diff(log, k.logOf()); diff != "" {
		k.Errorf("-log +as it came back\n%s", diff)
	}
}

// logOf lists the log of the table with the times of its files.
func (k *keeper) logOf() (all []string) {
	err := k.List(k.Context(), "lake/wh/t/_delta_log/", true, func(path string, size int64, written time.Time, _ string) error {
		all = append(all, fmt.Sprint(strings.TrimPrefix(path, "lake/wh/t/_delta_log/"), size, written.Unix()))
		return nil
	})
	if err != nil {
		k.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// readable are the versions that the log can still make a state of, by nothing but the names in it.
func readable(paths []string, table string) (versions []int64) {
	commits, checkpoints := map[int64]bool{}, map[int64]map[string]int{}
	newest := int64(-1)
	for _, p := range paths {
		name, in := strings.CutPrefix(p, table+"/_delta_log/")
		parts := strings.Split(name, ".")
		var v int64
		if n, _ := fmt.Sscanf(parts[0], "%020d", &v); !in || n != 1 {
			continue
		}
		switch {
		case len(parts) == 2 && parts[1] == "json":
			commits[v] = true
			newest = max(newest, v)
		case len(parts) > 2 && parts[1] == "checkpoint":
			if checkpoints[v] == nil {
				checkpoints[v] = map[string]int{}
			}
			of := "whole"
			if len(parts) == 5 {
				of = parts[3]
			}
			checkpoints[v][of]++
		}
	}
	complete := func(v int64) bool {
		for of, n := range checkpoints[v] {
			if of == "whole" || fmt.Sprintf("%010d", n) == of {
				return true
			}
		}
		return false
	}
	for v := int64(0); v <= newest; v++ {
		for from := v; from >= 0; from-- {
			if complete(from) || from == 0 && commits[0] {
				versions = append(versions, v)
				break
			}
			if !commits[from] {
				break
			}
		}
	}
	return versions
}

func TestExpiredLogGoesAndComesBackAsItWas(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		k, table := clean(t, prepare)
		before, log := k.content(), k.logOf()
		var order []string
		k.After = func(call, path string) {
			if name, in := strings.CutPrefix(path, "lake/wh/t/_delta_log/"); in && call == "removing" {
				order = append(order, name)
			}
		}
		one := k.run()
		if one.Removal == nil || one.Removal.Log.Files != 6 || !one.Removal.Verified || one.LogGoes.Files != 6 || one.Worst() != proof.EffectNote {
			t.Fatalf("%+v\n%s", one.Removal, k.text())
		}
		want := []string{"00000000000000000000.json", "00000000000000000001.json", "00000000000000000002.json", "00000000000000000003.json", "00000000000000000004.json", "00000000000000000002.checkpoint.parquet"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("-want +order\n%s", diff)
		}
		if diff := cmp.Diff([]int64{5, 6, 7, 8, 9, 10}, readable(k.Paths(), "lake/wh/t")); diff != "" {
			t.Errorf("-want +readable\n%s", diff)
		}
		for _, p := range k.Paths() {
			if strings.Contains(p, "_flumen_quarantine") && strings.Contains(p, "_delta_log") {
				t.Errorf("%s makes a table of the quarantine", p)
			}
		}
		mustHaveLive(t, k.Store, table, "afterwards")
		k.After = nil
		if again := k.run(); again.Removal != nil || again.Worst() != proof.EffectNote {
			t.Errorf("again: %s", k.text())
		}
		k.bringsBack(one.Removal.Run, before, log)
	})
}

func TestReportCleansUpNothing(t *testing.T) {
	k, _ := cleaner(t, (*deltatest.Store).Versions)
	k.rule.LogCleanup = spec.HandlingReport
	k.look()
	if one := k.run(); one.Removal != nil || one.Expired.Files != 6 || one.LogGoes.Files != 0 {
		t.Errorf("%s", k.text())
	}
}

func TestFirstRunByARuleCleansUpNothing(t *testing.T) {
	k, _ := cleaner(t, (*deltatest.Store).Versions)
	if one := k.run(); one.Removal != nil {
		t.Errorf("%s", k.text())
	}
	if one := k.run(); one.Removal == nil || one.Removal.Log.Files != 6 {
		t.Errorf("%s", k.text())
	}
}

func TestLogThatWouldComeBackWithAnotherTimeStays(t *testing.T) {
	other, _ := clean(t, func(*deltatest.Store) {})
	one := other.run()
	if f, ok := one.Find(proof.FoundNoUndo); !ok || !strings.Contains(f.Says, "another time") || one.Removal != nil || len(readable(other.Paths(), "lake/wh/t")) != 11 {
		t.Errorf("%s", other.text())
	}
}

func TestFault09EveryPrefixOfACleanupLoads(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		k, _ := clean(t, prepare)
		k.batch = 1
		n := 0
		k.After = func(call, path string) {
			if call != "removing" || !strings.Contains(path, "_delta_log") {
				return
			}
			n++
			k.Quietly(func() {
				r, err := delta.Plan(k.Context(), delta.Options{Places: k.options().Places, Retention: k.options().Retention, Now: k.options().Now})
				if err != nil || r.Tables[0].Worst() != proof.EffectNote || r.Tables[0].Files != 11 || r.Tables[0].Version != 10 {
					t.Errorf("after %d: %+v %v", n, r.Tables, err)
				}
				for v := int64(5); v <= 10; v++ {
					if !slices.Contains(readable(k.Paths(), "lake/wh/t"), v) {
						t.Errorf("after %d: version %d cannot be read", n, v)
					}
				}
			})
		}
		if k.run(); n != 6 {
			t.Errorf("%d went", n)
		}
	})
}

// TestCleanupThatIsKilledAnywhereCanBeUndoneAndGoesOn kills a run between any two calls.
func TestCleanupThatIsKilledAnywhereCanBeUndoneAndGoesOn(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		for nth, last := 1, 1; nth <= last; nth += stride() {
			one, table := clean(t, prepare)
			before, log := one.content(), one.logOf()
			var undone, again *keeper
			last = one.moments(nth, func() { undone, again = one.killed(), one.killed() })
			if undone == nil {
				break
			}
			says := fmt.Sprintf("killed at call %d of %d", nth, last)
			undone.undoAll(says, before)
			if diff := cmp.Diff(log, undone.logOf()); diff != "" {
				t.Errorf("%s: -log +as it came back\n%s", says, diff)
			}
			again.run()
			mustHaveLive(t, again.Store, table, says)
			if diff := cmp.Diff([]int64{5, 6, 7, 8, 9, 10}, readable(again.Paths(), "lake/wh/t")); diff != "" {
				t.Errorf("%s, and run again: -want +readable\n%s\n%s", says, diff, again.text())
			}
			if rest := again.run(); rest.Removal != nil || rest.Worst() != proof.EffectNote {
				t.Errorf("%s: something is left: %s", says, again.text())
			}
			again.undoAll(says+", run again", before)
		}
	})
}

// TestCleanupEndsWhenItsBoundaryChanges has somebody else do something once the first file of the
// log is gone.
func TestCleanupEndsWhenItsBoundaryChanges(t *testing.T) {
	for says, does := range map[string]func(k *keeper, table *deltatest.Table){
		"00000000000000000005.checkpoint.parquet of its log": func(k *keeper, table *deltatest.Table) {
			path := table.LogPath("00000000000000000005.checkpoint.parquet")
			k.Put(path, k.Read(path), ago(1))
		},
		"00000000000000000005.json of its log": func(k *keeper, table *deltatest.Table) { k.Touch(table.CommitPath(5), ago(1)) },
		"_last_checkpoint names version 2": func(k *keeper, table *deltatest.Table) {
			k.Put(table.LogPath("_last_checkpoint"), `{"version":2,"size":4}`, ago(0))
		},
		"changes its metadata": func(_ *keeper, table *deltatest.Table) {
			table.Properties["delta.enableExpiredLogCleanup"] = "false"
			table.Commit(now, table.Alter())
		},
		"is a RESTORE": func(_ *keeper, table *deltatest.Table) {
			table.Operation = "RESTORE"
			table.Commit(now, deltatest.Add("0.parquet"))
		},
	} {
		t.Run(says, func(t *testing.T) {
			k, table := clean(t, (*deltatest.Store).Versions)
			n := 0
			k.After = func(call, path string) {
				if call == "removing" && strings.Contains(path, "_delta_log") {
					if n++; n == 1 {
						k.Quietly(func() { does(k, table) })
					}
				}
			}
			one := k.run()
			if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, says) || n != 1 {
				t.Errorf("%d went\n%s", n, k.text())
			}
		})
	}
}

func TestKillSwitchesStopACleanup(t *testing.T) {
	k, _ := clean(t, (*deltatest.Store).Versions)
	n := 0
	k.pause("")
	k.After = func(call, path string) {
		if call == "removing" && strings.Contains(path, "_delta_log") {
			if n++; n == 3 {
				k.pause("the agent is paused")
			}
		}
	}
	one := k.run()
	if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, "paused") || n != 3 || !one.Removal.Verified {
		t.Errorf("%d went\n%s", n, k.text())
	}
}

func TestTableThatCannotBeReadAfterACleanupHasItsLogBack(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		k, table := clean(t, prepare)
		k.After = func(call, path string) {
			if call == "removing" && strings.HasSuffix(path, "2.checkpoint.parquet") { // the last
				k.Quietly(func() { k.Delete(table.LogPath("00000000000000000005.checkpoint.parquet")) })
			}
		}
		one := k.run()
		f, lost := one.Find(proof.FoundLost)
		if !lost || !one.Removal.Undone || !strings.Contains(f.Says, "can no longer be read") || len(readable(k.Paths(), "lake/wh/t")) != 11 {
			t.Errorf("%s", k.text())
		}
	})
}

func TestCheckpointThatIsNotWhatTheCommitsSayTakesTheirPlaceNowhere(t *testing.T) {
	k := newKeeper(t)
	k.Versions()
	k.rule.LogCleanup = spec.HandlingEnforce
	table := k.table("t")
	for v := range 10 {
		table.Commit(ago(float64(100-10*v)), deltatest.Add(fmt.Sprintf("%d.parquet", v)))
		switch v {
		case 5:
			table.Checkpoint(deltatest.Checkpoint{Lose: []string{"3.parquet"}})
		case 8:
			table.Checkpoint(deltatest.Checkpoint{})
		}
	}
	k.look()
	one := k.run()
	if f, ok := one.Find(proof.FoundLogKept); !ok || !strings.Contains(f.Says, "version 5 is not what the log before it says") || one.Removal != nil || one.LogGoes.Files != 0 {
		t.Errorf("%s", k.text())
	}
}

func TestVersionWithABorrowedTimeIsNoBoundary(t *testing.T) {
	k, table := cleaner(t, (*deltatest.Store).Versions)
	k.Touch(table.CommitPath(5), ago(80)) // its writer's clock was behind: version 4 is of 60 days ago
	k.look()
	if one := k.run(); one.Removal.Log.Files != 2 || !slices.Contains(readable(k.Paths(), "lake/wh/t"), 2) {
		t.Errorf("%s", k.text())
	}
}

func TestNewestClassicCheckpointStaysBesideANewKind(t *testing.T) {
	k := newKeeper(t)
	k.Versions()
	k.rule.LogCleanup = spec.HandlingEnforce
	table := k.table("t")
	for v := range 10 {
		table.Commit(ago(float64(100-10*v)), deltatest.Add(fmt.Sprintf("%d.parquet", v)))
		switch v {
		case 1, 3:
			table.Checkpoint(deltatest.Checkpoint{})
		case 5:
			table.Checkpoint(deltatest.Checkpoint{V2: "parquet", Sidecars: 1})
		}
	}
	k.look()
	one := k.run()
	if one.Removal == nil || one.Removal.Log.Files != 6 || !k.Has(table.LogPath("00000000000000000003.checkpoint.parquet")) || k.Has(table.LogPath("00000000000000000001.checkpoint.parquet")) {
		t.Errorf("%s", k.text())
	}
}

func TestLogGoesAfterTheFilesThatItProvesDead(t *testing.T) {
	k := newKeeper(t)
	k.Versions()
	k.rule.LogCleanup, k.batch = spec.HandlingEnforce, 4
	table := k.dying()
	table.Checkpoint(deltatest.Checkpoint{})
	k.rule.Log = 30 * day
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now.Add(35*day), now.Add(35*day)
	var order []bool
	k.After = func(call, path string) {
		if call == "removing" {
			order = append(order, strings.Contains(path, "_delta_log"))
		}
	}
	one := k.run()
	if i := slices.Index(order, true); i != 5 || slices.Contains(order[5:], false) || one.Removal.Removed.Files != 5 || one.Removal.Log.Files != 3 {
		t.Errorf("%v\n%s", order, k.text())
	}
}

func TestLogStaysWhenItsDataCouldNotGo(t *testing.T) {
	k := newKeeper(t)
	k.Versions()
	k.rule.LogCleanup = spec.HandlingEnforce
	table := k.dying()
	table.Checkpoint(deltatest.Checkpoint{})
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now.Add(35*day), now.Add(35*day)
	k.Fail = func(call, path string) error {
		if call == "removing" && strings.HasSuffix(path, "orphan.parquet") {
			return errors.New("AccessDenied")
		}
		return nil
	}
	if one := k.run(); one.Removal.Log.Files != 0 || !k.Has(table.CommitPath(0)) {
		t.Errorf("%s", k.text())
	}
}
