package delta_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// keeper is a lake whose files are removed, and what its agent remembers.
type keeper struct {
	*lake
	dir    string // the agent's memory
	batch  int
	window time.Duration
	names  func(context.Context) ([]proof.Entry, error)
	away   error // of the metastore
	tables []string
	verify bool                   // what earlier runs did, and nothing else
	paused atomic.Pointer[string] // why; by whatever goroutine
	ctx    context.Context
	end    func() // of ctx
	spark  delta.Spark
	behind delta.Remover // in the place of its store; nil
	tidy   delta.Tidy
	quiet  func(time.Time) (time.Time, bool)
}

func newKeeper(t *testing.T) *keeper {
	k := &keeper{lake: newLake(t), dir: t.TempDir(), batch: 2, ctx: t.Context()}
	k.rule.Mode, k.rule.Properties, k.rule.Vacuum = spec.ModeEnforce, spec.HandlingOff, spec.VacuumFull
	return k
}

func (k *keeper) pause(why string) { k.paused.Store(&why) }

func (k *keeper) remover() delta.Remover {
	if k.behind != nil {
		return k.behind
	}
	return k.Store
}

func (k *keeper) options() delta.Options {
	return delta.Options{
		Places:    []delta.Place{{Store: k.remover(), Folder: "lake/wh", URL: "s3://lake/wh", Name: "minio"}},
		Retention: spec.Retention{Defaults: k.rule, Window: k.window, Spark: spec.Spark{Timeout: 4 * time.Hour}},
		Now:       func() time.Time { return k.agent },
		Memory:    delta.NewMemory(k.dir),
		Names:     k.names,
	}
}

// look reports, as an agent does before it may remove.
func (k *keeper) look() {
	k.Helper()
	r, err := delta.Plan(k.Context(), k.options())
	if err != nil {
		k.Fatal(err)
	}
	k.report = r
	k.mustAdvise()
}

func (k *keeper) run() proof.Table {
	k.Helper()
	r, err := delta.Run(k.ctx, delta.RunOptions{
		Options: k.options(), Batch: k.batch, Tables: k.tables, OnlyVerify: k.verify, Spark: k.spark, Tidy: k.tidy, Quiet: k.quiet,
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return k.remover(), nil },
		Answers: func(context.Context) error { return k.away },
		Paused: func(context.Context) (string, error) {
			if why := k.paused.Load(); why != nil {
				return *why, nil
			}
			return "", nil
		},
	})
	if err != nil {
		k.Fatal(err)
	}
	k.report = r
	k.mustAdvise()
	for _, t := range r.Tables {
		if t.Name == "default.t" {
			return t
		}
	}
	return proof.Table{}
}

func (k *keeper) undo(run string) proof.UndoneTable {
	k.Helper()
	u, err := delta.Undo(k.Context(), delta.UndoOptions{
		Memory: delta.NewMemory(k.dir), Run: run, Now: func() time.Time { return k.agent }, Tidy: k.tidy,
		Remover: func(context.Context, string) (delta.Remover, error) { return k.Store, nil },
	})
	if err != nil {
		k.Fatal(err)
	}
	return u.Tables[0]
}

// content is that of all files.
func (k *keeper) content() map[string]string {
	all := map[string]string{}
	for _, p := range k.Paths() {
		all[p] = k.Read(p)
	}
	return all
}

// mustHaveLive expects every file of a table's newest version to be there.
func mustHaveLive(t *testing.T, s *deltatest.Store, table *deltatest.Table, says string) {
	t.Helper()
	for _, f := range table.State {
		if path, _ := deltatest.Decoded(f.Path); !s.Has(table.Folder + "/" + path) {
			t.Errorf("%s: the live file %s is gone", says, f.Path)
		}
	}
}

// dying is a table from which five files go: four were removed, one is an orphan.
func (k *keeper) dying() *deltatest.Table {
	t := k.table("t")
	var adds, removes []deltatest.Action
	for _, name := range []string{"a", "b", "c", "d"} {
		k.Put("lake/wh/t/"+name+".parquet", "content of "+name+strings.Repeat(".", 100-len("content of a")), ago(100))
		adds = append(adds, deltatest.Add(name+".parquet"))
		removes = append(removes, deltatest.Remove(name+".parquet"))
	}
	t.Commit(ago(100), adds...)
	t.Commit(ago(60), append(removes, deltatest.Add("live.parquet"))...)
	k.Put("lake/wh/t/orphan.parquet", "nobody's", ago(90))
	t.Commit(ago(40), deltatest.Add("more.parquet"))
	t.Commit(ago(5), deltatest.Add("late.parquet"))
	return t
}

// ready is such a table after two reports, the second of them as much later as orphans take.
func (k *keeper) ready() *deltatest.Table {
	k.Helper()
	t := k.dying()
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now, now
	return t
}

var goners = []string{"lake/wh/t/a.parquet", "lake/wh/t/b.parquet", "lake/wh/t/c.parquet", "lake/wh/t/d.parquet", "lake/wh/t/orphan.parquet"}

// ways are the stores by how a removal can be made good again.
var ways = map[spec.Undo]func(*deltatest.Store){spec.UndoVersioning: (*deltatest.Store).Versions, spec.UndoQuarantine: func(*deltatest.Store) {}}

// eachLook tests by all files, and by the log alone.
func eachLook(t *testing.T, test func(k *keeper)) {
	for _, how := range []spec.Vacuum{spec.VacuumFull, spec.VacuumLite} {
		t.Run(string(how), func(t *testing.T) {
			eachWay(t, func(k *keeper) {
				k.rule.Vacuum = how
				test(k)
			})
		})
	}
}

func eachWay(t *testing.T, test func(k *keeper)) {
	for way, prepare := range ways {
		t.Run(string(way), func(t *testing.T) {
			k := newKeeper(t)
			prepare(k.Store)
			test(k)
		})
	}
}
