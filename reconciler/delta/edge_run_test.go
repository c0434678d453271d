package delta_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// TestEveryEdgeAndEveryFaultHasATest with its number in its name.
func TestEveryEdgeAndEveryFaultHasATest(t *testing.T) {
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "../s3/*_test.go"} {
		all, err := filepath.Glob(pattern)
		if err != nil || len(all) == 0 {
			t.Fatal(pattern, err)
		}
		for _, path := range all {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			tests.Write(text)
		}
	}
	for kind, last := range map[string]int{"Edge": 31, "Fault": 20} {
		for n := 1; n <= last; n++ {
			if name := fmt.Sprintf("func Test%s%02d", kind, n); !strings.Contains(tests.String(), name) {
				t.Errorf("no %s", name)
			}
		}
	}
}

// TestEdge02RunLeavesATableOfCheckpointsAloneAndHearsOfIt: it has no commit at all, and nothing of it goes. What
// it comes to use of another table while a run goes on stays there.
func TestEdge02RunLeavesATableOfCheckpointsAloneAndHearsOfIt(t *testing.T) {
	eachLook(t, func(k *keeper) {
		bare := k.usual("bare")
		bare.Checkpoint(deltatest.Checkpoint{})
		bare.Trim(bare.Version + 1)
		k.Sized("lake/wh/bare/stray.parquet", 1, ago(200))
		k.ready()
		before := k.content()
		k.After = func(call, path string) {
			if call == "removing" && strings.HasSuffix(path, "/a.parquet") {
				k.Quietly(func() { bare.Commit(now, deltatest.Add("s3a://lake/wh/t/b.parquet")) })
			}
		}
		one := k.run()
		if m := one.Removal; m == nil || m.Spared != 1 || !k.Has("lake/wh/t/b.parquet") || k.Has("lake/wh/t/c.parquet") {
			k.Errorf("%+v\n%s", m, k.text())
		}
		for path := range before {
			if strings.HasPrefix(path, "lake/wh/bare/") && !k.Has(path) {
				k.Errorf("%s is gone", path)
			}
		}
		for _, other := range k.report.Tables {
			if other.Name == "default.bare" && (other.Version != 3 || other.Removal != nil || other.Worst() != proof.EffectNote) {
				k.Errorf("%+v", other)
			}
		}
	})
}

// TestFault13PartitionsThatBeginWithAnUnderscoreAreCleaned where they are partitions, and hidden where they are none.
func TestFault13PartitionsThatBeginWithAnUnderscoreAreCleaned(t *testing.T) {
	for _, columns := range [][]string{{"_p"}, nil} {
		l := newLake(t)
		table := l.table("t")
		table.Columns = columns
		table.Commit(ago(100), deltatest.Add("_p=1/a.parquet"), deltatest.Add("_p=1/live.parquet"))
		table.Commit(ago(60), deltatest.Remove("_p=1/a.parquet"))
		l.Sized("lake/wh/t/_p=2/orphan.parquet", 1, ago(100))
		l.Sized("lake/wh/t/_p2=1/hidden.parquet", 1, ago(100))
		if columns == nil {
			l.mustGo(table)
		} else {
			l.mustGo(table, "_p=1/a.parquet", "_p=2/orphan.parquet")
		}
	}
}

// TestEdge20RootThatIsAWholeBucketIsRefused, also where it is the very table that is asked for.
func TestEdge20RootThatIsAWholeBucketIsRefused(t *testing.T) {
	for _, asked := range []bool{false, true} {
		l := newLake(t)
		table := l.Store.Table("lake")
		table.Commit(ago(100), deltatest.Add("a.parquet"))
		table.Commit(ago(60), deltatest.Remove("a.parquet"), deltatest.Add("b.parquet"))
		o := l.options()
		o.Places = []delta.Place{{Store: l.Store, Folder: "lake", URL: "s3://lake", Table: asked}}
		report, err := delta.Plan(t.Context(), o)
		if err != nil || len(report.Tables) != 1 {
			t.Fatal(report.Tables, err)
		}
		one := report.Tables[0]
		if f, ok := one.Find(proof.FoundRefused); !ok || !strings.Contains(f.Says, "its root is a whole bucket") || one.Goes.Files+one.Held.Files > 0 {
			t.Errorf("asked for: %t: %+v", asked, one)
		}
	}
}

// TestEdge24LineOf100MBIsRead, and takes twice its size at a time: in the pieces that it comes in, and whole.
func TestEdge24LineOf100MBIsRead(t *testing.T) {
	const length = 100 << 20
	l := newLake(t)
	l.rule.Vacuum = spec.VacuumFull
	table := l.usual("t")
	table.Commit(ago(4))
	path := table.CommitPath(table.Version)
	l.Put(path, l.Read(path)+`{"add":{"path":"long.parquet","stats":"`+strings.Repeat("x", length)+`","size":100}}`+"\n", ago(4))
	l.Sized("lake/wh/t/long.parquet", 100, ago(100))
	reads := 0
	l.Fail = func(call, at string) error {
		if call == "get" && at == path {
			reads++
		}
		return nil
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	one := l.of(table)
	runtime.ReadMemStats(&after)
	if one.Live.Files != 2 || len(l.goes[one.Name]) != 1 || one.Worst() != proof.EffectNote {
		t.Error(l.text())
	}
	if each := float64(after.TotalAlloc-before.TotalAlloc) / length / float64(reads); each > 2.5 {
		t.Errorf("to read it %d times took %.1f times its size each", reads, each)
	}
}

// gauged is a store that knows how many bytes are being read at a time, by the sizes that it lists.
type gauged struct {
	*deltatest.Store
	mu        sync.Mutex
	now, most int64
}

func (r *gauged) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	size, _, _, err := r.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	in, err := r.Store.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	r.add(size)
	return &beingRead{in, func() { r.add(-size) }}, nil
}

func (r *gauged) add(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now += n
	r.most = max(r.most, r.now)
}

type beingRead struct {
	io.ReadCloser
	closed func()
}

func (b *beingRead) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}

// TestEdge24LargeCommitsAreNotReadSideBySide, or each of them could have a line that is held in memory.
func TestEdge24LargeCommitsAreNotReadSideBySide(t *testing.T) {
	for size, most := range map[int64]int64{1 << 20: 64 << 20, 30 << 20: 60 << 20, 100 << 20: 100 << 20} {
		l := newLake(t)
		table := l.usual("t")
		for range 100 {
			table.Commit(ago(4))
		}
		for v := range table.Version + 1 {
			path := table.CommitPath(v)
			text := l.Read(path)
			l.Sized(path, size, table.Past[v].At) // what it says is what counts
			l.Overwrite(path, func(string) string { return text })
		}
		store := &gauged{Store: l.Store}
		o := l.options()
		o.Places[0].Store = store
		report, err := delta.Plan(t.Context(), o)
		if err != nil || report.Tables[0].Goes.Files != 1 || report.Tables[0].Version != 103 {
			t.Fatal(report.Tables, err)
		}
		if store.most > most || store.now != 0 {
			t.Errorf("of commits of %d bytes each %d bytes were read at once, and %d in the end", size, store.most, store.now)
		}
	}
}
