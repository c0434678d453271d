package delta_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// twoSidecars is a checkpoint of the new kind.
var twoSidecars = deltatest.Checkpoint{V2: "json", Sidecars: 2}

// cleanBeside is a table with two such checkpoints, of versions 2 and 5, after a report: the first
// has expired with its sidecars.
func cleanBeside(t *testing.T, prepare func(*deltatest.Store)) (*keeper, *deltatest.Table) {
	k, table := cleanerOf(t, prepare, twoSidecars)
	k.lookEarlier()
	return k, table
}

// lookEarlier reports as much earlier as orphans take.
func (k *keeper) lookEarlier() {
	k.Helper()
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now, now
}

// beside are the names of all files beside checkpoints.
func (k *keeper) beside() (all []string) {
	for _, p := range k.Paths() {
		if name, in := strings.CutPrefix(p, "lake/wh/t/_delta_log/_sidecars/"); in {
			all = append(all, name)
		}
	}
	return all
}

// mustHaveSidecars expects each checkpoint that is there to have all of its sidecars.
func mustHaveSidecars(t *testing.T, s *deltatest.Store, table *deltatest.Table, says string) {
	t.Helper()
	for top, beside := range table.Sidecars {
		for _, path := range beside {
			if s.Has(top) && !s.Has(path) {
				t.Errorf("%s: %s is there without %s", says, top, path)
			}
		}
	}
}

func TestSidecarsGoAfterTheirCheckpointsAndComeBackAsTheyWere(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		k, table := cleanBeside(t, prepare)
		before, log := k.content(), k.logOf()
		var order []string
		k.After = func(call, path string) {
			if call == "removing" {
				mustHaveSidecars(t, k.Store, table, "when "+path+" has gone")
				order = append(order, strings.TrimPrefix(path, "lake/wh/t/_delta_log/"))
			}
		}
		one := k.run()
		if one.Removal == nil || one.Removal.Log.Files != 8 || !one.Removal.Verified || one.Expired.Files != 8 || one.LogGoes.Files != 8 || one.Worst() != proof.EffectNote {
			t.Fatalf("%+v\n%s", one.Removal, k.text())
		}
		if len(order) != 8 || !strings.Contains(order[5], "2.checkpoint.") || !strings.HasPrefix(order[6], "_sidecars/") || !strings.HasPrefix(order[7], "_sidecars/") || len(k.beside()) != 2 {
			t.Errorf("%q went, %q are there", order, k.beside())
		}
		mustHaveLive(t, k.Store, table, "afterwards")
		k.After = nil
		k.bringsBack(one.Removal.Run, before, log)
	})
}

func TestReportCountsSidecarsAndRemovesNone(t *testing.T) {
	k, _ := cleanerOf(t, (*deltatest.Store).Versions, twoSidecars)
	k.rule.LogCleanup = spec.HandlingReport
	k.look()
	if one := k.run(); one.Removal != nil || one.Expired.Files != 8 || one.LogGoes.Files != 0 || len(k.beside()) != 4 {
		t.Errorf("%s", k.text())
	}
}

func TestOnlyOldSidecarsThatNoCheckpointNamesGo(t *testing.T) {
	const uuid = "11111111-2222-4333-8444-555555555555"
	for name, c := range map[string]struct {
		age  float64
		goes bool
	}{
		uuid + ".parquet": {90, true},
		"00000000000000000001.checkpoint.0000000001.0000000002." + uuid + ".parquet": {90, true},
		// Version 7 is 30 days old, and belongs to a day that is not over yet when the first report is made.
		"31111111-2222-4333-8444-555555555555.parquet": {31.1, true},
		"21111111-2222-4333-8444-555555555555.parquet": {30.1, false},
		"41111111-2222-4333-8444-555555555555.parquet": {0.5, false},
		uuid + ".json":                              {90, false},
		"." + uuid + ".parquet.crc":                 {90, false},
		"part-" + uuid + ".parquet":                 {90, false},
		"00000000000000000001." + uuid + ".parquet": {90, false},
		"00000000000000000001.checkpoint.0000000003.0000000002." + uuid + ".parquet": {90, false},
		"nested/" + uuid + ".parquet": {90, false},
		"some.parquet":                {90, false},
	} {
		t.Run(name, func(t *testing.T) {
			k, table := cleanerOf(t, (*deltatest.Store).Versions, twoSidecars)
			path := table.LogPath("_sidecars/" + name)
			k.Sized(path, 10, ago(c.age))
			k.look()
			k.agent, k.Now = now.Add(25*time.Hour), now.Add(25*time.Hour)
			if one := k.run(); k.Has(path) == c.goes || one.Removal == nil || one.Removal.Log.Files < 8 || one.Worst() != proof.EffectNote {
				t.Errorf("%+v\n%s", one.Removal, k.text())
			}
		})
	}
}

func TestOldSidecarStaysWhileNobodyCanReadHowLongTheLogDoes(t *testing.T) {
	for words, goes := range map[string]bool{"interval 30 days": true, "12 months": false} {
		k, table := cleanerOf(t, (*deltatest.Store).Versions, twoSidecars)
		table.Properties["delta.logRetentionDuration"] = words
		table.Commit(ago(1), table.Alter())
		path := table.LogPath("_sidecars/11111111-2222-4333-8444-555555555555.parquet")
		k.Sized(path, 10, ago(90))
		k.look()
		k.agent, k.Now = now.Add(25*time.Hour), now.Add(25*time.Hour)
		k.run()
		if k.Has(path) == goes {
			t.Errorf("%q\n%s", words, k.text())
		}
	}
}

// TestSidecarThatAnyCheckpointNamesStays has a checkpoint share the sidecars of an expired one, in
// all ways in which it may name them.
func TestSidecarThatAnyCheckpointNamesStays(t *testing.T) {
	for says, c := range map[string]deltatest.Checkpoint{
		"JSON": {V2: "json"}, "parquet": {V2: "parquet"}, "classic name": {V2: "parquet", Classic: true},
		"folder": {V2: "json", SidecarPath: "_delta_log/_sidecars/"}, "URI": {V2: "json", SidecarPath: "s3a://lake/wh/t/_delta_log/_sidecars/"},
		"encoded": {V2: "parquet", SidecarPath: "%5Fsidecars%2F"},
	} {
		t.Run(says, func(t *testing.T) {
			k := newKeeper(t)
			k.Versions()
			k.rule.LogCleanup = spec.HandlingEnforce
			table := k.table("t")
			c.Sidecars, c.Share = 1, true
			for v := range 10 {
				switch v {
				case 0:
					table.Commit(ago(100), deltatest.Add("0.parquet"))
				default:
					table.Commit(ago(float64(100 - 10*v)))
				}
				switch v {
				case 2:
					table.Checkpoint(deltatest.Checkpoint{V2: "json", Sidecars: 1})
				case 5:
					table.Checkpoint(deltatest.Checkpoint{})
				case 8: // which is no boundary, and not the newest
					table.Checkpoint(c)
				case 9:
					table.Checkpoint(deltatest.Checkpoint{})
				}
			}
			if len(k.beside()) != 1 {
				t.Fatalf("nothing is shared: %q", k.beside())
			}
			k.look()
			one := k.run()
			if one.Removal == nil || one.Removal.Log.Files != 6 || len(k.beside()) != 1 || one.Worst() != proof.EffectNote {
				t.Errorf("%s", k.text())
			}
			if f, kept := one.Find(proof.FoundLogKept); kept {
				t.Errorf("%s", f.Says)
			}
		})
	}
}

// TestNoSidecarGoesWhereACheckpointCannotBeRead breaks a checkpoint that stays.
func TestNoSidecarGoesWhereACheckpointCannotBeRead(t *testing.T) {
	const uuid = "11111111-2222-4333-8444-555555555555"
	for says, breaks := range map[string]func(k *keeper, table *deltatest.Table, top string){
		"cannot be read: read 0000": func(k *keeper, _ *deltatest.Table, top string) {
			k.Overwrite(top, func(s string) string { return s[:len(s)-10] })
		},
		"is not there as it says": func(k *keeper, table *deltatest.Table, top string) { k.Delete(table.Sidecars[top][0]) },
		"is not there as it says ": func(k *keeper, table *deltatest.Table, top string) {
			k.Put(table.Sidecars[top][0], "another", ago(20))
		},
		"00000000000000000009.checkpoint.parquet is part of no checkpoint": func(k *keeper, table *deltatest.Table, _ string) {
			k.Put(table.LogPath("00000000000000000009.checkpoint.parquet"), "", ago(10))
		},
		"00000000000000000009.checkpoint.0000000001.0000000002.parquet is part of no checkpoint": func(k *keeper, table *deltatest.Table, _ string) {
			k.Put(table.LogPath("00000000000000000009.checkpoint.0000000001.0000000002.parquet"), "one of two", ago(10))
		},
		"00000000000000000009.checkpoint.v3." + uuid + ".parquet is part of no checkpoint": func(k *keeper, table *deltatest.Table, _ string) {
			k.Put(table.LogPath("00000000000000000009.checkpoint.v3."+uuid+".parquet"), "of the next kind", ago(10))
		},
		"actions checkpointMetadata": func(k *keeper, _ *deltatest.Table, top string) {
			k.Overwrite(top, func(s string) string { return strings.Replace(s, `{"checkpointMetadata"`, `{"unknown"`, 1) })
		},
	} {
		t.Run(says, func(t *testing.T) {
			k := newKeeper(t)
			k.Versions()
			k.rule.LogCleanup = spec.HandlingEnforce
			table := k.checkpointed(map[int]deltatest.Checkpoint{2: twoSidecars, 5: {}, 8: twoSidecars, 9: {}})
			top := ""
			for path := range table.Sidecars {
				top = max(top, path)
			}
			breaks(k, table, top)
			before := k.beside()
			k.look()
			one := k.run()
			f, kept := one.Find(proof.FoundLogKept)
			if !kept || !strings.Contains(f.Says, strings.TrimSpace(says)) || one.Worst() != proof.EffectNote {
				t.Errorf("%s", k.text())
			}
			// What else is expired goes all the same.
			if one.Removal == nil || one.Removal.Log.Files != 6 || !slices.Equal(before, k.beside()) {
				t.Errorf("%+v\n%q", one.Removal, k.beside())
			}
		})
	}
}

func TestOldSidecarsOfTheOldestCheckpointCostNoFurtherRead(t *testing.T) {
	k := newKeeper(t)
	k.rule.LogCleanup = spec.HandlingReport
	k.checkpointed(map[int]deltatest.Checkpoint{5: twoSidecars, 7: {}, 8: {}})
	reads := map[bool]int{}
	k.Fail = func(call, path string) error {
		if call == "get" && strings.Contains(path, "7.checkpoint") {
			reads[len(k.beside()) > 2]++
		}
		return nil
	}
	k.look()
	k.Sized("lake/wh/t/_delta_log/_sidecars/11111111-2222-4333-8444-555555555555.parquet", 10, ago(90))
	k.look()
	if reads[false] != 0 || reads[true] != 1 {
		t.Errorf("%v", reads)
	}
}

// TestCheckpointThatComesMeanwhileKeepsItsSidecars has somebody write another one once the first
// file of the log has gone.
func TestCheckpointThatComesMeanwhileKeepsItsSidecars(t *testing.T) {
	for says, write := range map[string]func(k *keeper, table *deltatest.Table){
		"names them": func(k *keeper, table *deltatest.Table) {
			table.Checkpoint(deltatest.Checkpoint{At: now, V2: "json", Sidecars: 1, Share: true})
		},
		"names them for an old version": func(k *keeper, table *deltatest.Table) {
			table.Version = 2
			table.Checkpoint(deltatest.Checkpoint{At: now, V2: "json", Sidecars: 1, Share: true})
			table.Version = 9
		},
		"is not whole": func(k *keeper, table *deltatest.Table) {
			k.Put(table.LogPath("00000000000000000009.checkpoint.0000000001.0000000002.parquet"), "the first", now)
		},
		"is written again": func(k *keeper, table *deltatest.Table) {
			k.Put(table.LogPath("00000000000000000008.checkpoint.parquet"), "by somebody who has not finished yet", now)
		},
	} {
		t.Run(says, func(t *testing.T) {
			eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
				k := newKeeper(t)
				prepare(k.Store)
				k.rule.LogCleanup = spec.HandlingEnforce
				table := k.table("t")
				table.Commit(ago(100), deltatest.Add("0.parquet"))
				for v := range 9 {
					table.Commit(ago(float64(90 - 10*v)))
					switch v {
					case 1:
						table.Checkpoint(deltatest.Checkpoint{V2: "json", Sidecars: 1})
					case 4, 7:
						table.Checkpoint(deltatest.Checkpoint{})
					}
				}
				k.look()
				n := 0
				k.After = func(call, path string) {
					if call == "removing" && strings.Contains(path, "_delta_log") {
						if n++; n == 1 {
							k.Quietly(func() { write(k, table) })
						}
					}
				}
				one := k.run()
				if n < 6 || one.Removal == nil || len(k.beside()) != 1 {
					t.Errorf("%d went, %q are there\n%s", n, k.beside(), k.text())
				}
				f, stopped := one.Find(proof.FoundStopped)
				if named := strings.HasPrefix(says, "names"); stopped == named || stopped && !strings.Contains(f.Says, "nobody can tell which sidecars") || named && one.Removal.Spared != 1 {
					t.Errorf("%s", k.text())
				}
				mustHaveLive(t, k.Store, table, says)
			})
		})
	}
}

func TestCleanupOfSidecarsThatIsKilledAnywhereCanBeUndoneAndGoesOn(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		for nth, last := 1, 1; nth <= last; nth += stride() {
			one, table := cleanBeside(t, prepare)
			before, log := one.content(), one.logOf()
			var undone, again *keeper
			last = one.moments(nth, func() { undone, again = one.killed(), one.killed() })
			if undone == nil {
				break
			}
			says := fmt.Sprintf("killed at call %d of %d", nth, last)
			mustHaveSidecars(t, undone.Store, table, says)
			undone.undoAll(says, before)
			if diff := cmp.Diff(log, undone.logOf()); diff != "" {
				t.Errorf("%s: -log +as it came back\n%s", says, diff)
			}
			again.run()
			mustHaveSidecars(t, again.Store, table, says+", and run again")
			if diff := cmp.Diff([]int64{5, 6, 7, 8, 9, 10}, readable(again.Paths(), "lake/wh/t")); diff != "" || len(again.beside()) != 2 {
				t.Errorf("%s, and run again: -want +readable\n%s\n%q\n%s", says, diff, again.beside(), again.text())
			}
			if rest := again.run(); rest.Removal != nil || rest.Worst() != proof.EffectNote {
				t.Errorf("%s: something is left: %s", says, again.text())
			}
			again.undoAll(says+", run again", before)
		}
	})
}

// TestCheckpointThatCannotBeReadAfterwardsBringsSidecarsBack has a checkpoint broken that could be
// read when the last sidecar went.
func TestCheckpointThatCannotBeReadAfterwardsBringsSidecarsBack(t *testing.T) {
	eachCleaning(t, func(t *testing.T, prepare func(*deltatest.Store)) {
		k := newKeeper(t)
		prepare(k.Store)
		k.rule.LogCleanup = spec.HandlingEnforce
		table := k.checkpointed(map[int]deltatest.Checkpoint{2: twoSidecars, 5: twoSidecars, 8: twoSidecars})
		k.look()
		n := 0
		k.After = func(call, path string) {
			if call == "removing" && strings.Contains(path, "_sidecars/") {
				if n++; n == 2 {
					k.Quietly(func() { k.Delete(table.LogPath("_sidecars/" + k.beside()[3])) })
				}
			}
		}
		one := k.run()
		f, lost := one.Find(proof.FoundLost)
		if !lost || !one.Removal.Undone || !strings.Contains(f.Says, "cannot be read") || len(k.beside()) != 5 {
			t.Errorf("%q\n%s", k.beside(), k.text())
		}
	})
}

// TestSidecarThatNoCheckpointNamesGoesWhenOurListsHaveShownItForLongEnough: how old it is by the store is what
// its writer says, and its checkpoint may come only now. Those of a checkpoint that goes need not wait.
func TestSidecarThatNoCheckpointNamesGoesWhenOurListsHaveShownItForLongEnough(t *testing.T) {
	for _, how := range []spec.Vacuum{spec.VacuumFull, spec.VacuumLite} {
		k, table := cleanerOf(t, (*deltatest.Store).Versions, twoSidecars)
		k.rule.Vacuum = how
		path := table.LogPath("_sidecars/11111111-2222-4333-8444-555555555555.parquet")
		k.Sized(path, 10, ago(90))
		at := func(hours int) (one proof.Table) {
			k.agent, k.Now = now.Add(time.Duration(hours)*time.Hour), now.Add(time.Duration(hours)*time.Hour)
			return k.run()
		}
		if one := at(0); one.Removal != nil || one.Beside.Files != 1 || one.LogGoes.Files != 8 {
			t.Errorf("%s, at first: %s", how, k.text())
		}
		if one := at(1); one.Removal == nil || one.Removal.Log.Files != 8 || one.Beside.Files != 1 || !k.Has(path) || len(k.beside()) != 3 || !strings.Contains(k.text(), "sidecars seen too lately 1 file, 10 B") {
			t.Errorf("%s, those of the checkpoint: %s", how, k.text())
		}
		if one := at(23); one.Removal != nil || one.Beside.Files != 1 {
			t.Errorf("%s, too early: %s", how, k.text())
		}
		k.Sized(path, 10, ago(90)) // somebody writes it again, and says the same time
		if one := at(24); one.Removal != nil || !k.Has(path) {
			t.Errorf("%s, another one: %s", how, k.text())
		}
		if one := at(48); one.Removal == nil || one.Removal.Log.Files != 1 || k.Has(path) || len(k.beside()) != 2 || one.Beside.Files != 0 {
			t.Errorf("%s, in the end: %s", how, k.text())
		}
	}
}

// TestSidecarOfARestoredLogStaysForTheCheckpointThatNamesIt puts a log back as a program does that keeps the
// times of files: its sidecars come before its checkpoint.
func TestSidecarOfARestoredLogStaysForTheCheckpointThatNamesIt(t *testing.T) {
	k, table := cleanerOf(t, (*deltatest.Store).Versions, twoSidecars)
	k.look()
	table.Checkpoint(deltatest.Checkpoint{At: ago(90), V2: "json", Sidecars: 2})
	top := ""
	for path := range table.Sidecars {
		top = max(top, path)
	}
	content := k.Read(top)
	k.Delete(top)
	k.run()
	k.Put(top, content, ago(90))
	mustHaveSidecars(t, k.Store, table, "restored")
	if one := k.run(); one.Worst() != proof.EffectNote {
		t.Error(k.text())
	}
}
