package delta_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/spec"
)

// cloneFolder is where the shallow clone of a history's table is, if it has one.
const cloneFolder = "lake/wh/u"

// clone is a second table, most of whose files are those of the first one: it names them by absolute paths,
// and the first one knows nothing of that.
type clone struct {
	*history
	table  *deltatest.Table
	root   string                     // as its writer spells that of the first table
	files  map[string]map[string]bool // what its paths mean, by what they and their vectors are written as
	times  []time.Time                // of its versions
	needed []map[string]bool          // the files that each of them has
}

// drawClone tells whether a clone may come in a history. It is a rare one: every look takes longer then.
func drawClone(t *rapid.T) bool { return rapid.IntRange(0, 6).Draw(t, "a clone may come") == 6 }

// stepClone may do something to the clone, in place of something to the table.
func (h *history) stepClone(at time.Time) bool {
	if !h.clones || rapid.Bool().Draw(h.T, "not to the clone") {
		return false
	}
	switch what := rapid.IntRange(0, 9).Draw(h.T, "what to the clone"); {
	case h.clone == nil:
		v := rapid.IntRange(int(min(h.trimmed, h.table.Version)), int(h.table.Version)).Draw(h.T, "cloned version")
		h.makeClone(at, h.table.Past[v].State)
	case what < 5:
		h.clone.commit(at, h.clone.remove()...)
	case what < 7 && h.spark == nil:
		h.clone.commit(at, h.clone.own(at))
	case what < 9:
		h.clone.table.Checkpoint(deltatest.Checkpoint{At: at, Forget: ownOf(h.T, h.clone.table)})
		if what == 8 {
			h.clone.table.Trim(h.clone.table.Version)
		}
	default:
		h.dropClone()
	}
	return true
}

func (h *history) makeClone(at time.Time, of map[deltatest.ID]deltatest.File) {
	h.clone = &clone{history: h, table: h.store.Table(cloneFolder), files: map[string]map[string]bool{}}
	h.clone.root = rapid.SampledFrom([]string{"s3://lake/wh/t/", "s3a://lake/wh/t/", "file:/mnt/wh/t/"}).Draw(h.T, "the clone calls the table")
	if rapid.IntRange(0, 3).Draw(h.T, "own retention of the clone") == 0 {
		h.clone.table.Properties["delta.deletedFileRetentionDuration"] = fmt.Sprintf("interval %d hours", int(h.days("property of the clone", 1, 40).Hours()))
	}
	h.clone.adopt(at, of)
}

// dropClone drops the clone, with what is its own.
func (h *history) dropClone() {
	h.store.Delete(slices.DeleteFunc(h.store.Paths(), func(p string) bool { return !strings.HasPrefix(p, cloneFolder+"/") })...)
	h.clone = nil
}

// adopt commits that the clone has some of the table's files.
func (c *clone) adopt(at time.Time, of map[deltatest.ID]deltatest.File) {
	var all []deltatest.Action
	for _, id := range sortedIDs(of) {
		path, v := of[id].Path, of[id].Vector
		files := c.history.files(path, v)
		if !strings.Contains(path, ":/") {
			path = c.root + path
		}
		if v != nil {
			v = &deltatest.Vector{Type: "p", Path: c.root + c.vectorFile(v), Offset: v.Offset}
		}
		c.files[written(path, v)] = files
		all = append(all, deltatest.Add(path, v))
	}
	c.commit(at, all...)
}

func written(path string, v *deltatest.Vector) string {
	if v != nil {
		path += " with " + v.Path
	}
	return path
}

func (c *clone) commit(at time.Time, actions ...deltatest.Action) {
	if n := len(c.times); n > 0 && !at.After(c.times[n-1]) {
		at = c.times[n-1].Add(time.Millisecond)
	}
	c.table.Commit(at, actions...)
	c.times = append(c.times, at)
	needed := map[string]bool{}
	for _, f := range c.table.State {
		maps.Copy(needed, c.files[written(f.Path, f.Vector)])
	}
	c.needed = append(c.needed, needed)
}

// remove removes some of what is live in the clone.
func (c *clone) remove() (all []deltatest.Action) {
	for _, f := range pick(c.T, c.table.State, 3) {
		all = append(all, deltatest.Remove(f.Path, f.Vector))
	}
	return all
}

// own adds a file of the clone's own.
func (c *clone) own(at time.Time) deltatest.Action {
	c.n++
	path := fmt.Sprintf("own-%d.parquet", c.n)
	key := cloneFolder + "/" + path
	c.written[key], c.files[path] = at, map[string]bool{key: true}
	return deltatest.Add(path)
}

// keeps adds the files that the clone still needs: those of each of its versions that stays, and can be read.
func (c *clone) keeps(keeps map[string]string, slack time.Duration) {
	cutoff := c.cutoff(c.table, slack)
	for _, v := range readable(c.store.Paths(), cloneFolder) {
		inForce := v+1 == int64(len(c.times)) || c.times[v+1].After(cutoff)
		if c.times[v].Before(cutoff) && !inForce && !pins(c.rule, c.times, int(v)) {
			continue
		}
		for file := range c.needed[v] {
			keeps[file] = fmt.Sprintf("version %d of %s of the clone has it", v, c.times[v])
		}
	}
}

// cutoff is before what time a table's files have to be written to go.
func (h *history) cutoff(t *deltatest.Table, slack time.Duration) time.Time {
	return now.Add(-max(h.rule.Data, ownOf(h.T, t), 7*day) - slack)
}

// cutoffOf is that of a file.
func (h *history) cutoffOf(key string, slack time.Duration) time.Time {
	if h.clone != nil && strings.HasPrefix(key, cloneFolder+"/") {
		return h.cutoff(h.clone.table, slack)
	}
	return h.cutoff(h.table, slack)
}

// keyOf is what a history calls a file: by its key in the table, or by its path where that is another one's.
func keyOf(path string) string { return strings.TrimPrefix(path, "lake/wh/t/") }

// pathOf is where a file of a history is.
func pathOf(key string) string {
	if strings.HasPrefix(key, cloneFolder+"/") {
		return key
	}
	return "lake/wh/t/" + key
}

// ownOf is how long a table's own writer remembers what was removed.
func ownOf(t *rapid.T, table *deltatest.Table) time.Duration {
	text, ok := table.Properties["delta.deletedFileRetentionDuration"]
	if !ok {
		return 7 * day
	}
	d, err := spec.ParseInterval(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func sortedIDs[V any](of map[deltatest.ID]V) []deltatest.ID {
	return slices.SortedFunc(maps.Keys(of), func(a, b deltatest.ID) int { return strings.Compare(a.Path+a.Vector, b.Path+b.Vector) })
}

// pick picks some files.
func pick(t *rapid.T, of map[deltatest.ID]deltatest.File, most int) (some []deltatest.File) {
	ids := sortedIDs(of)
	if len(ids) == 0 {
		return nil
	}
	for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 1, min(most, len(ids)), func(id deltatest.ID) deltatest.ID { return id }).Draw(t, "files") {
		some = append(some, of[id])
	}
	return some
}
