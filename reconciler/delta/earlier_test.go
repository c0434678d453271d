package delta_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// endAfter has a signal end the run when it has removed so many files.
func (k *keeper) endAfter(n int) {
	ctx, cancel := context.WithCancelCause(k.Context())
	k.ctx = ctx
	removed := 0
	k.After = func(call, _ string) {
		if call == "removing" {
			if removed++; removed == n {
				cancel(errors.New("asked to end"))
			}
		}
	}
	k.run()
	k.ctx, k.After = k.Context(), nil
}

func (k *keeper) due() bool {
	k.Helper()
	due, err := delta.NewMemory(k.dir).Due(k.agent)
	if err != nil {
		k.Fatal(err)
	}
	return due
}

func TestRunThatASignalEndedIsVerifiedByTheNext(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.ready()
		k.endAfter(3)
		if !k.due() {
			k.Error("nobody would look whether all live files are there")
		}
		k.verify = true
		if one := k.run(); one.Worst() != proof.EffectNote || one.Removal != nil || !k.Has(goners[4]) {
			k.Errorf("only verified: %s", k.text())
		}
		if k.due() {
			k.Error("it was looked at, and is still due")
		}
		k.verify = false
		if one := k.run(); one.Removal == nil || !one.Removal.Verified || k.Has(goners[4]) || k.due() {
			k.Errorf("the run after it: %s", k.text())
		}
	})
}

func TestLiveFileThatIsMissingAfterASignalBringsAllBackAndLocks(t *testing.T) {
	for name, verify := range map[string]bool{"when the agent starts": true, "in the next run": false} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(k *keeper) {
				k.ready()
				before := k.content()
				k.endAfter(3)
				k.Delete("lake/wh/t/live.parquet") // by somebody else
				delete(before, "lake/wh/t/live.parquet")
				k.verify = verify
				one := k.run()
				f, lost := one.Find(proof.FoundLost)
				if !lost || k.report.Status() != proof.StatusCritical || !strings.Contains(f.Says, "was brought back") || k.due() {
					k.Errorf("%s", k.text())
				}
				if diff := cmp.Diff(before, k.originals()); diff != "" {
					k.Errorf("-before +after\n%s", diff)
				}
				if again := k.run(); again.Removal != nil {
					k.Error("the table is not locked")
				}
			})
		})
	}
}

func TestKilledRunIsVerifiedWhenTheAgentStarts(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.ready()
		var left *keeper
		n := 0
		k.After = func(call, _ string) {
			if call == "removing" {
				if n++; n == 3 {
					left = k.killed()
				}
			}
		}
		k.run()
		left.Delete("lake/wh/t/live.parquet")
		left.verify = true
		one := left.run()
		if _, lost := one.Find(proof.FoundLost); !lost || !left.Has("lake/wh/t/a.parquet") {
			k.Errorf("%s", left.text())
		}
	})
}

func TestEarlierRunThatNobodyCanVerifyKeepsTheTable(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.endAfter(3)
	failed := false
	k.Fail = func(call, path string) error {
		if call == "walk" && path == "lake/wh/t/" {
			if failed {
				return errors.New("the store is gone") // at its second list, which is to verify
			}
			failed = true
		}
		return nil
	}
	one := k.run()
	if f, ok := one.Find(proof.FoundUnverified); !ok || !strings.Contains(f.Says, "the store is gone") || one.Removal != nil || !k.due() {
		t.Errorf("%s", k.text())
	}
}

func TestRunThatCannotBeUndoneAnyMoreIsNotDue(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.endAfter(3)
	if k.agent = now.Add(k.rule.UndoKeep + time.Hour); k.due() {
		t.Error("it is")
	}
}
