package delta_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

var (
	_ delta.Naming = (*folder.Store)(nil)
	_ delta.Naming = deltatest.Naming{}
)

// named is a store in which something happens between the naming of its files and the first look at one.
type named struct {
	deltatest.Naming
	then   func()
	mu     sync.Mutex // looks go on side by side
	looked []string
}

func (n *named) Names(ctx context.Context, folder string, each func(string) error) error {
	err := n.Naming.Names(ctx, folder, each)
	if n.then != nil {
		n.then()
	}
	return err
}

func (n *named) StatAll(ctx context.Context, paths []string, each func(int, int64, time.Time, string)) error {
	n.mu.Lock()
	n.looked = append(n.looked, paths...)
	n.mu.Unlock()
	return n.Naming.StatAll(ctx, paths, each)
}

// namedPlan plans the lake's one table by names.
func (l *lake) namedPlan(n *named) (goes []string, one proof.Table) {
	l.Helper()
	n.Naming = deltatest.Naming{Store: l.Store}
	o := l.options()
	o.Places[0].Store = n
	o.Goes = func(_ proof.Table, f proof.File, _ proof.Class) error {
		goes = append(goes, f.Key)
		return nil
	}
	r, err := delta.Plan(l.Context(), o)
	if err != nil || len(r.Tables) != 1 {
		l.Fatalf("%+v %v", r, err)
	}
	return goes, r.Tables[0]
}

func TestLiveFilesAreNotLookedAtWhereNamesAreKnown(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	n := &named{}
	goes, one := l.namedPlan(n)
	if !slices.Equal(goes, []string{"old.parquet"}) || slices.Contains(n.looked, "lake/wh/t/live.parquet") || one.Live.Files != 1 || one.Live.Bytes != 100 || one.Log.Files != 4 {
		t.Errorf("%q go, looked at %q\n%+v", goes, n.looked, one)
	}
}

// TestLiveFileInTheFolderOfAnotherTableIsCountedAsThat, as it is where all files are looked at.
func TestLiveFileInTheFolderOfAnotherTableIsCountedAsThat(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(4), deltatest.Add("sub/live.parquet"))
	l.Store.Table("lake/wh/t/sub").Commit(ago(90), deltatest.Add("live.parquet"))
	want := l.of(table)
	_, have := l.namedPlan(&named{})
	if diff := cmp.Diff(want, have); diff != "" || want.Others.Files == 0 {
		t.Error(diff)
	}
}

func TestLiveFileIsExplainedWhereNamesAreKnown(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	want := l.explain("s3://lake/wh/t/live.parquet")
	o := l.options()
	o.Places[0].Store = &named{Naming: deltatest.Naming{Store: l.Store}}
	have, err := delta.Explain(t.Context(), o, "s3://lake/wh/t/live.parquet")
	if diff := cmp.Diff(want, have); err != nil || diff != "" || !have.Listed {
		t.Error(err, diff)
	}
}

// TestWhatBecomesOfAFileAfterItWasNamed counts: one that is written again is young, one that has gone is none.
func TestWhatBecomesOfAFileAfterItWasNamed(t *testing.T) {
	for name, then := range map[string]func(l *lake){
		"it is written again": func(l *lake) { l.Put("lake/wh/t/old.parquet", "x", ago(0)) },
		"it goes":             func(l *lake) { l.Delete("lake/wh/t/old.parquet") },
		"another one comes":   func(l *lake) { l.Put("lake/wh/t/other.parquet", "x", ago(90)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			l.usual("t")
			goes, one := l.namedPlan(&named{then: func() { then(l) }})
			want := map[bool][]string{true: {"old.parquet"}}[name == "another one comes"] // which was not named
			if !slices.Equal(goes, want) {
				t.Errorf("%q go\n%+v", goes, one)
			}
		})
	}
}

// TestMissingLiveFileIsFoundByNames, with and without a deletion vector, and a missing vector.
func TestMissingLiveFileIsFoundByNames(t *testing.T) {
	_, theVector := vector("", 1)
	for _, missing := range []string{"plain.parquet", "with.parquet", theVector} {
		l := newLake(t)
		table := l.table("t")
		v, file := vector("", 1)
		l.Sized("lake/wh/t/"+file, 10, ago(100))
		table.Commit(ago(100), deltatest.Add("plain.parquet"), deltatest.Add("with.parquet", v), deltatest.Add("old.parquet"))
		table.Commit(ago(60), deltatest.Remove("old.parquet"))
		table.Commit(ago(40))
		for _, path := range l.Paths() {
			if filepath.Base(path) == missing {
				l.Delete(path)
			}
		}
		_, one := l.namedPlan(&named{})
		if f, hollow := one.Find(proof.FoundHollow); !hollow || !strings.Contains(f.Says, "1 file of its newest version is not there") {
			t.Errorf("%s: %+v", missing, one)
		}
	}
}

// TestFolderThatIsNamedAndLookedAtIsWhatItsListSays, links and all.
func TestFolderThatIsNamedAndLookedAtIsWhatItsListSays(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := folder.New(dir)
	err := errors.Join(os.MkdirAll(dir+"/a/b", 0o755), os.Mkdir(dir+"/empty", 0o755), os.Mkdir(dir+"/moved", 0o755), os.Symlink(outside, dir+"/a/link"), os.Symlink("0", dir+"/a/b/alias"))
	for n := range 3000 {
		path := fmt.Sprintf("%s/%s%d", dir, []string{"", "a/", "a/b/", "moved/"}[n%4], n)
		err = errors.Join(err, os.WriteFile(path, make([]byte, n%7), 0o600), os.Chtimes(path, time.Time{}, ago(float64(n))))
	}
	if err := errors.Join(err, os.WriteFile(outside+"/3", []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	list, named := map[string]string{}, map[string]string{}
	var paths []string
	told := func(size int64, written time.Time, tag string) string {
		return fmt.Sprint(size, written.UnixNano(), tag)
	}
	err = errors.Join(
		s.List(t.Context(), "", true, func(path string, size int64, written time.Time, tag string) error {
			list[path] = told(size, written, tag)
			return nil
		}),
		s.Names(t.Context(), "", func(path string) error {
			paths = append(paths, path)
			return nil
		}),
	)
	err = errors.Join(err,
		s.StatAll(t.Context(), append(slices.Clone(paths), "none", "a", "a/link/3", "../"+filepath.Base(outside)+"/3", "0/x", ""), func(i int, size int64, written time.Time, tag string) {
			named[paths[i]] = told(size, written, tag)
		}),
	)
	if diff := cmp.Diff(list, named); err != nil || diff != "" || len(list) != 3002 {
		t.Errorf("%d files, %v\n%s", len(list), err, diff)
	}
	// What lies behind a link by then is not there.
	if err := errors.Join(os.Rename(dir+"/moved", dir+"/elsewhere"), os.Symlink(outside, dir+"/moved")); err != nil {
		t.Fatal(err)
	}
	err = s.StatAll(t.Context(), []string{"moved/3"}, func(int, int64, time.Time, string) { t.Error("it was looked at through a link") })
	if err != nil {
		t.Error(err)
	}
	if err := folder.New(dir+"/gone").StatAll(t.Context(), []string{"a"}, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store that is gone: %v", err)
	}
}
