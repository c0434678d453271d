package delta_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// lateStore is one that may list late, and hides files from lists.
type lateStore struct {
	*deltatest.Store
	late  bool
	hides func(path string) bool
}

var _ delta.Late = (*lateStore)(nil)

func (s *lateStore) Late() bool { return s.late }

func (s *lateStore) List(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	return s.Store.List(ctx, folder, deep, s.shown(each))
}

func (s *lateStore) ListAfter(ctx context.Context, folder, after string, each func(string, int64, time.Time, string) error) error {
	return s.Store.ListAfter(ctx, folder, after, s.shown(each))
}

func (s *lateStore) shown(each func(string, int64, time.Time, string) error) func(string, int64, time.Time, string) error {
	return func(path string, size int64, written time.Time, tag string) error {
		if s.hides != nil && s.hides(path) {
			return nil
		}
		return each(path, size, written, tag)
	}
}

// lately runs over such a store in a time of its own. run tells how long it took.
func lately(t *testing.T, late bool, check func(k *keeper, run func() (proof.Table, time.Duration))) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper(t)
		k.behind = &lateStore{Store: k.Store, late: late}
		check(k, func() (proof.Table, time.Duration) {
			began := time.Now()
			one := k.run()
			return one, time.Since(began)
		})
	})
}

// mustHave expects that so many of the files that may go are there.
func (k *keeper) mustHave(n int) {
	k.Helper()
	if there := slices.DeleteFunc(slices.Clone(goners), func(path string) bool { return !k.Has(path) }); len(there) != n {
		k.Errorf("there are %v, want %d\n%s", there, n, k.text())
	}
}

func (k *keeper) hide(hides func(path string) bool) { k.behind.(*lateStore).hides = hides }

func TestStoreThatMayListLateIsAskedTwice(t *testing.T) {
	for late, want := range map[bool]time.Duration{true: 5 * time.Second, false: 0} {
		lately(t, late, func(k *keeper, run func() (proof.Table, time.Duration)) {
			k.ready()
			_, took := run()
			k.mustHave(0)
			if took != want {
				k.Errorf("late %t: it took %s, want %s", late, took, want)
			}
		})
	}
}

// TestStoreThatMayListLateIsAskedAgainWhenAllLogsAreOldEnough: a table that is planned later may use files of one before.
func TestStoreThatMayListLateIsAskedAgainWhenAllLogsAreOldEnough(t *testing.T) {
	lately(t, true, func(k *keeper, run func() (proof.Table, time.Duration)) {
		k.ready()
		k.usual("u")
		read := k.Called("get")
		var listed time.Time // the log of the other one, when that of the first one had been read
		k.hide(func(path string) bool {
			if strings.HasSuffix(path, "/u/_delta_log/00000000000000000000.json") && listed.IsZero() && k.Called("get") > read {
				time.Sleep(4 * time.Second)
				listed = time.Now()
			}
			return false
		})
		k.Fail = func(call, path string) error {
			if call == "remove" && time.Since(listed) < 5*time.Second {
				k.Errorf("%s goes %s after the other log was listed", path, time.Since(listed))
			}
			return nil
		}
		run()
		k.mustHave(0)
	})
}

func TestTableOfWhichNothingGoesIsNotWaitedFor(t *testing.T) {
	lately(t, true, func(k *keeper, run func() (proof.Table, time.Duration)) {
		k.table("t").Commit(ago(5), deltatest.Add("a.parquet"))
		k.Put("lake/wh/t/a.parquet", "live", ago(5))
		k.look()
		if _, took := run(); took != 0 {
			k.Errorf("it took %s", took)
		}
	})
}

// TestCommitThatIsListedLateIsHeardOfBeforeAnythingGoes: it was there before the plan, and brings a file back.
func TestCommitThatIsListedLateIsHeardOfBeforeAnythingGoes(t *testing.T) {
	lately(t, true, func(k *keeper, run func() (proof.Table, time.Duration)) {
		table := k.ready()
		table.Operation = "RESTORE"
		table.Commit(now.Add(-time.Second), deltatest.Add("a.parquet"))
		shown := time.Now().Add(3 * time.Second)
		k.hide(func(path string) bool {
			return strings.HasSuffix(path, "00000000000000000004.json") && time.Now().Before(shown)
		})
		one, _ := run()
		if f, _ := one.Find(proof.FoundStopped); !strings.Contains(f.Says, "version 4 is a RESTORE") {
			k.Error(k.text())
		}
		k.mustHave(len(goners))
	})
}

func TestListsOfALogThatDoNotAgreeEndTheRun(t *testing.T) {
	for name, change := range map[string]func(k *keeper){
		"a commit is not listed": func(k *keeper) {
			gone := time.Now().Add(3 * time.Second)
			k.hide(func(path string) bool {
				return strings.HasSuffix(path, "00000000000000000002.json") && !time.Now().Before(gone)
			})
		},
		"a commit is another": func(k *keeper) {
			time.AfterFunc(3*time.Second, func() {
				k.Put("lake/wh/t/_delta_log/00000000000000000002.json", "{}", ago(40))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			lately(t, true, func(k *keeper, run func() (proof.Table, time.Duration)) {
				k.ready()
				change(k)
				one, _ := run()
				if f, _ := one.Find(proof.FoundStopped); !strings.Contains(f.Says, "the store does not list 00000000000000000002.json as it did") {
					k.Error(k.text())
				}
				k.mustHave(len(goners))
			})
		})
	}
}

func TestRunEndsWhileItWaitsForAStoreThatMayListLate(t *testing.T) {
	lately(t, true, func(k *keeper, run func() (proof.Table, time.Duration)) {
		k.ready()
		ctx, end := context.WithCancelCause(k.Context())
		defer end(nil)
		k.ctx = ctx
		time.AfterFunc(2*time.Second, func() { end(errors.New("enough")) })
		one, took := run()
		if f, _ := one.Find(proof.FoundStopped); !strings.Contains(f.Says, "before anything had gone: enough") || took != 2*time.Second {
			k.Error(took, k.text())
		}
		k.mustHave(len(goners))
	})
}
