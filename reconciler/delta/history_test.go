package delta_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// TestNoFileOfAVersionThatStaysEverGoes makes random histories of a table, wrong ones among
// them, and holds what is planned against what each version had.
func TestNoFileOfAVersionThatStaysEverGoes(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.write()
		goes, report := h.plan()
		h.check(goes, report)
		again, _ := h.plan()
		if !slices.Equal(goes, again) {
			t.Fatalf("planned again: %v, then %v", goes, again)
		}
		h.checkLite(seen)
		h.checkNamed(goes, report)
		for _, key := range goes {
			h.store.Delete(pathOf(key))
		}
		if rest, _ := h.plan(); len(rest) > 0 {
			t.Fatalf("when all had gone, this went too: %v", rest)
		}
		h.count(seen, goes, report)
	})
	t.Log(seen)
	for _, kind := range []string{"something goes", "orphan", "checkpoint-divergence", "encoding-mismatch", "log-hole", "one-witness", "lite", "clone", string(proof.FoundClone)} {
		if seen[kind] == 0 && seen["histories"] >= 1000 {
			t.Errorf("no history had %s: the generator is poorer than it was meant to be", kind)
		}
	}
}

// history is a table that is written at random.
type history struct {
	*rapid.T
	store *deltatest.Store
	table *deltatest.Table
	rule  spec.RetentionRule

	raw     []time.Time          // when their files were written
	times   []time.Time          // of the versions, as the rules have them
	needed  []map[string]bool    // the files that each version has
	changes []map[string]bool    // the change data that each version wrote
	written map[string]time.Time // when each file was
	pool    []string             // paths that were used
	vectors map[string]*deltatest.Vector
	spelled map[string]deltatest.ID // files whose removal was spelled in another way
	lied    bool                    // a checkpoint lied
	late    bool                    // one was written while a run went on
	trimmed int64
	n       int

	clones bool   // one may come
	clone  *clone // nil: there is none
	// cloneLate: it was made while a run went on.
	cloneLate bool

	streamed int64 // the oldest version that a stream still needs; below 0: there is none

	spark *vacuuming                 // removes the files; nil: the agent does
	quirk string                     // of all that Spark is known to treat in its own way only this is in it; "": anything
	marks map[int64]map[string]tally // what checkpoints say, by version and name
	named bool                       // the store names its files first
}

func newHistory(t *rapid.T) *history {
	store := deltatest.NewStore(now)
	h := &history{T: t, store: store, table: store.Table("lake/wh/t"), rule: spec.DefaultRetention(), written: map[string]time.Time{}, vectors: map[string]*deltatest.Vector{}, spelled: map[string]deltatest.ID{}, marks: map[int64]map[string]tally{}}
	h.rule.MaxRatio = 1
	h.named = rapid.Bool().Draw(t, "named")
	h.rule.Data = h.days("policy", 7, 40)
	if rapid.Bool().Draw(t, "own retention") {
		h.table.Properties["delta.deletedFileRetentionDuration"] = fmt.Sprintf("interval %d hours", int(h.days("property", 1, rapid.SampledFrom([]int{3, 40}).Draw(t, "longest")).Hours()))
	}
	if rapid.IntRange(0, 3).Draw(t, "clocked") == 0 {
		h.table.Protocol = deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{"inCommitTimestamp"}}
		h.table.Properties["delta.enableInCommitTimestamps"] = "true"
	}
	if rapid.IntRange(0, 4).Draw(t, "pins") == 0 {
		h.rule.KeepVersions = []int64{int64(rapid.IntRange(0, 6).Draw(t, "pin"))}
	}
	h.clones = drawClone(t)
	if rapid.IntRange(0, 4).Draw(t, "pins a time") == 0 {
		h.rule.KeepTimes = []time.Time{now.Add(-h.days("pinned", 0, 95))}
	}
	h.streamed = int64(rapid.IntRange(-12, 5).Draw(t, "a stream needs"))
	if h.streamed >= 0 {
		h.rule.KeepStreams = []spec.Stream{{Store: &spec.Store{Name: "minio"}, Folder: "lake/checkpoint"}}
		h.store.Put("lake/checkpoint/offsets/0", offsets(h.table, h.streamed+1), now)
		h.store.Put("lake/checkpoint/commits/0", "v1\n{}", now)
	}
	return h
}

func (h *history) days(what string, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least*24, most*24).Draw(h.T, what)) * time.Hour
}

// names are those of files, spelled as writers spell them.
var names = []string{"a", "p=a%20b/x", "p=a b/x", "p=a%2520b/x", "p=%C3%A9/x", "p=50%/x", "b+c", "_p=1/x", "./d", "s3a://lake/wh/t/abs", "é", "sub//e"}

func (h *history) names() []string {
	if h.quirk != "" && h.quirk != "absolute paths" {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.Contains(name, ":/") })
	}
	return names
}

// write writes versions, and what happens between them.
func (h *history) write() {
	at := now.Add(-h.days("begin", 20, 90))
	if h.spark != nil {
		at = h.doom(at)
	}
	h.commit(at, h.add(), h.add())
	for range rapid.IntRange(2, 14).Draw(h.T, "steps") {
		at = at.Add(time.Duration(rapid.IntRange(1, 8*24*60).Draw(h.T, "later")) * time.Minute)
		if !at.Before(now) {
			return
		}
		h.step(at)
	}
}

func (h *history) step(at time.Time) {
	if h.stepClone(at) {
		return
	}
	switch h.drawStep() {
	case 0, 1, 2:
		h.commit(h.skewed(at), h.add(), h.add())
	case 3, 4, 5:
		h.commit(h.skewed(at), h.remove(at)...)
	case 6:
		h.commit(h.skewed(at), h.revector()...)
	case 7:
		h.commit(h.skewed(at), append(h.remove(at), h.add())...)
	case 8:
		h.commit(h.skewed(at), h.restore()...)
	case 9:
		h.change(at)
	case 10, 11:
		h.checkpoint(at, false)
	case 12:
		h.checkpoint(at, true)
	case 13:
		h.trim()
	case 16:
		// As Spark does it, but sooner: what the checkpoint forgot is known to nobody then.
		h.checkpoint(at, false)
		h.clean()
	case 14:
		h.stray(at)
	case 15:
		if rapid.Bool().Draw(h.T, "sum") {
			h.table.Sum()
		}
		h.commit(at)
	}
}

// skewed is the time by a clock that may be behind.
func (h *history) skewed(at time.Time) time.Time {
	if rapid.IntRange(0, 5).Draw(h.T, "skewed") == 0 {
		return at.Add(-time.Duration(rapid.IntRange(1, 20*24).Draw(h.T, "skew")) * time.Hour)
	}
	return at
}

// commit writes a version, and what the model knows of it.
func (h *history) commit(at time.Time, actions ...deltatest.Action) {
	h.table.Commit(at, actions...)
	time := at
	if n := len(h.times); n > 0 && !time.After(h.times[n-1]) {
		time = h.times[n-1].Add(1e6)
	}
	if h.table.Properties["delta.enableInCommitTimestamps"] == "true" {
		h.store.Overwrite(h.table.CommitPath(h.table.Version), func(s string) string {
			return strings.Replace(s, fmt.Sprintf(`"inCommitTimestamp":%d`, at.UnixMilli()), fmt.Sprintf(`"inCommitTimestamp":%d`, time.UnixMilli()), 1)
		})
	}
	h.times, h.raw = append(h.times, time), append(h.raw, at)
	files := map[string]bool{}
	for _, f := range h.table.State {
		maps.Copy(files, h.files(f.Path, f.Vector))
	}
	h.needed = append(h.needed, files)
	h.changes = append(h.changes, map[string]bool{})
}

// files are those that a path and a vector mean, as a reader resolves them.
func (h *history) files(path string, v *deltatest.Vector) map[string]bool {
	path = strings.ReplaceAll(strings.TrimPrefix(path, "s3a://lake/wh/t/"), "//", "/")
	if once, err := url.PathUnescape(path); err == nil {
		path = once
	}
	all := map[string]bool{strings.TrimPrefix(path, "./"): true}
	if v != nil {
		all[h.vectorFile(v)] = true
	}
	return all
}

func (h *history) vectorFile(v *deltatest.Vector) string {
	for file, one := range h.vectors {
		if one.Path == v.Path {
			return file
		}
	}
	panic("an unknown vector")
}

// add adds a file under a name of its own, or one whose name another one has as well.
func (h *history) add() deltatest.Action {
	h.n++
	path := fmt.Sprintf("%s-%d.parquet", rapid.SampledFrom(h.names()).Draw(h.T, "name"), h.n)
	h.pool = append(h.pool, path)
	return h.addPath(path, h.vector())
}

func (h *history) addPath(path string, v *deltatest.Vector) deltatest.Action {
	for file := range h.files(path, v) {
		if at := now.Add(-h.days("written", 0, 100)); h.written[file].IsZero() {
			h.written[file] = at
			h.store.Sized("lake/wh/t/"+file, 100, at)
		}
	}
	return deltatest.Add(path, v)
}

// vector is none, a new one, or one in a file that has others too.
func (h *history) vector() *deltatest.Vector {
	switch known := slices.Sorted(maps.Keys(h.vectors)); rapid.IntRange(0, 5).Draw(h.T, "vector") {
	case 0:
		v, file := vector(rapid.SampledFrom([]string{"", "ab"}).Draw(h.T, "prefix"), len(h.vectors)+1)
		h.vectors[file] = v
		return v
	case 1:
		if len(known) > 0 {
			other := *h.vectors[rapid.SampledFrom(known).Draw(h.T, "shared")]
			offset := int32(rapid.IntRange(0, 9).Draw(h.T, "offset"))
			other.Offset = &offset
			return &other
		}
	}
	return nil
}

// live picks live files.
func (h *history) live(most int) []deltatest.File {
	return pick(h.T, h.table.State, most)
}

// remove removes files, by a writer that may spell or date them in its own way.
func (h *history) remove(at time.Time) []deltatest.Action {
	var all []deltatest.Action
	for _, f := range h.live(3) {
		for file := range h.files(f.Path, nil) {
			delete(h.spelled, file)
		}
		switch h.drawRemoval() {
		case 0:
			all = append(all, deltatest.RemoveAt(f.Path, nil, f.Vector))
		case 1:
			other := at.Add(time.Duration(rapid.IntRange(-30, 100*24*60).Draw(h.T, "dated")) * time.Minute)
			all = append(all, deltatest.RemoveAt(f.Path, &other, f.Vector))
		case 2:
			if once, err := url.PathUnescape(f.Path); err == nil && f.Vector == nil && !strings.Contains(once, "%") {
				all = append(all, deltatest.RemoveSpelled(f.Path, once))
				if once != f.Path {
					for file := range h.files(f.Path, nil) {
						h.spelled[file] = deltatest.ID{Path: f.Path}
					}
				}
				continue
			}
			fallthrough
		default:
			all = append(all, deltatest.Remove(f.Path, f.Vector))
		}
	}
	return all
}

// revector gives a file another vector; the two actions come in any order.
func (h *history) revector() []deltatest.Action {
	var all []deltatest.Action
	for _, f := range h.live(1) {
		v := h.vector()
		if v != nil && f.Vector != nil && v.Path == f.Vector.Path && *v.Offset == *f.Vector.Offset || v == nil && f.Vector == nil {
			continue
		}
		all = []deltatest.Action{deltatest.Remove(f.Path, f.Vector), h.addPath(f.Path, v)}
		if rapid.Bool().Draw(h.T, "add first") {
			slices.Reverse(all)
		}
	}
	return all
}

// restore adds files again that were removed.
func (h *history) restore() []deltatest.Action {
	ids := slices.DeleteFunc(sortedIDs(h.table.Tombstones), func(id deltatest.ID) bool { _, back := h.table.State[id]; return back })
	if len(ids) == 0 {
		return nil
	}
	id := rapid.SampledFrom(ids).Draw(h.T, "restored")
	return []deltatest.Action{h.addPath(id.Path, h.table.Tombstones[id].Vector)}
}

func (h *history) change(at time.Time) {
	h.n++
	file := fmt.Sprintf("_change_data/c-%d.parquet", h.n)
	h.commit(at, deltatest.Change(file))
	h.written[file] = now.Add(-h.days("written", 0, 100))
	h.store.Sized("lake/wh/t/"+file, 1, h.written[file])
	h.changes[len(h.changes)-1][file] = true
}

// checkpoint writes one, which a faulty writer may have made. Two lies could agree, so that
// there is one at most, and never where nothing else would show it.
func (h *history) checkpoint(at time.Time, lie bool) {
	c := deltatest.Checkpoint{At: at, Forget: h.own()}
	switch rapid.IntRange(0, 4).Draw(h.T, "kind") {
	case 0:
		c.Parts = rapid.IntRange(1, 3).Draw(h.T, "parts")
	case 1:
		c.V2, c.Sidecars = rapid.SampledFrom([]string{"json", "parquet"}).Draw(h.T, "v2"), rapid.IntRange(0, 2).Draw(h.T, "sidecars")
		c.Share = rapid.Bool().Draw(h.T, "share")
	}
	if lie && !h.lied && h.trimmed == 0 {
		for _, f := range h.live(2) {
			c.Lose = append(c.Lose, f.Path)
			h.lied = true
		}
	}
	h.mark(h.table.Checkpoint(c), c)
}

// own is how long the table's writer remembers what was removed.
func (h *history) own() time.Duration { return ownOf(h.T, h.table) }

// trim removes the log below a checkpoint, or makes a hole there.
func (h *history) trim() {
	newest := int64(-1)
	for _, p := range h.store.Paths() {
		if name, in := strings.CutPrefix(p, "lake/wh/t/_delta_log/"); in && strings.Contains(name, ".checkpoint.") {
			var v int64
			fmt.Sscanf(name, "%d", &v)
			newest = max(newest, v)
		}
	}
	if newest < 1 || h.lied {
		return
	}
	upto := int64(rapid.IntRange(0, int(newest)).Draw(h.T, "up to"))
	switch hole := rapid.Bool().Draw(h.T, "hole"); {
	case hole && h.dates(upto+1):
		h.store.Delete(h.table.CommitPath(upto))
		h.trimmed = upto + 1
	case !hole && h.dates(upto):
		h.table.Trim(upto)
		h.trimmed = upto + 1
	}
}

// clean removes the log below the newest version, which has a checkpoint.
func (h *history) clean() {
	if h.lied || !h.dates(h.table.Version) {
		return
	}
	h.table.Trim(h.table.Version)
	h.trimmed = h.table.Version + 1
}

// dates tells whether a version has its time from its own file. The time of one whose clock was
// behind comes from the version before, and is lost with that one: for other readers too.
func (h *history) dates(version int64) bool {
	return version >= int64(len(h.times)) || h.times[version].Equal(h.raw[version])
}

// stray leaves a file that no version names.
func (h *history) stray(at time.Time) {
	h.n++
	file := fmt.Sprintf("%s-%d.parquet", rapid.SampledFrom([]string{"stray", "p=1/stray", "_change_data/stray"}).Draw(h.T, "stray"), h.n)
	h.written[file] = at
	h.store.Sized("lake/wh/t/"+file, 1, at)
}
