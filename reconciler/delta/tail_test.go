package delta_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

var _ delta.Ordered = (*deltatest.Store)(nil)

// TestBatchAsksForTheTailOfALogAlone: the rest of it was read for the plan.
func TestBatchAsksForTheTailOfALogAlone(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	plan := k.Calls["after"]
	one := k.run()
	// Three batches, and the table once more for what other tables may have come to use, before each and at the end.
	if n := k.Calls["after"] - plan; plan != 0 || n != 2*3+1 || one.Removal.Removed.Files != 5 {
		t.Errorf("the end of the log was listed %d times, and %d times for the plan\n%s", n, plan, k.text())
	}
}

// unordered is a store that does not list after a name.
type unordered struct{ *deltatest.Store }

func (unordered) ListAfter(context.Context, string, string, func(string, int64, time.Time, string) error) error {
	return errors.New("NotImplemented")
}

// TestStoreThatDoesNotListInOrderIsListedInFull, and what is committed meanwhile stays.
func TestStoreThatDoesNotListInOrderIsListedInFull(t *testing.T) {
	for name, store := range map[string]func(*deltatest.Store) delta.Remover{
		"in order": func(s *deltatest.Store) delta.Remover { return s },
		"not":      func(s *deltatest.Store) delta.Remover { return unordered{s} },
	} {
		k := newKeeper(t)
		table := k.ready()
		k.Fail = func(call, path string) error {
			if call == "removing" && strings.HasSuffix(path, "/a.parquet") {
				table.Commit(now, deltatest.Add("d.parquet"))
			}
			return nil
		}
		r, err := delta.Run(t.Context(), delta.RunOptions{
			Options: k.options(), Batch: 1,
			Remover: func(context.Context, delta.Place) (delta.Remover, error) { return store(k.Store), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if one := r.Tables[0].Removal; one == nil || one.Removed.Files != 4 || one.Spared != 1 || !k.Has("lake/wh/t/d.parquet") {
			t.Errorf("%s: %+v", name, one)
		}
	}
}

// TestFileThatALongCommitNamesLastStays: it is told in parts, and the run goes on after it.
func TestFileThatALongCommitNamesLastStays(t *testing.T) {
	k := newKeeper(t)
	table := k.ready()
	k.After = func(call, path string) {
		if call == "removing" && strings.HasSuffix(path, "/a.parquet") {
			var actions []deltatest.Action
			for n := range 5000 {
				actions = append(actions, deltatest.Add(fmt.Sprintf("more-%d.parquet", n)))
			}
			k.Quietly(func() {
				table.Commit(now, append(actions, deltatest.Remove("live.parquet"), deltatest.Add("d.parquet"))...)
			})
		}
	}
	one := k.run()
	if m := one.Removal; m == nil || m.Removed.Files != 4 || m.Spared != 1 || !k.Has("lake/wh/t/d.parquet") {
		t.Errorf("%+v\n%s", m, k.text())
	}
}

// TestCommitOfThePlanThatIsGoneEndsTheRun, whatever came after it.
func TestCommitOfThePlanThatIsGoneEndsTheRun(t *testing.T) {
	for name, spoil := range map[string]func(k *keeper, t *deltatest.Table){
		"gone":          func(k *keeper, t *deltatest.Table) { k.Delete(t.CommitPath(t.Version)) },
		"written again": func(k *keeper, t *deltatest.Table) { k.Put(t.CommitPath(t.Version), "{}", now) },
		"gone, and another after it": func(k *keeper, t *deltatest.Table) {
			t.Commit(now)
			k.Delete(t.CommitPath(t.Version - 1))
		},
		"a gap after it": func(k *keeper, t *deltatest.Table) {
			t.Commit(now)
			t.Commit(now)
			k.Delete(t.CommitPath(t.Version - 1))
		},
	} {
		k := newKeeper(t)
		table := k.ready()
		k.After = func(call, path string) {
			if call == "removing" && strings.HasSuffix(path, "/a.parquet") {
				k.Quietly(func() { spoil(k, table) })
			}
		}
		one := k.run()
		if f, stopped := one.Find(proof.FoundStopped); !stopped || !strings.Contains(f.Says, "version 3 of its log") || one.Removal.Removed.Files != 1 {
			t.Errorf("%s: %s", name, k.text())
		}
	}
}
