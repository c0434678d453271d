package delta_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// TestVersionsAndChangesThatAReportCallsReadableAre makes random histories from which somebody has removed files, and
// holds what a report says can be read against what each version needs: before a run, and after it.
func TestVersionsAndChangesThatAReportCallsReadableAre(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.rule.ChangeData = rapid.Bool().Draw(t, "change data goes")
		if rapid.Bool().Draw(t, "keeps changes") {
			h.table.Properties["delta.enableChangeDataFeed"] = "true"
		}
		h.write()
		h.loseSome()
		goes, report := h.plan()
		h.checkTold(report, nil, seen)
		for _, key := range goes {
			h.lose(key)
		}
		h.checkTold(report, goes, seen)
		_, report = h.plan()
		h.checkTold(report, nil, seen)
	})
	t.Log(seen)
	for _, what := range []string{"now", "now is later", "afterwards", "changes", "changes of the past"} {
		if seen[what] == 0 && seen["tables"] >= 1000 {
			t.Errorf("no history had %s: the generator is poorer than it was meant to be", what)
		}
	}
}

// loseSome has files be missing that the newest version does not have.
func (h *history) loseSome() {
	live := h.needed[len(h.needed)-1]
	var old []string
	for _, file := range slices.Sorted(maps.Keys(h.written)) {
		if !live[file] && !strings.HasPrefix(file, cloneFolder) {
			old = append(old, file)
		}
	}
	if len(old) == 0 || rapid.Bool().Draw(h.T, "whole") {
		return
	}
	for _, file := range rapid.SliceOfNDistinct(rapid.SampledFrom(old), 1, min(3, len(old)), rapid.ID).Draw(h.T, "lost") {
		h.lose(file)
	}
}

// lose removes a file, and what a store may have beside it under the name that the log spells.
func (h *history) lose(file string) {
	for _, as := range []string{file, "./" + file, strings.Replace(file, "sub/", "sub//", 1)} {
		h.store.Delete(pathOf(as))
	}
}

func (h *history) lacks(files map[string]bool) string {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !h.store.Has(h.table.Folder + "/" + file) {
			return file
		}
	}
	return ""
}

// checkTold holds a report of the table against the files that are there; gone are those that went since.
func (h *history) checkTold(r proof.Report, gone []string, seen map[string]int) {
	t := r.Tables[slices.IndexFunc(r.Tables, func(t proof.Table) bool { return t.Place == "s3://"+h.table.Folder })]
	if t.Worst() != proof.EffectNote || len(h.spelled) > 0 {
		return // where removals are spelled in another way it is not agreed who has which version
	}
	seen["tables"]++
	if now := t.ReadableNow; now != nil && gone == nil {
		seen["now"]++
		if now.Version > 0 && now.Version > h.trimmed {
			seen["now is later"]++
		}
		h.checkFrom(now.Version, r)
		if before := now.Version - 1; before >= 0 && h.trimmed == 0 && h.lacks(h.needed[before]) == "" {
			h.Fatalf("version %d can be read too\n%s", before, h.story(r))
		}
	}
	if after := t.Readable; after != nil {
		seen["afterwards"]++
		h.checkFrom(after.Version, r)
	}
	if from := t.ChangesFrom; from != nil {
		seen["changes"]++
		for v := from.Version; v < int64(len(h.needed)); v++ {
			if v < t.Version {
				seen["changes of the past"]++
			}
			h.checkChanges(v, r)
		}
	}
}

func (h *history) checkFrom(version int64, r proof.Report) {
	for v := version; v < int64(len(h.needed)); v++ {
		if file := h.lacks(h.needed[v]); file != "" {
			h.Fatalf("version %d lacks %s, and can be read, it says\n%s", v, file, h.story(r))
		}
	}
}

// checkChanges: what a version changed is in its change data, or else in the files that it added and removed.
func (h *history) checkChanges(v int64, r proof.Report) {
	files := h.changes[v]
	if len(files) == 0 {
		files = maps.Clone(h.needed[v])
		for file := range h.needed[max(0, v-1)] {
			if files[file] && v > 0 {
				delete(files, file)
			} else {
				files[file] = true
			}
		}
	}
	if file := h.lacks(files); file != "" {
		h.Fatalf("the changes of version %d lack %s, and can be read, it says\n%s", v, file, h.story(r))
	}
}

func TestReportTellsWhatCanBeReadNowFromWhatCanAfterwards(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	if one := l.of(table); *one.ReadableNow != (proof.Version{Version: 0, At: ago(100)}) || one.Readable.Version != 2 {
		t.Errorf("now %v, afterwards %v", one.ReadableNow, one.Readable)
	}
	if text := l.text(); !strings.Contains(text, "oldest version you can read now: 0, 2026-08-19\n") {
		t.Error(text)
	}
	// Somebody else keeps files for less long than the rule says.
	l.Delete("lake/wh/t/late.parquet")
	if one := l.of(table); one.ReadableNow.Version != 3 || one.Readable.Version != 3 {
		t.Errorf("now %v, afterwards %v", one.ReadableNow, one.Readable)
	}
	l.rule.Vacuum = spec.VacuumLite
	if one := l.of(table); one.ReadableNow != nil {
		t.Errorf("by the log alone %v can be read", one.ReadableNow)
	}
	l.rule.Vacuum = spec.VacuumFull
	l.Delete("lake/wh/t/live.parquet")
	if one := l.of(table); one.ReadableNow != nil {
		t.Errorf("live files are missing, and %v can be read", one.ReadableNow)
	}
}

func TestReportSaysFromWhichVersionChangeDataCanBeRead(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Properties["delta.enableChangeDataFeed"] = "true"
	table.Commit(ago(90), table.Alter())
	table.Commit(ago(80), deltatest.Add("b.parquet"))
	from := func(want int64, says string) {
		t.Helper()
		if one := l.of(table); one.ChangesFrom == nil || one.ChangesFrom.Version != want || !strings.Contains(l.text(), says) {
			t.Errorf("from %v, not %d\n%s", one.ChangesFrom, want, l.text())
		}
	}
	from(1, "") // version 0 kept none, and nothing goes
	table.Operation = "OPTIMIZE"
	table.Commit(ago(70), deltatest.Remove("a.parquet"), deltatest.Remove("b.parquet"), deltatest.Add("c.parquet"))
	table.Operation = ""
	from(3, "change data can be read afterwards from 3, 2026-09-18 on") // what version 2 added has gone
	table.Commit(ago(60), deltatest.Change("_change_data/d.parquet"), deltatest.Remove("c.parquet"), deltatest.Add("e.parquet"))
	from(5, "change data can be read afterwards from the next version on")
	l.rule.ChangeData = false
	from(3, "")
	table.Properties["delta.enableChangeDataFeed"] = "false"
	table.Commit(ago(50), table.Alter())
	if one := l.of(table); one.ChangesFrom != nil {
		t.Errorf("it keeps none, and from %v", one.ChangesFrom)
	}
}

func TestDeletionVectorsAreCountedApart(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	old, oldFile := vector("", 1)
	live, liveFile := vector("ab", 2)
	for _, file := range []string{oldFile, liveFile} {
		l.Sized("lake/wh/t/"+file, 7, ago(99))
	}
	table.Commit(ago(100), deltatest.Add("a.parquet", old))
	table.Commit(ago(60), deltatest.Remove("a.parquet", old), deltatest.Add("a.parquet", live))
	one := l.mustGo(table, oldFile)
	if one.Vectors != (proof.Amount{Files: 2, Bytes: 14}) || one.VectorsGo != (proof.Amount{Files: 1, Bytes: 7}) {
		t.Errorf("%v, of which %v", one.Vectors, one.VectorsGo)
	}
	if text := l.text(); !strings.Contains(text, "deletion vectors among these 2 files, 14 B · of them can go 1 file, 7 B") {
		t.Error(text)
	}
}
