package delta_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// sparkStreams are what Spark has written of streams, by testdata/streams.py.
type sparkStreams struct {
	IDs     map[string]string            `json:"ids"` // of tables
	Streams map[string]map[string]string `json:"streams"`
}

func readSparkStreams(t *testing.T) (s sparkStreams) {
	content, err := os.ReadFile("testdata/streams.json")
	if err == nil {
		err = json.Unmarshal(content, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// streaming has a rule of the lake keep what a stream needs.
func (l *lake) streaming(names ...string) {
	for _, name := range names {
		l.rule.KeepStreams = append(l.rule.KeepStreams, spec.Stream{Store: &spec.Store{Name: "minio"}, Folder: "lake/checkpoints/" + name})
	}
	l.open = func(_ context.Context, s *spec.Store) (delta.Store, error) {
		if s.Name != "minio" {
			return nil, fmt.Errorf("the store %s is down", s.Name)
		}
		return l.Store, nil
	}
}

// TestVersionThatAStreamNeedsIsKept, by what Spark wrote of streams that were ended in every state.
func TestVersionThatAStreamNeedsIsKept(t *testing.T) {
	spark := readSparkStreams(t)
	want := map[string]string{
		"snapshot unfinished":    "a needs 3", // the table as it was then is not read whole yet
		"snapshot":               "a needs 4", // it has ended with version 4, and what it read after that is done again
		"first batch":            "a needs 3",
		"first batch by version": "a: the first batch that reads it has not ended, and where that begins is not written down; see that its checkpoint is there, let it end its batch, or take it out of keep_streams",
		"since a version":        "a needs 5",
		"changes":                "a needs 5",
		"both":                   "a needs 3, b needs 3",
		"of numbers":             "b needs 3",
	}
	have := map[string]string{}
	for name, files := range spark.Streams {
		l := newLake(t)
		for path, content := range files {
			l.Put("lake/checkpoints/"+name+"/"+path, content, ago(1))
		}
		l.streaming(name)
		var says []string
		for _, table := range []string{"a", "b"} {
			one := l.table(table)
			one.ID = spark.IDs[table]
			one.Commit(ago(100), deltatest.Add("0.parquet"))
			for v := range 6 { // each removes what the one before it added
				one.Commit(ago(float64(99-v)), deltatest.Remove(fmt.Sprintf("%d.parquet", v)), deltatest.Add(fmt.Sprintf("%d.parquet", v+1)))
			}
			one.Commit(ago(40))
			planned := l.of(one)
			switch f, found := planned.Find(proof.FoundStream); {
			case found && f.Effect == proof.EffectStop:
				says = append(says, table+": "+f.Says[strings.LastIndex(f.Says, ": ")+2:])
			case found:
				var v int
				fmt.Sscanf(f.Says, "a stream of keep_streams still needs version %d", &v)
				says = append(says, fmt.Sprintf("%s needs %d", table, v))
				if n := len(l.goes["default."+table]); n != v { // what versions 1 to v removed
					t.Errorf("%s: %d files of %s go\n%s", name, n, table, l.text())
				}
			}
		}
		have[name] = strings.Join(says, ", ")
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-want +have\n%s", diff)
	}
}

// offsets are those of a batch, as Spark writes them.
func offsets(of *deltatest.Table, version int64) string {
	return fmt.Sprintf("v1\n{}\n"+`{"sourceVersion":1,"reservoirId":"id-of-%s","reservoirVersion":%d,"index":-1,"isStartingVersion":false}`, of.Folder, version)
}

// far writes how far a stream has come: it has read up to a version, of one file each time.
func (l *lake) far(stream string, of *deltatest.Table, version int64) {
	for n := range version {
		l.Put(fmt.Sprintf("lake/checkpoints/%s/offsets/%d", stream, n), offsets(of, n+1), ago(1))
		l.Put(fmt.Sprintf("lake/checkpoints/%s/commits/%d", stream, n), "v1\n{}", ago(1))
	}
}

// TestStreamThatNobodyUnderstandsKeepsAllFiles, and says why.
func TestStreamThatNobodyUnderstandsKeepsAllFiles(t *testing.T) {
	for says, spoil := range map[string]func(l *lake, table *deltatest.Table){
		"there are no offsets": func(l *lake, _ *deltatest.Table) {
			for _, p := range l.Paths() {
				if strings.Contains(p, "/offsets/") {
					l.Delete(p)
				}
			}
		},
		`read offsets/3: it begins with "v2", and v1 is known here`: func(l *lake, table *deltatest.Table) {
			l.Put("lake/checkpoints/s/offsets/3", strings.Replace(offsets(table, 4), "v1", "v2", 1), ago(1))
		},
		"read offsets/3: it names no table of Delta": func(l *lake, _ *deltatest.Table) {
			l.Put("lake/checkpoints/s/offsets/3", "v1\n{}\n{\"topic\":{\"0\":12}}\n-", ago(1))
		},
		"read offsets/3: it begins with": func(l *lake, _ *deltatest.Table) { l.Put("lake/checkpoints/s/offsets/3", "\n", ago(1)) },
		`read offsets/3: line 3: "{\"sourceVersion\":1,\"re" is no JSON`: func(l *lake, table *deltatest.Table) {
			l.Put("lake/checkpoints/s/offsets/3", offsets(table, 4)[:28], ago(1)) // as it is while it is written
		},
		"is none of the offsets that are known here": func(l *lake, table *deltatest.Table) {
			l.Put("lake/checkpoints/s/offsets/3", strings.Replace(offsets(table, 4), `"sourceVersion":1`, `"sourceVersion":4`, 1), ago(1))
		},
		"batch 9 has not ended, and where it begins is not known any more": func(l *lake, table *deltatest.Table) {
			l.Put("lake/checkpoints/s/offsets/9", offsets(table, 4), ago(1))
		},
		"the store is gone": func(l *lake, _ *deltatest.Table) {
			l.Fail = func(call, path string) error {
				if call == "stat" && strings.HasPrefix(path, "lake/checkpoints/") {
					return errors.New("the store is gone")
				}
				return nil
			}
		},
		"the store other is down": func(l *lake, _ *deltatest.Table) { l.rule.KeepStreams[0].Store = &spec.Store{Name: "other"} },
		"a stream of keep_streams needs version 4, and the newest is 3": func(l *lake, table *deltatest.Table) { l.far("s", table, 6) },
	} {
		l := newLake(t)
		table := l.usual("t")
		l.far("s", table, 4)
		l.streaming("s")
		l.mustGo(table, "old.parquet")
		spoil(l, table)
		l.mustGo(table)
		if f := l.mustFind(table, proof.FoundStream, says); f.Effect != proof.EffectStop {
			t.Errorf("%s: %+v", says, f)
		}
	}
}

func TestSlowestStreamCounts(t *testing.T) {
	l := newLake(t)
	table, other := l.usual("t"), l.usual("other")
	l.far("fast", table, 4)
	l.far("slow", table, 1)
	l.far("others", other, 4)
	l.streaming("others", "fast")
	l.mustGo(table, "old.parquet")
	l.streaming("slow")
	l.mustGo(table)
	l.mustFind(table, proof.FoundStream, "still needs version 0")
	l.mustGo(other, "old.parquet")
}

// TestStreamKeepsChangeDataThatItHasNotRead: a version that stays readable does not, by itself.
func TestStreamKeepsChangeDataThatItHasNotRead(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("live.parquet"))
	table.Commit(ago(90), deltatest.Change("_change_data/one.parquet"))
	table.Commit(ago(80), deltatest.Change("_change_data/two.parquet"))
	table.Commit(ago(70), deltatest.Change("_change_data/three.parquet"))
	table.Commit(ago(40))
	l.rule.KeepVersions = []int64{2}
	l.mustGo(table, "_change_data/one.parquet", "_change_data/two.parquet", "_change_data/three.parquet")
	l.rule.KeepVersions = nil
	l.far("s", table, 4) // of which the batch that read version 3 may be done again
	l.streaming("s")
	l.mustGo(table, "_change_data/one.parquet")
}

// TestStreamThatNeedsMoreThanTheLogKeepsAllFiles: change data is named by its own commit alone.
func TestStreamThatNeedsMoreThanTheLogKeepsAllFiles(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("live.parquet"))
	table.Commit(ago(90))
	table.Commit(ago(80), deltatest.Change("_change_data/two.parquet"))
	table.Commit(ago(70))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Commit(ago(40))
	table.Trim(3)
	l.mustGo(table, "_change_data/two.parquet")
	l.far("s", table, 4) // which needs version 2
	l.streaming("s")
	l.mustGo(table)
	l.mustFind(table, proof.FoundPinned, "needs version 2, which is older than the log, which begins with 3")
}

func TestCleanupOfALogKeepsWhatAStreamNeeds(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	l.mustExpire(table, 6)
	l.far("s", table, 4) // which needs version 3
	l.streaming("s")
	l.mustExpire(table, 2)
}
