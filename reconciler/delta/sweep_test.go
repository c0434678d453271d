package delta_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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

var _ delta.Remover = (*deltatest.Store)(nil)

func TestRunRemovesWhatThePlanSaysAndNothingElse(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.ready()
		before := k.content()
		one := k.run()
		if r := one.Removal; r == nil || r.Removed.Files != 5 || r.Freed.Files != 0 || !r.Verified || k.report.Status() != proof.StatusInPolicy {
			k.Errorf("%+v %s\n%s", one.Removal, string(rune('0'+int(k.report.Status()))), k.text())
		}
		for path := range before {
			if gone := slices.Contains(goners, path); k.Has(path) == gone {
				k.Errorf("%s is there: %t", path, !gone)
			}
		}
		if again := k.run(); again.Goes.Files != 0 || again.Removal != nil {
			k.Errorf("again: %+v", again)
		}
	})
}

func TestUndoBringsBackByteForByteAndLocks(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.ready()
		before := k.content()
		run := k.run().Removal.Run
		u := k.undo(run)
		if !u.Verified || u.Err() != nil || u.Restored.Files != 5 {
			k.Errorf("%+v", u)
		}
		if diff := cmp.Diff(before, k.content()); diff != "" {
			k.Errorf("-before +after\n%s", diff)
		}
		again := k.run()
		if f, locked := again.Find(proof.FoundLocked); !locked || again.Removal != nil || !strings.Contains(f.Says, run) {
			k.Errorf("%+v", again)
		}
		if diff := cmp.Diff(before, k.content()); diff != "" {
			k.Errorf("the lock did not hold: %s", diff)
		}
		if _, err := delta.NewMemory(k.dir).Unlock("default.t"); err != nil {
			k.Fatal(err)
		}
		if once := k.run(); once.Removal != nil {
			k.Error("without a report since")
		}
		if _, err := delta.NewMemory(k.dir).Unlock("default.t"); err == nil {
			k.Error("unlocked what is not locked")
		}
		if twice := k.undo(run); twice.Err() != nil {
			k.Errorf("undone twice: %+v", twice)
		}
	})
}

func TestFirstRunByARuleOnlyReports(t *testing.T) {
	k := newKeeper(t)
	k.dying()
	first := k.run()
	if f, ok := first.Find(proof.FoundFirst); !ok || first.Removal != nil || len(k.Paths()) != 12 {
		t.Errorf("%v %v", f, k.Paths())
	}
	k.rule.Data = 31 * day
	other := k.run()
	if _, ok := other.Find(proof.FoundFirst); !ok || other.Removal != nil {
		t.Errorf("another rule: %+v", other)
	}
	if third := k.run(); third.Removal == nil || third.Removal.Removed.Files != 4 {
		t.Errorf("%+v", third)
	}
}

func TestTableThatWasReplacedIsOnlyReported(t *testing.T) {
	k := newKeeper(t)
	table := k.ready()
	table.ID = "another"
	table.Commit(ago(1), table.Alter())
	one := k.run()
	if f, ok := one.Find(proof.FoundFirst); !ok || !strings.Contains(f.Says, "another one") || one.Removal != nil {
		t.Errorf("%+v", one)
	}
}

func TestReportThatWasNotCleanLetsNoRunBegin(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.rule.MaxFiles = 1
	k.look()
	k.rule.MaxFiles = 1000
	if one := k.run(); one.Removal != nil {
		t.Errorf("%+v", one.Removal)
	}
}

func TestOrphanGoesOnlyWhenOurListsHaveShownItForLongEnough(t *testing.T) {
	k := newKeeper(t)
	k.dying()
	k.look()
	if one := k.report.Tables[0]; one.Waiting.Files != 1 || one.Goes.Files != 4 {
		t.Errorf("%+v", one)
	}
	k.agent, k.Now = now.Add(23*time.Hour), now.Add(23*time.Hour)
	k.Put("lake/wh/t/young.parquet", "its time is what its writer says", ago(90)) // the same age by the store
	if one := k.run(); one.Removal.Removed.Files != 4 || !k.Has("lake/wh/t/orphan.parquet") {
		t.Errorf("%+v", one)
	}
	k.agent, k.Now = now.Add(24*time.Hour), now.Add(24*time.Hour)
	if k.run(); k.Has("lake/wh/t/orphan.parquet") || !k.Has("lake/wh/t/young.parquet") {
		t.Error(k.Paths())
	}
	k.Put("lake/wh/t/young.parquet", "written again", ago(90))
	k.agent, k.Now = now.Add(30*24*time.Hour), now.Add(30*24*time.Hour)
	if k.run(); !k.Has("lake/wh/t/young.parquet") {
		t.Error("it is another file than the one that was seen")
	}
}

func TestDryRunWritesWhatARunUses(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.look()
	dry := k.file("tables/*/manifest.jsonl.zst")
	k.run()
	if used := k.file("runs/*/*/manifest.jsonl.zst"); used != dry {
		t.Error("they differ")
	}
	k.ready()
}

// file reads the one file of the memory that a pattern matches.
func (k *keeper) file(pattern string) string {
	k.Helper()
	all, err := filepath.Glob(filepath.Join(k.dir, pattern))
	if err != nil || len(all) != 1 {
		k.Fatalf("%s: %v %v", pattern, all, err)
	}
	content, err := os.ReadFile(all[0])
	if err != nil {
		k.Fatal(err)
	}
	return string(content)
}

func TestRemovedFilesGoBeforeOrphansAndVectorsLastOfEach(t *testing.T) {
	k := newKeeper(t)
	v, file := vector("", 1)
	k.Sized("lake/wh/t/"+file, 10, ago(100))
	table := k.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet", v), deltatest.Add("z.parquet"))
	table.Commit(ago(60), deltatest.Remove("a.parquet", v), deltatest.Remove("z.parquet"), deltatest.Add("live.parquet"))
	table.Commit(ago(40))
	_, stray := vector("", 2)
	k.Sized("lake/wh/t/"+stray, 10, ago(90))
	k.Sized("lake/wh/t/aa.parquet", 10, ago(90))
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now, now
	var order []string
	k.After = func(call, path string) {
		if call == "removing" {
			order = append(order, strings.TrimPrefix(path, "lake/wh/t/"))
		}
	}
	k.run()
	if diff := cmp.Diff([]string{"a.parquet", "z.parquet", file, "aa.parquet", stray}, order); diff != "" {
		t.Errorf("-want +have\n%s\n%s", diff, k.text())
	}
}

// kills are the ends of a run between any two of its batches.
func TestKillSwitchesStopARunBeforeItsNextBatch(t *testing.T) {
	var made []proof.Entry // tables that the metastore has by now
	for name, pull := range map[string]func(k *keeper) string{
		"pause": func(k *keeper) string { k.pause("paused: disks"); return "paused: disks" },
		"hold": func(k *keeper) string {
			k.Put("lake/wh/t/_flumen_hold", "", now)
			return "_flumen_hold is in the table"
		},
		"metastore": func(k *keeper) string {
			k.away = errors.New("connection refused")
			return "the metastore, which may know of shallow clones, cannot be asked: connection refused"
		},
		"clone": func(k *keeper) string {
			k.Quietly(func() { k.table("clone").Commit(now, deltatest.Add("s3a://lake/wh/t/orphan.parquet")) })
			return "lake/wh/clone is new, and may be a shallow clone"
		},
		"clone elsewhere": func(k *keeper) string {
			made = []proof.Entry{{Name: "silver.clone", Location: "s3a://other/clone", Delta: true}}
			return "the metastore has a table at s3://other/clone by now"
		},
		"signal": func(k *keeper) string {
			ctx, cancel := context.WithCancelCause(k.Context())
			k.ctx = ctx
			k.After = nil
			return func() string { cancel(errors.New("asked to end")); return "asked to end" }()
		},
		"gone": func(k *keeper) string {
			k.Fail = func(call, path string) error {
				if strings.HasSuffix(path, delta.HoldFile) {
					return errors.New("the store is gone")
				}
				return nil
			}
			return "the store is gone"
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(k *keeper) {
				made = nil
				k.names = func(context.Context) ([]proof.Entry, error) {
					return append(made, proof.Entry{Name: "default.t", Location: "s3a://lake/wh/t", Delta: true}), nil
				}
				k.ready()
				says, removed := "", 0
				k.pause("")
				ctx, cancel := context.WithCancelCause(k.Context())
				k.ctx = ctx
				k.After = func(call, path string) {
					if call != "removing" {
						return
					}
					if removed++; removed == 3 { // the last one of the second batch
						if name == "signal" {
							says = "asked to end"
							cancel(errors.New(says))
							return
						}
						says = pull(k)
					}
				}
				one := k.run()
				f, stopped := one.Find(proof.FoundStopped)
				if !stopped || !strings.Contains(f.Says, says) || removed != 3 || one.Removal.Removed.Files != 3 || k.report.Status() != proof.StatusRefused {
					k.Errorf("%d were removed\n%s", removed, k.text())
				}
			})
		})
	}
}

func TestStoreMayNotSayWhetherItIsPaused(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	r, err := delta.Run(t.Context(), delta.RunOptions{
		Options: k.options(),
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return k.Store, nil },
		Paused:  func(context.Context) (string, error) { return "", errors.New("its memory cannot be read") },
	})
	if f, ok := r.Tables[0].Find(proof.FoundStopped); err != nil || !ok || !strings.Contains(f.Says, "nobody can tell") || len(k.Paths()) != 12 {
		t.Errorf("%v %v", f, err)
	}
}

func TestMetastoreThatGoesAwayStopsARun(t *testing.T) {
	k := newKeeper(t)
	asked := 0
	k.names = func(context.Context) ([]proof.Entry, error) {
		if asked++; asked > 2 {
			return nil, errors.New("connection refused")
		}
		return []proof.Entry{{Name: "default.t", Location: "s3a://lake/wh/t", Delta: true}}, nil
	}
	k.ready() // asks once, and the plan of the run once more
	one := k.run()
	if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, "connection refused") || one.Removal.Removed.Files != 0 || asked != 3 {
		t.Errorf("asked %d times\n%s", asked, k.text())
	}
}

// TestMetastoreIsAskedAgainInTheEnd: a clone may be made while the last batch goes.
func TestMetastoreIsAskedAgainInTheEnd(t *testing.T) {
	sweep := func(after func(removed int64, made *[]proof.Entry)) (*keeper, proof.Table) {
		k := newKeeper(t)
		made, removed := []proof.Entry{{Name: "default.t", Location: "s3a://lake/wh/t", Delta: true}}, int64(0)
		k.names = func(context.Context) ([]proof.Entry, error) { return made, nil }
		k.ready()
		k.After = func(call, _ string) {
			if call == "removing" {
				removed++
				after(removed, &made)
			}
		}
		return k, k.run()
	}
	k, one := sweep(func(int64, *[]proof.Entry) {})
	all := one.Removal.Removed.Files
	if !one.Removal.Verified {
		t.Fatal(k.text())
	}
	k, one = sweep(func(removed int64, made *[]proof.Entry) {
		if removed == all {
			*made = append(*made, proof.Entry{Name: "silver.clone", Location: "s3a://other/clone", Delta: true})
		}
	})
	if one.Removal.Verified || one.Removal.Removed.Files != all || !strings.Contains(k.text(), "the metastore has a table at s3://other/clone by now") {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
}

func TestOnlyTheTablesThatAreNamedAreTreated(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.tables = []string{"default.other"}
	if _, err := delta.Run(t.Context(), delta.RunOptions{Options: k.options(), Tables: k.tables}); err == nil || !strings.Contains(err.Error(), "no table default.other") {
		t.Error(err)
	}
	other := k.Store.Table("lake/wh/other")
	other.Commit(ago(10), deltatest.Add("x.parquet"))
	if one := k.run(); one.Removal != nil {
		t.Errorf("%+v", one.Removal)
	}
	k.tables = []string{"s3://lake/wh/t"}
	if one := k.run(); one.Removal == nil || one.Removal.Removed.Files != 5 {
		t.Errorf("%+v", one.Removal)
	}
}

func TestWithoutADeleteKeyNothingGoes(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	r, err := delta.Run(t.Context(), delta.RunOptions{
		Options: k.options(),
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return nil, errors.New("no key") },
	})
	if _, ok := r.Tables[0].Find(proof.FoundNoKey); err != nil || !ok || r.Status() != proof.StatusRefused || len(k.Paths()) != 12 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestWayBackThatTheRuleAsksForHasToBeThere(t *testing.T) {
	k := newKeeper(t)
	k.rule.Undo = spec.UndoVersioning
	k.ready()
	if one := k.run(); one.Removal != nil || len(k.Paths()) != 12 {
		t.Errorf("%+v", one)
	} else if _, ok := one.Find(proof.FoundNoUndo); !ok {
		t.Error(k.text())
	}
}

func TestStoreThatKeepsNoVersionAfterAllIsFoundByTheFirstFile(t *testing.T) {
	k := newKeeper(t)
	k.Versions()
	k.ready()
	n := 0
	k.After = func(call, _ string) {
		if call == "removing" {
			n++
		}
	}
	r, err := delta.Run(t.Context(), delta.RunOptions{
		Options: k.options(),
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return forgetful{k.Store}, nil },
	})
	if f, ok := r.Tables[0].Find(proof.FoundStopped); err != nil || !ok || !strings.Contains(f.Says, "kept no version") || n != 1 {
		t.Errorf("%d %v %v", n, f, err)
	}
}

// forgetful says that it keeps versions, and leaves no mark.
type forgetful struct{ *deltatest.Store }

func (f forgetful) Remove(ctx context.Context, paths []string, done func(string, string, error)) {
	f.Store.Remove(ctx, paths, func(path, _ string, err error) { done(path, "", err) })
}

func TestLiveFileThatIsMissingAfterwardsBringsAllBackAndLocks(t *testing.T) {
	eachWay(t, func(k *keeper) {
		table := k.ready()
		before := k.content()
		k.After = func(call, path string) {
			if path == "lake/wh/t/c.parquet" && call == "removing" {
				k.Delete("lake/wh/t/live.parquet") // by somebody else
			}
		}
		one := k.run()
		f, lost := one.Find(proof.FoundLost)
		if !lost || k.report.Status() != proof.StatusCritical || !one.Removal.Undone || !strings.Contains(f.Says, "was brought back") {
			k.Errorf("%s", k.text())
		}
		delete(before, "lake/wh/t/live.parquet")
		if diff := cmp.Diff(before, k.content()); diff != "" {
			k.Error(diff)
		}
		k.After = nil
		k.Sized("lake/wh/t/live.parquet", 100, ago(60))
		mustHaveLive(k.T, k.Store, table, "afterwards")
		if again := k.run(); again.Removal != nil {
			k.Error("the table is not locked")
		}
	})
}

func TestNameOfARunIsNoPath(t *testing.T) {
	for _, run := range []string{"", "*", "../../../../../etc/aaaaaa", "20261127-12000*-123456", "20261127/120000/123456"} {
		if _, err := delta.Undo(t.Context(), delta.UndoOptions{Memory: delta.NewMemory(t.TempDir()), Run: run}); err == nil || !strings.Contains(err.Error(), "not the name of a run") {
			t.Errorf("%q: %v", run, err)
		}
	}
}

func TestRoomIsFreedNowOnlyWhereTheStoreKeepsNoVersion(t *testing.T) {
	for way, freed := range map[spec.Undo]int64{spec.UndoNone: 5, spec.UndoQuarantine: 0} {
		for _, versions := range []bool{false, true} {
			k := newKeeper(t)
			if versions {
				k.Versions()
			}
			k.rule.Undo = way
			k.ready()
			r := k.run().Removal
			want := proof.Amount{Files: freed, Bytes: 100 * freed}
			kept := proof.Amount{}
			if want.Bytes > 0 {
				want.Bytes = r.Removed.Bytes
			}
			if versions {
				want, kept = kept, r.Removed
			}
			if r.Removed.Files != 5 || r.Freed != want || r.Kept != kept {
				t.Errorf("%s, versions: %t: %+v", way, versions, r)
			}
			k.agent, k.Now = now.Add(8*day), now.Add(8*day)
			if r = k.run().Removal; way == spec.UndoNone {
				continue
			}
			if gone := map[bool]proof.Amount{versions: r.Shelved, !versions: r.Purged}; gone[true].Files != 5 || gone[false].Files != 0 {
				t.Errorf("versions: %t: set aside, and gone: %+v", versions, r)
			}
		}
	}
}

// TestCloneThatIsMadeWhileFilesGoHasThemBack: it may be of a version that could be read until then, and be made after
// the last look before a batch, or while Spark is at it.
func TestCloneThatIsMadeWhileFilesGoHasThemBack(t *testing.T) {
	const uses = "lake/wh/t/orphan.parquet"
	mustBeBack := func(k *keeper, one proof.Table, before map[string]string) {
		k.Helper()
		f, lost := one.Find(proof.FoundLost)
		if !lost || !strings.Contains(f.Says, "a shallow clone that was made meanwhile uses orphan.parquet; everything that it removed was brought back") || one.Removal.Verified || k.report.Status() != proof.StatusCritical {
			k.Errorf("%+v\n%s", one.Removal, k.text())
		}
		k.Quietly(func() {
			k.Delete(slices.DeleteFunc(k.Paths(), func(p string) bool { return !strings.HasPrefix(p, "lake/wh/clone/") })...)
		})
		if diff := cmp.Diff(before, k.content()); diff != "" {
			k.Errorf("not brought back: %s", diff)
		}
	}
	clone := func(k *keeper) {
		k.Quietly(func() { k.table("clone").Commit(now, deltatest.Add("s3a://"+uses)) })
	}
	t.Run("agent", func(t *testing.T) {
		eachWay(t, func(k *keeper) {
			k.ready()
			before := k.content()
			k.After = func(call, path string) {
				if call == "removing" && path == uses { // the last one
					clone(k)
				}
			}
			mustBeBack(k, k.run(), before)
		})
	})
	t.Run("Spark", func(t *testing.T) {
		k, _, s := delegated(t, (*deltatest.Store).Versions)
		before := k.content()
		s.does = func(context.Context, []string) error { k.vacuum(goners...); clone(k); return nil }
		mustBeBack(k, k.run(), before)
	})
}
