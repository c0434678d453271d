package delta_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// stride leaves moments out where there is little time.
func stride() int {
	if testing.Short() {
		return 11
	}
	return 1
}

// moments has something done at the nth call to the store of a run, and gives how many calls
// there were: those before they are made, and those that have changed something.
func (k *keeper) moments(nth int, do func()) (n int) {
	count := func() {
		if n++; n == nth {
			do()
		}
	}
	k.Fail = func(string, string) error { count(); return nil }
	k.After = func(string, string) { count() }
	k.run()
	k.Fail, k.After = nil, nil
	return n
}

// killed is what a process leaves that is killed now.
func (k *keeper) killed() *keeper {
	k.Helper()
	left := &keeper{lake: &lake{T: k.T, Store: k.Clone(), rule: k.rule, agent: k.agent}, dir: k.TempDir(), batch: k.batch, ctx: k.Context()}
	if err := os.CopyFS(left.dir, os.DirFS(k.dir)); err != nil {
		k.Fatal(err)
	}
	return left
}

// TestRunThatIsKilledAnywhereCanBeUndoneAndGoesOn kills a run between any two calls to the store,
// before and after each took effect.
func TestRunThatIsKilledAnywhereCanBeUndoneAndGoesOn(t *testing.T) {
	eachLook(t, func(k *keeper) {
		for nth, last := 1, 1; nth <= last; nth += stride() {
			one := k.another()
			table := one.ready()
			before := one.content()
			var undone, again *keeper
			last = one.moments(nth, func() { undone, again = one.killed(), one.killed() })
			if undone == nil {
				break
			}
			says := fmt.Sprintf("killed at call %d of %d", nth, last)
			mustHaveLive(k.T, undone.Store, table, says)
			undone.undoAll(says, before)
			again.run()
			mustHaveLive(k.T, again.Store, table, says+", run again")
			if rest := again.run(); rest.Goes.Files != 0 || rest.Worst() != proof.EffectNote {
				k.Errorf("%s: something is left: %s", says, again.text())
			}
			again.undoAll(says+", run again", before)
		}
	})
}

// another is a new one, in the same kind of store and with the same rule.
func (k *keeper) another() *keeper {
	one := newKeeper(k.T)
	one.rule = k.rule
	if on, _, _ := k.Store.Versioned(k.Context(), ""); on {
		one.Versions()
	}
	return one
}

// undoAll undoes every run that is known, the newest first, and expects the store to be as it was.
func (k *keeper) undoAll(says string, before map[string]string) {
	k.Helper()
	runs, err := delta.NewMemory(k.dir).Runs()
	if err != nil {
		k.Fatal(err)
	}
	for i := len(runs) - 1; i >= 0; i-- {
		if u := k.undo(runs[i].Run); u.Err() != nil {
			k.Errorf("%s: %+v", says, u)
		}
	}
	if diff := cmp.Diff(before, k.originals()); diff != "" {
		k.Errorf("%s: -before +after\n%s", says, diff)
	}
}

// originals are all files but copies that a killed run had made and not needed.
func (k *keeper) originals() map[string]string {
	all := k.content()
	for path := range all {
		if strings.Contains(path, "/_flumen_quarantine/") {
			delete(all, path)
		}
	}
	return all
}

// TestWriterAtAnyMomentOfARunLosesNothing has somebody else write between any two calls.
func TestWriterAtAnyMomentOfARunLosesNothing(t *testing.T) {
	writers := map[string]func(k *keeper, t *deltatest.Table){
		"add again": func(_ *keeper, t *deltatest.Table) {
			t.Commit(now, deltatest.Add("b.parquet"), deltatest.Add("d.parquet"))
		},
		"restore": func(_ *keeper, t *deltatest.Table) {
			t.Operation = "RESTORE"
			t.Commit(now, deltatest.Add("a.parquet"), deltatest.Add("b.parquet"), deltatest.Add("c.parquet"), deltatest.Add("d.parquet"))
		},
		"replace": func(_ *keeper, t *deltatest.Table) {
			t.ID, t.Operation = "another", "CREATE OR REPLACE TABLE AS SELECT"
			t.Commit(now, t.Alter(), deltatest.Remove("live.parquet"), deltatest.Add("c.parquet"))
		},
		"clone": func(k *keeper, t *deltatest.Table) {
			if k.Has("lake/wh/clone/_delta_log/00000000000000000000.json") {
				return
			}
			c := k.table("clone")
			c.Operation = "CLONE"
			c.Commit(now, deltatest.Add("s3a://lake/wh/t/d.parquet"))
		},
		"vacuum": func(k *keeper, _ *deltatest.Table) { k.Delete("lake/wh/t/b.parquet") },
		"drop": func(k *keeper, t *deltatest.Table) {
			for _, p := range k.Paths() {
				if strings.HasPrefix(p, "lake/wh/t/") {
					k.Delete(p)
				}
			}
			t.State = nil
		},
		"drop and make again": func(k *keeper, t *deltatest.Table) {
			for _, p := range k.Paths() {
				if strings.HasPrefix(p, "lake/wh/t/_delta_log/") {
					k.Delete(p)
				}
			}
			again := k.table("t")
			again.ID = "another"
			again.Commit(now, deltatest.Add("c.parquet"), deltatest.Add("orphan.parquet"))
			*t = *again
		},
	}
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			eachLook(t, func(k *keeper) {
				for nth, last := 1, 1; nth <= last; nth += stride() {
					one := k.another()
					table := one.ready()
					had := map[string]bool{}
					last = one.moments(nth, func() {
						write(one, table)
						for _, f := range table.State {
							had[f.Path] = one.Has(table.Folder + "/" + f.Path)
						}
						if name == "clone" {
							had["d.parquet"] = one.Has("lake/wh/t/d.parquet")
						}
					})
					// A writer that names what is gone already is told so by its own engine.
					for path, was := range had {
						if was && !one.Has(table.Folder+"/"+path) {
							k.Errorf("at call %d of %d: %s was there when it was committed, and is gone\n%s", nth, last, path, one.text())
						}
					}
				}
			})
		})
	}
}

// TestVectorThatIsNamedAgainIsBroughtBackThoughACopyHasItsName: the name of a deletion vector is
// looked for wherever it may be, and its copy in the quarantine has it too.
func TestVectorThatIsNamedAgainIsBroughtBackThoughACopyHasItsName(t *testing.T) {
	eachLook(t, func(k *keeper) {
		v, file := vector("ab", 1)
		k.Sized("lake/wh/t/"+file, 10, ago(100))
		table := k.table("t")
		table.Commit(ago(100), deltatest.Add("a.parquet", v), deltatest.Add("b.parquet"))
		table.Commit(ago(60), deltatest.Remove("a.parquet", v), deltatest.Add("a.parquet"))
		table.Commit(ago(40))
		k.look()
		k.Fail = func(call, path string) error {
			if call == "removing" && path == "lake/wh/t/"+file {
				table.Commit(now, deltatest.Remove("a.parquet"), deltatest.Add("a.parquet", v))
			}
			return nil
		}
		one := k.run()
		if _, lost := one.Find(proof.FoundLost); !lost || !one.Removal.Undone || !k.Has("lake/wh/t/"+file) {
			k.Errorf("%s", k.text())
		}
	})
}

// TestEdge31TwoAgentsAtOnceLoseNothing has another agent, which remembers other things, run in the
// middle of a run.
func TestEdge31TwoAgentsAtOnceLoseNothing(t *testing.T) {
	eachLook(t, func(k *keeper) {
		for nth, last := 1, 1; nth <= last; nth += stride() {
			one := k.another()
			table := one.ready()
			before := one.content()
			var other *keeper
			last = one.moments(nth, func() {
				other = &keeper{lake: one.lake, dir: one.TempDir(), batch: 3, ctx: one.Context()}
				one.Quietly(func() {
					other.run()
					other.run()
				})
			})
			says := fmt.Sprintf("another agent at call %d of %d", nth, last)
			mustHaveLive(k.T, one.Store, table, says)
			if other == nil {
				break
			}
			for _, agent := range []*keeper{other, one} {
				runs, err := delta.NewMemory(agent.dir).Runs()
				if err != nil {
					k.Fatal(err)
				}
				for _, r := range runs {
					agent.undo(r.Run) // each brings back what it removed itself
				}
			}
			if diff := cmp.Diff(before, one.originals()); diff != "" {
				k.Errorf("%s: -before +after both were undone\n%s", says, diff)
			}
		}
	})
}

// busy is what a store says that wants to be asked later.
type busy struct{ error }

func (busy) Passing() bool { return true }

func TestBusyStoreIsAskedAgainLater(t *testing.T) {
	for way, prepare := range ways {
		t.Run(string(way), func(t *testing.T) {
			k := newKeeper(t)
			prepare(k.Store)
			k.ready()
			dir := k.dir
			synctest.Test(t, func(t *testing.T) {
				k := &keeper{lake: &lake{T: t, Store: k.Store, rule: k.rule, agent: k.agent}, dir: dir, batch: 2, ctx: t.Context()}
				began, refused := time.Now(), map[string]int{}
				k.Fail = func(call, path string) error {
					if (call == "copy" || call == "removing") && refused[path+call] < 2 {
						refused[path+call]++
						return busy{errors.New("SlowDown")}
					}
					return nil
				}
				one := k.run()
				if one.Removal.Removed.Files != 5 || one.Removal.Failed != 0 || time.Since(began) == 0 {
					t.Errorf("%+v after %s\n%s", one.Removal, time.Since(began), k.text())
				}
			})
		})
	}
}

func TestStoreThatStaysBusyEndsTheRun(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	dir, store := k.dir, k.Store
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{lake: &lake{T: t, Store: store, rule: k.rule, agent: k.agent}, dir: dir, batch: 2, ctx: t.Context()}
		k.Fail = func(call, _ string) error {
			if call == "remove" {
				return busy{errors.New("SlowDown")}
			}
			return nil
		}
		one := k.run()
		if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, "busy") || one.Removal.Removed.Files != 0 {
			t.Errorf("%s", k.text())
		}
	})
}

func TestNothingBeginsWhenTheWindowIsOver(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	dir, store := k.dir, k.Store
	synctest.Test(t, func(t *testing.T) {
		k := &keeper{lake: &lake{T: t, Store: store, rule: k.rule, agent: k.agent}, dir: dir, batch: 2, window: time.Hour, ctx: t.Context()}
		k.After = func(call, path string) {
			if call == "removing" && strings.HasSuffix(path, "a.parquet") {
				time.Sleep(time.Hour)
			}
		}
		one := k.run()
		if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, "the window of 1h is over") || one.Removal.Removed.Files != 1 {
			t.Errorf("%s", k.text())
		}
	})
}

func TestFileThatTheStoreDoesNotRemoveEndsTheRun(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.Fail = func(call, path string) error {
		if call == "removing" && strings.HasSuffix(path, "b.parquet") {
			return errors.New("AccessDenied")
		}
		return nil
	}
	one := k.run()
	if f, ok := one.Find(proof.FoundStopped); !ok || !strings.Contains(f.Says, "remove b.parquet: AccessDenied") || one.Removal.Failed != 1 || one.Removal.Removed.Files != 2 || !k.Has("lake/wh/t/d.parquet") {
		t.Errorf("%s", k.text())
	}
}

func TestLeaseOfAnotherProcessIsRespected(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	second := proof.Table{}
	k.After = func(call, _ string) {
		if call == "removing" && second.Place == "" {
			other := &keeper{lake: &lake{T: t, Store: k.Store, rule: k.rule, agent: k.agent}, dir: k.dir, batch: 2, ctx: context.Background()}
			k.Quietly(func() { second = other.run() })
		}
	}
	k.run()
	if _, ok := second.Find(proof.FoundBusy); !ok || second.Removal != nil {
		t.Errorf("%+v", second)
	}
}
