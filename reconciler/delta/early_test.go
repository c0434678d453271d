package delta_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// hesitant is a store that lists the files of the table t only when its log of four commits was read twice, and then
// something has happened.
type hesitant struct {
	*deltatest.Store
	t       *testing.T
	then    func()
	tagless bool // it does not tell whether a file was written again
	gets    atomic.Int64
	read    chan struct{}
}

const readTwice = 2 * 4

func (h *hesitant) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	r, err := h.Store.Get(ctx, path)
	if h.gets.Add(1) == readTwice {
		close(h.read)
	}
	return r, err
}

func (h *hesitant) List(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	if deep && folder == "lake/wh/t/" {
		select {
		case <-h.read:
		case <-time.After(10 * time.Minute):
			h.t.Error("the log is not read while files are listed")
		}
		h.then()
	}
	return h.Store.List(ctx, folder, deep, func(path string, size int64, written time.Time, tag string) error {
		if h.tagless {
			tag = ""
		}
		return each(path, size, written, tag)
	})
}

// hesitantly plans a table in such a store, and gives what goes and how many files were read.
func (l *lake) hesitantly(h *hesitant) (goes string, gets int64) {
	h.Store, h.t, h.read = l.Store, l.T, make(chan struct{})
	o := l.options()
	o.Places[0].Store = h
	o.Goes = func(_ proof.Table, f proof.File, _ proof.Class) error { goes += f.Key; return nil }
	var err error
	if l.report, err = delta.Plan(l.Context(), o); err != nil {
		l.Fatal(err)
	}
	return goes, h.gets.Load()
}

func TestLogThatStaysAsItIsIsReadWhileFilesAreListed(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	if goes, gets := l.hesitantly(&hesitant{then: func() {}}); goes != "old.parquet" || gets != readTwice {
		t.Errorf("%q goes, by %d reads, want old.parquet, by %d\n%s", goes, gets, readTwice, l.text())
	}
}

func TestLogThatChangesWhileFilesAreListedIsReadAnew(t *testing.T) {
	for name, change := range map[string]func(*lake, *deltatest.Table){
		"a commit comes": func(_ *lake, table *deltatest.Table) { table.Commit(ago(0), deltatest.Add("old.parquet")) },
		"a commit is written over, in as many bytes": func(l *lake, table *deltatest.Table) {
			l.Overwrite(table.CommitPath(1), func(text string) string { return strings.Replace(text, "old.parquet", "odd.parquet", 1) })
		},
		"commits go": func(_ *lake, table *deltatest.Table) { table.Trim(3) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			if goes, _ := l.hesitantly(&hesitant{then: func() { change(l, table) }}); goes != "" {
				t.Errorf("%s goes\n%s", goes, l.text())
			}
		})
	}
}

// A store that does not tell whether a file was written again cannot show that a log is the same.
func TestLogOfAStoreWithoutTagsIsReadAnewWhenFilesWereListed(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	if goes, gets := l.hesitantly(&hesitant{then: func() {}, tagless: true}); goes != "old.parquet" || gets != 2*readTwice {
		t.Errorf("%q goes, by %d reads, want old.parquet, by %d\n%s", goes, gets, 2*readTwice, l.text())
	}
}
