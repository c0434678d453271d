package delta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// TestFileOfSeveralCommitsIsHeldAgainstThem: other readers may take such a file in place of the commits.
func TestFileOfSeveralCommitsIsHeldAgainstThem(t *testing.T) {
	const (
		added   = `{"add":{"path":"live.parquet","size":10,"partitionValues":{},"modificationTime":0,"dataChange":true}}`
		removed = `{"remove":{"path":"old.parquet","deletionTimestamp":1,"dataChange":true}}`
		lost    = `{"add":{"path":"lost.parquet","size":10,"partitionValues":{},"modificationTime":0,"dataChange":true}}`
	)
	for name, c := range map[string]struct {
		from, upto int
		lines      []string
		says       string // "": nothing is found
		stops      bool
	}{
		"as the commits say":            {1, 2, []string{added, removed}, "", false},
		"a file that no commit adds":    {1, 2, []string{added, lost}, "names 1 file, such as lost.parquet", true},
		"a file that no commit removes": {1, 2, []string{strings.Replace(removed, "old", "other", 1)}, "such as other.parquet", true},
		"no JSON":                       {1, 2, []string{added, "{"}, "cannot be read", false},
		"later than the newest":         {1, 9, []string{lost}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			l.Put(table.LogPath(fmt.Sprintf("%020d.%020d.compacted.json", c.from, c.upto)), strings.Join(c.lines, "\n")+"\n", ago(39))
			var goes []string
			if !c.stops {
				goes = []string{"old.parquet"}
			}
			one := l.mustGo(table, goes...)
			f, found := one.Find(proof.FoundCompaction)
			if found != (c.says != "") || !strings.Contains(f.Says, c.says) || found && (f.Effect == proof.EffectStop) != c.stops {
				t.Errorf("found %v: %+v", found, f)
			}
		})
	}
}

// TestFileOfSeveralCommitsOlderThanTheLogIsLeftAlone: what it is made of is gone, and not all of it.
func TestFileOfSeveralCommitsOlderThanTheLogIsLeftAlone(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Put(table.LogPath(fmt.Sprintf("%020d.%020d.compacted.json", 0, 1)), `{"add":{"path":"lost.parquet","size":10}}`, ago(39))
	l.Delete(table.CommitPath(0))
	one := l.of(table)
	if f, found := one.Find(proof.FoundCompaction); found {
		t.Errorf("found %+v", f)
	}
}
