package delta_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// escaped are folders of partitions as Spark names them, and how its log spells them.
var escaped = map[string]string{
	"p=a b": "p=a%20b", "p=a%20b": "p=a%2520b", "p=10%3A30": "p=10%253A30", "p=50%25": "p=50%2525", "p=x%3Dy%2Fz": "p=x%253Dy%252Fz", "p=#?&+": "p=%23%3F&+", "p=é": "p=%C3%A9",
}

// partitioned is a table with a dead file and a live one in each of them.
func (k *keeper) partitioned() (t *deltatest.Table, dead, live []string) {
	t = k.table("t")
	t.Columns = []string{"p"}
	var adds, removes []deltatest.Action
	for folder, spelled := range escaped {
		for _, name := range []string{"dead", "live"} {
			k.Put("lake/wh/t/"+folder+"/"+name+".parquet", fmt.Sprintf("%-100s", folder+name), ago(100))
			adds = append(adds, deltatest.Add(spelled+"/"+name+".parquet"))
		}
		removes = append(removes, deltatest.Remove(spelled+"/dead.parquet"))
		dead = append(dead, "lake/wh/t/"+folder+"/dead.parquet")
		live = append(live, "lake/wh/t/"+folder+"/live.parquet")
	}
	t.Commit(ago(100), adds...)
	t.Commit(ago(60), removes...)
	k.look()
	return t, dead, live
}

func TestFault04LiveFilesOfEscapedPartitionsStay(t *testing.T) {
	eachWay(t, func(k *keeper) {
		table, _, live := k.partitioned()
		k.run()
		for _, path := range live {
			if !k.Has(path) {
				k.Errorf("%s is gone", path)
			}
		}
		mustHaveLive(k.T, k.Store, table, "after the run")
	})
}

// TestFault05FilesGoByTheKeysThatTheStoreHas: a key that is made of the path in a log may be none
// of the store, which says of such a removal that it was one.
func TestFault05FilesGoByTheKeysThatTheStoreHas(t *testing.T) {
	eachWay(t, func(k *keeper) {
		_, dead, _ := k.partitioned()
		var asked []string
		k.After = func(call, path string) {
			if call == "removing" {
				asked = append(asked, path)
			}
		}
		one := k.run()
		slices.Sort(asked)
		slices.Sort(dead)
		if !slices.Equal(asked, dead) || one.Removal.Removed.Files != int64(len(dead)) || !one.Removal.Verified {
			k.Errorf("asked for %q, want %q\n%s", asked, dead, k.text())
		}
		for _, path := range dead {
			if k.Has(path) {
				k.Errorf("%s is counted, and is there", path)
			}
		}
		if again := k.run(); again.Goes.Files != 0 || again.Removal != nil {
			k.Errorf("again: %+v", again)
		}
	})
}

// polite says that it has removed what it is asked for, and removes nothing.
type polite struct{ *deltatest.Store }

func (polite) Remove(_ context.Context, paths []string, done func(string, string, error)) {
	for _, path := range paths {
		done(path, "", nil)
	}
}

func TestFault05StoreThatSaysItRemovesAndDoesNotIsFoundByTheFirstFile(t *testing.T) {
	k := newKeeper(t)
	k.partitioned()
	r, err := delta.Run(t.Context(), delta.RunOptions{
		Options: k.options(),
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return polite{k.Store}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	f, stopped := r.Tables[0].Find(proof.FoundStopped)
	if !stopped || !strings.Contains(f.Says, "it is still there") || r.Tables[0].Removal.Removed.Files != 1 {
		t.Errorf("%+v\n%+v", f, r.Tables[0].Removal)
	}
}

// TestFault20LogThatWasCleanedUpShowsWhatMayGo: no commit 0 and no _last_vacuum_info is needed,
// only what was held since the cutoff; and none is left behind.
func TestFault20LogThatWasCleanedUpShowsWhatMayGo(t *testing.T) {
	eachWay(t, func(k *keeper) {
		table := k.table("t")
		table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"), deltatest.Add("c.parquet"), deltatest.Add("live.parquet"))
		table.Commit(ago(60), deltatest.Remove("a.parquet"))
		table.Commit(ago(50))
		table.Checkpoint(deltatest.Checkpoint{})
		table.Commit(ago(40), deltatest.Remove("b.parquet"))
		table.Commit(ago(10), deltatest.Remove("c.parquet"))
		table.Trim(2)
		k.look()
		one := k.run()
		if one.Removal == nil || one.Removal.Removed.Files != 2 || k.Has("lake/wh/t/a.parquet") || k.Has("lake/wh/t/b.parquet") || !k.Has("lake/wh/t/c.parquet") || !k.Has("lake/wh/t/live.parquet") {
			k.Errorf("%s\n%q", k.text(), k.Paths())
		}
		if k.Has(table.LogPath("_last_vacuum_info")) {
			k.Error("it left a _last_vacuum_info")
		}
	})
}
