package delta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// TestSparkIsAskedOverNoHistoryWhereItWouldTakeWhatStays has what is planned for random histories removed by
// a Spark that takes all that its VACUUM would, while somebody else may write, and takes it back.
func TestSparkIsAskedOverNoHistoryWhereItWouldTakeWhatStays(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.rule.Mode, h.rule.MinAge = spec.ModeEnforce, 0
		h.delegate()
		h.write()
		dir, err := os.MkdirTemp("", "flumen-history-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h.sweep(dir, seen)
	})
	t.Log(seen)
	for _, kind := range []string{"vacuumed by Spark", "kept from Spark", "undone", "kept from Spark for a clone"} {
		if seen[kind] == 0 && seen["histories"] >= 500 {
			t.Errorf("no history was %s: the generator is poorer than it was meant to be", kind)
		}
	}
}

// delegate has a history's files removed by Spark.
func (h *history) delegate() {
	h.rule.SparkFrom, h.spark = int64(rapid.IntRange(1, 4).Draw(h.T, "from so many files on")), &vacuuming{history: h}
	if rapid.Bool().Draw(h.T, "versions") {
		h.store.Versions()
	} else {
		h.rule.Undo = spec.UndoNone
	}
	h.quirk = rapid.SampledFrom(quirks).Draw(h.T, "quirk")
	if h.quirk != "its own retention" {
		h.rule.Data = h.days("policy by Spark", 7, 10)
		keep := h.rule.Data + h.days("longer", 0, 9)
		h.table.Properties["delta.deletedFileRetentionDuration"] = fmt.Sprintf("interval %d hours", int(keep.Hours()))
	}
	h.clones = h.quirk == "a shallow clone"
	if h.quirk != "pins" {
		h.rule.KeepVersions, h.rule.KeepTimes, h.rule.KeepStreams, h.streamed = nil, nil, nil, -1
	}
}

// quirks are what a VACUUM of Spark treats in another way than a rule says: more than one in a history
// would hide each other.
var quirks = []string{"none", "strays, lies and a log that is cut", "its own retention", "pins", "absolute paths", "removals without a time", "removals with another time", "removals that are spelled otherwise", "a shallow clone"}

// doom begins a table with a file that may go, so that there is something to ask Spark for, and gives when the
// next version is due.
func (h *history) doom(at time.Time) time.Time {
	const file = "doomed.parquet"
	h.written[file] = now.Add(-100 * day)
	h.store.Sized("lake/wh/t/"+file, 100, h.written[file])
	h.commit(at, deltatest.Add(file))
	h.commit(at.Add(time.Minute), deltatest.Remove(file))
	return at.Add(2 * time.Minute)
}

// drawStep is what is done next; in a history with another quirk than those a removal in their place.
func (h *history) drawStep() int {
	what := rapid.IntRange(0, 16).Draw(h.T, "what")
	if h.quirk != "" && h.quirk != quirks[1] && slices.Contains([]int{9, 12, 13, 14, 16}, what) {
		return 3
	}
	return what
}

// drawRemoval is in which way a writer removes a file.
func (h *history) drawRemoval() int {
	way := rapid.IntRange(0, 6).Draw(h.T, "removal")
	odd := slices.Index([]string{"removals without a time", "removals with another time", "removals that are spelled otherwise"}, h.quirk)
	switch {
	case h.quirk == "" || way > 2:
		return way
	case odd < 0:
		return 6
	}
	return odd
}

// vacuuming is a Spark that does to the table of a history what its VACUUM does: it takes all that it does
// not know.
type vacuuming struct {
	*history
	asked int
}

func (v *vacuuming) SQL(_ context.Context, job delta.SparkJob) error {
	if err := job.Begin(); err != nil {
		return err
	}
	v.asked++
	v.store.Quietly(func() {
		if all := slices.Sorted(maps.Keys(v.vacuumed())); len(all) > 0 {
			for i := range all {
				all[i] = "lake/wh/t/" + all[i]
			}
			v.store.Remove(context.Background(), all, func(string, string, error) {})
		}
	})
	return nil
}

// tally is what Spark reads of a table. Files are known by what they are resolved to, with their vector.
type tally struct {
	live  map[deltatest.ID]deltatest.File
	tombs map[deltatest.ID]deltatest.Deletion
}

func (t tally) add(h *history, f deltatest.File, vector string) {
	id := h.resolved(f.Path, vector)
	t.live[id] = f
	delete(t.tombs, id)
}

func (t tally) remove(h *history, d deltatest.Deletion, vector string) {
	id := h.resolved(d.Path, vector)
	t.tombs[id] = d
	delete(t.live, id)
}

func (h *history) resolved(path, vector string) deltatest.ID {
	for file := range h.files(path, nil) {
		return deltatest.ID{Path: file, Vector: vector}
	}
	panic("a path is one file")
}

// mark takes down what a checkpoint of the newest version says, which may be in place of another one.
func (h *history) mark(name string, c deltatest.Checkpoint) {
	t := tally{map[deltatest.ID]deltatest.File{}, map[deltatest.ID]deltatest.Deletion{}}
	for id, d := range h.table.Tombstones {
		if _, back := h.table.State[id]; !back && d.At != nil && d.At.After(c.At.Add(-c.Forget)) {
			t.remove(h, d, id.Vector)
		}
	}
	for id, f := range h.table.State {
		if !slices.Contains(c.Lose, f.Path) {
			t.add(h, f, id.Vector)
		}
	}
	all := h.marks[h.table.Version]
	if all == nil {
		all = map[string]tally{}
		h.marks[h.table.Version] = all
	}
	all[name] = t
}

// vacuumed are the files that a VACUUM takes now. Where there are several checkpoints of a version, nobody
// knows which one Spark takes.
func (h *history) vacuumed() map[string]bool {
	newest, begins := int64(-1), map[string]tally{"": {map[deltatest.ID]deltatest.File{}, map[deltatest.ID]deltatest.Deletion{}}}
	for version, all := range h.marks {
		if version > newest {
			newest, begins = version, all
		}
	}
	all := map[string]bool{}
	for _, t := range begins {
		t = tally{maps.Clone(t.live), maps.Clone(t.tombs)}
		for version := newest + 1; version <= h.table.Version; version++ {
			h.replay(t, h.store.Read(h.table.CommitPath(version)))
		}
		maps.Copy(all, h.unknownTo(t))
	}
	return all
}

// replay takes a commit into a tally.
func (h *history) replay(t tally, commit string) {
	vectorID := func(v *deltatest.Vector) string {
		switch {
		case v == nil:
			return ""
		case v.Offset == nil:
			return v.Type + v.Path
		}
		return fmt.Sprintf("%s%s@%d", v.Type, v.Path, *v.Offset)
	}
	var adds, removes []func()
	for line := range strings.Lines(commit) {
		var action struct {
			Add, Remove *struct {
				Path    string
				Vector  *deltatest.Vector `json:"deletionVector"`
				Deleted *int64            `json:"deletionTimestamp"`
			}
		}
		if err := json.Unmarshal([]byte(line), &action); err != nil {
			h.Fatal(err)
		}
		if one := action.Add; one != nil {
			adds = append(adds, func() { t.add(h, deltatest.File{Path: one.Path, Vector: one.Vector}, vectorID(one.Vector)) })
		}
		if one := action.Remove; one != nil {
			d := deltatest.Deletion{Path: one.Path, Vector: one.Vector}
			if one.Deleted != nil {
				at := time.UnixMilli(*one.Deleted)
				d.At = &at
			}
			removes = append(removes, func() { t.remove(h, d, vectorID(one.Vector)) })
		}
	}
	for _, do := range append(removes, adds...) { // those of one commit are of different files, or vectors
		do()
	}
}

// unknownTo are the files that are old enough by the table's own retention, are not hidden, and that Spark
// does not know: of paths that are absolute it knows none, and of keys only what Hadoop makes of them.
func (h *history) unknownTo(t tally) map[string]bool {
	cutoff, known := now.Add(-h.own()), map[string]bool{}
	know := func(path string, v *deltatest.Vector) {
		if !strings.Contains(path, ":/") {
			maps.Copy(known, h.files(path, v))
		}
	}
	for _, f := range t.live {
		know(f.Path, f.Vector)
	}
	for _, d := range t.tombs {
		if d.At != nil && !d.At.Before(cutoff) {
			know(d.Path, d.Vector)
		}
	}
	all := map[string]bool{}
	for _, p := range h.store.Paths() {
		key, in := strings.CutPrefix(p, "lake/wh/t/")
		hidden := slices.ContainsFunc(strings.Split(key, "/"), func(part string) bool {
			return strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") && !strings.HasPrefix(part, "_change_data") && !strings.HasPrefix(part, "_delta_index")
		})
		if in && !hidden && !known[path.Clean(key)] && h.written[key].Before(cutoff) {
			all[key] = true
		}
	}
	return all
}

// wrongly are those of some files that are to stay, though Spark has no slack.
func (h *history) wrongly(takes map[string]bool) (some []string) {
	keeps := h.keeps(0)
	for key := range takes {
		if _, kept := keeps[key]; kept || !h.written[key].Before(h.cutoffOf(key, 0)) {
			some = append(some, key)
		}
	}
	return some
}

// checkSpark holds what a run has had Spark do against what its VACUUM takes.
func (h *history) checkSpark(report proof.Report, takes map[string]bool, removed int, seen map[string]int) {
	_, refused := report.Tables[0].Find(proof.FoundSpark)
	wrong := h.wrongly(takes)
	switch {
	case h.spark.asked > 0:
		seen["vacuumed by Spark"]++
	case removed > 0 && report.Tables[0].BySpark:
		h.Fatalf("%d files went, and nobody asked Spark\n%s", removed, h.story(report))
	case refused && len(wrong) > 0:
		seen["kept from Spark"]++
		if h.quirk == "a shallow clone" {
			seen["kept from Spark for a clone"]++
		}
	}
}
