package delta_test

import (
	"context"
	"maps"
	"os"
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

// TestRunOverAnyHistoryKeepsEveryVersionThatStays carries out what is planned for random
// histories, while somebody else may write, and takes it back.
func TestRunOverAnyHistoryKeepsEveryVersionThatStays(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.rule.Mode, h.rule.MinAge = spec.ModeEnforce, 0
		h.rule.Vacuum = rapid.SampledFrom([]spec.Vacuum{spec.VacuumFull, spec.VacuumAuto, spec.VacuumLite}).Draw(t, "vacuum")
		if rapid.Bool().Draw(t, "versions") {
			h.store.Versions()
		}
		h.store.TimesStay = rapid.Bool().Draw(t, "times stay")
		if rapid.Bool().Draw(t, "log cleanup") {
			h.rule.LogCleanup, h.rule.Log = spec.HandlingEnforce, h.rule.Data
		}
		h.write()
		dir, err := os.MkdirTemp("", "flumen-history-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h.sweep(dir, seen)
	})
	t.Log(seen)
	for kind, least := range map[string]int{"removed": 100, "removed by a look that was lite": 100, "removed by a look that was full": 100, "a writer meanwhile": 100, "undone": 100, "log cleaned up": 1000, "sidecars went": 3000, "a clone meanwhile": 1000, "a clone": 1000} {
		if seen[kind] == 0 && seen["histories"] >= least {
			t.Errorf("in no history was something %s: the generator is poorer than it was meant to be", kind)
		}
	}
}

// run carries out what may go, and gives what was removed.
func (h *history) run(dir string) proof.Report {
	o := delta.RunOptions{
		Options: delta.Options{
			Places:    []delta.Place{{Store: h.reader(), Folder: "lake/wh", URL: "s3://lake/wh", Name: "minio"}},
			Retention: spec.Retention{Defaults: h.rule, Spark: spec.Spark{Timeout: time.Hour}}, Now: func() time.Time { return now }, Memory: delta.NewMemory(dir), Open: h.open,
		},
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return h.store, nil },
		Batch:   rapid.IntRange(1, 3).Draw(h.T, "batch"),
	}
	if h.spark != nil {
		o.Spark = h.spark
	}
	r, err := delta.Run(h.Context(), o)
	if err != nil {
		h.Fatal(err)
	}
	return r
}

func (h *history) sweep(dir string, seen map[string]int) {
	seen["histories"]++
	goes, _ := h.plan()
	h.run(dir) // the first one only reports
	before := h.store.Clone()
	if !slices.Equal(before.Paths(), h.store.Paths()) {
		h.Fatal("the first run by the rule has removed something")
	}
	if h.clone != nil {
		seen["a clone"]++
	}
	takes := h.vacuumed()
	had := h.meanwhile(seen)
	report := h.run(dir)
	h.store.Fail, h.store.After = nil, nil
	removed := map[string]bool{}
	for _, p := range before.Paths() {
		if !h.store.Has(p) {
			removed[keyOf(p)] = true
		}
	}
	cleaned := h.checkLog(before, removed, report)
	h.checkSidecars(before, report, seen)
	for key := range removed {
		if !slices.Contains(goes, key) && !h.late && (h.spark == nil || h.spark.asked == 0) {
			h.Fatalf("%s was removed and could not go\n%s", key, h.story(report))
		}
	}
	if h.spark != nil {
		h.checkSpark(report, takes, len(removed), seen)
	}
	if had() == nil {
		h.check(slices.Sorted(maps.Keys(removed)), report)
	}
	_, lost := report.Tables[0].Find(proof.FoundLost)
	for file := range had() {
		// By undo: none what somebody names between the last look and the removal of the agent can only be told of.
		if told := lost && h.rule.Undo == spec.UndoNone && h.spark.asked == 0; !told && !h.store.Has("lake/wh/t/"+file) {
			h.Fatalf("%s was there when somebody added it again, and is gone\n%s", file, h.story(report))
		}
	}
	if len(removed)+cleaned == 0 {
		return
	}
	if len(removed) > 0 {
		seen["removed"]++
		seen["removed by a look that was "+string(report.Tables[0].Vacuum)]++
	}
	if cleaned > 0 {
		seen["log cleaned up"]++
	}
	again := h.run(dir)
	if r := again.Tables[0].Removal; r != nil && r.All().Files > 0 {
		// What only an expired version had named another way may go by now, and what is older than a
		// checkpoint that was written meanwhile.
		if had() == nil && cleaned == 0 && !h.late && !h.cloneLate {
			h.Fatalf("when all had gone, this went too: %+v", r)
		}
		if had() == nil {
			h.checkAllStays(before, again)
		}
		if h.rule.Undo != spec.UndoNone {
			h.undo(dir, again.Run)
		}
	}
	if h.rule.Undo == spec.UndoNone {
		return
	}
	h.undo(dir, report.Run)
	seen["undone"]++
	for _, p := range before.Paths() {
		again := h.late && strings.Contains(p, ".checkpoint") // of the same version, written by somebody else
		if !h.store.Has(p) || h.store.Read(p) != before.Read(p) && !again {
			h.Fatalf("%s did not come back", p)
		}
	}
}

func (h *history) undo(dir, run string) {
	u, err := delta.Undo(h.Context(), delta.UndoOptions{
		Memory: delta.NewMemory(dir), Run: run, Now: func() time.Time { return now },
		Remover: func(context.Context, string) (delta.Remover, error) { return h.store, nil },
	})
	if err != nil || u.Err() != nil {
		h.Fatalf("%v %v", err, u.Err())
	}
}

// checkLog takes the files of the log out of those that were removed, and holds them against the
// model: every version that could be read, and that the rule keeps readable, still can.
func (h *history) checkLog(before *deltatest.Store, removed map[string]bool, report proof.Report) (n int) {
	for key := range removed {
		if strings.Contains(key, "_delta_log/") {
			delete(removed, key)
			n++
		}
	}
	if n > 0 && h.rule.LogCleanup != spec.HandlingEnforce {
		h.Fatalf("%d files of the log went, and no rule says so\n%s", n, h.story(report))
	}
	h.checkReadable(h.table, h.times, h.streamed, before, report)
	if h.clone != nil {
		h.checkReadable(h.clone.table, h.clone.times, -1, before, report)
	}
	return n
}

// checkReadable: every version of a table that could be read, and that the rule keeps readable, still can.
func (h *history) checkReadable(t *deltatest.Table, times []time.Time, streamed int64, before *deltatest.Store, report proof.Report) {
	keep := now.Add(-max(h.rule.Log, 30*day, ownOf(h.T, t), h.rule.Data, 7*day))
	after := readable(h.store.Paths(), t.Folder)
	for _, v := range readable(before.Paths(), t.Folder) {
		inForce := v+1 >= int64(len(times)) || times[v+1].After(keep)
		kept := !times[v].Before(keep) || inForce || pins(h.rule, times, int(v)) || streamed >= 0 && v >= streamed
		if kept && !slices.Contains(after, v) {
			h.Fatalf("version %d of %s, of %s, could be read, and cannot any more\n%s", v, t.Folder, times[v], h.story(report))
		}
	}
}

// checkAllStays: whatever has to stay is still there, if it was. How a removal is spelled counts for as long as
// the log has it, which is cleaned up.
func (h *history) checkAllStays(before *deltatest.Store, report proof.Report) {
	for key, why := range h.keeps(time.Hour) {
		_, spelled := h.spelled[key]
		if path := pathOf(key); !spelled && before.Has(path) && !h.store.Has(path) {
			h.Fatalf("%s is gone, and %s\n%s", key, why, h.story(report))
		}
	}
}

// checkSidecars: no checkpoint that is there lacks a sidecar, but where it did before.
func (h *history) checkSidecars(before *deltatest.Store, report proof.Report, seen map[string]int) {
	for top, beside := range h.table.Sidecars {
		for _, path := range beside {
			switch {
			case h.store.Has(path) || !before.Has(path):
			case h.store.Has(top):
				h.Fatalf("%s is there, and its sidecar %s is gone\n%s", top, path, h.story(report))
			default:
				seen["sidecars went"]++
			}
		}
	}
}

// meanwhile may have somebody add removed files again at some call of the run that follows, and
// write a checkpoint. It gives, afterwards, those that were there by then; nil if nobody did.
func (h *history) meanwhile(seen map[string]int) (had func() map[string]bool) {
	var files map[string]bool
	nth, n := rapid.IntRange(0, 60).Draw(h.T, "writes at"), 0
	// Nothing is drawn by who asks the store: many do at a time. Its kind is the one that overwrites nothing.
	checkpoints := rapid.Bool().Draw(h.T, "writes a checkpoint")
	clones := drawClone(h.T) && h.spark == nil
	c := deltatest.Checkpoint{At: now, Forget: h.own(), V2: "json", Sidecars: rapid.IntRange(0, 2).Draw(h.T, "sidecars"), Share: true}
	write := func() {
		if n++; n != nth {
			return
		}
		if actions := h.again(); len(actions) > 0 {
			h.commit(now, actions...)
			files = map[string]bool{}
			for file := range h.needed[len(h.needed)-1] {
				if h.store.Has("lake/wh/t/" + file) {
					files[file] = true
				}
			}
			seen["a writer meanwhile"]++
		}
		if checkpoints {
			h.mark(h.table.Checkpoint(c), c)
			h.late = true
			seen["a checkpoint meanwhile"]++
		}
		if clones && h.clone == nil {
			h.clone = &clone{history: h, table: h.store.Table(cloneFolder), root: "s3a://lake/wh/t/", files: map[string]map[string]bool{}}
			h.clone.adopt(now, h.there())
			h.cloneLate = true
			seen["a clone meanwhile"]++
		}
	}
	h.store.Fail = func(string, string) error { write(); return nil }
	h.store.After = func(string, string) { write() }
	return func() map[string]bool { return files }
}

// there are the removed files that are still there.
func (h *history) there() map[deltatest.ID]deltatest.File {
	all := map[deltatest.ID]deltatest.File{}
	for id, d := range h.table.Tombstones {
		there := true
		for file := range h.files(id.Path, d.Vector) {
			there = there && h.store.Has("lake/wh/t/"+file)
		}
		if there {
			all[id] = deltatest.File{Path: id.Path, Size: 100, Vector: d.Vector}
		}
	}
	return all
}

// again adds some removed files of which there still is one, as a RESTORE does, but unsaid.
func (h *history) again() []deltatest.Action {
	for _, id := range sortedIDs(h.table.Tombstones) {
		if path, _ := deltatest.Decoded(id.Path); path != strings.TrimPrefix(strings.ReplaceAll(path, "//", "/"), "./") {
			continue // the writer of the model would make another file, under the name as it is spelled
		}
		v := h.table.Tombstones[id].Vector
		there := true
		for file := range h.files(id.Path, v) {
			there = there && h.store.Has("lake/wh/t/"+file)
		}
		if _, live := h.table.State[id]; there && !live {
			return []deltatest.Action{deltatest.Add(id.Path, v)}
		}
	}
	return nil
}
