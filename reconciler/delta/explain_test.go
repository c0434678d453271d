package delta_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// explain explains a file of the lake.
func (l *lake) explain(file string) proof.Explanation {
	l.Helper()
	e, err := delta.Explain(l.Context(), l.options(), file)
	if err != nil {
		l.Fatal(err)
	}
	return e
}

// mustExplain expects an answer with these words.
func (l *lake) mustExplain(file string, goes bool, says ...string) proof.Explanation {
	l.Helper()
	e := l.explain(file)
	var b strings.Builder
	e.Text(&b, false)
	if e.Goes != goes {
		l.Errorf("goes is %t:\n%s", e.Goes, &b)
	}
	for _, one := range says {
		if !strings.Contains(b.String(), one) {
			l.Errorf("no %q in\n%s", one, &b)
		}
	}
	return e
}

func TestExplanationNamesRuleVersionsAndTimes(t *testing.T) {
	l := newLake(t)
	l.usual("events")
	const at = "lake/wh/events/"
	l.Sized(at+"stray.parquet", 5, ago(50))
	l.Sized(at+"new.parquet", 5, ago(1))
	l.mustExplain("s3a://"+at+"old.parquet", true, "default.events", "it was removed before the cutoff, 2026-10-28 11:00",
		"rule report: data 30d", "100 B, written 2026-08-19T12:00:00Z", "version 0, 2026-08-19: added", "version 1, 2026-09-28: removed")
	l.mustExplain("s3://"+at+"late.parquet", false, "version 3 removed it on 2026-11-22 12:00, which is not before the cutoff")
	l.mustExplain("s3://"+at+"live.parquet", false, "the newest version has it", "version 1, 2026-09-28: added")
	l.mustExplain("s3://"+at+"stray.parquet", true, "no version since the cutoff")
	l.mustExplain("s3://"+at+"new.parquet", false, "may belong to a commit that is still being made")
	l.mustExplain("s3://"+at+"none.parquet", false, "it is not there")
	l.mustExplain("s3://"+at+"_delta_log/00000000000000000000.json", false, "it is of the table's log")
	l.mustExplain("s3://lake/other/x", false, "no table that was found has it")
}

func TestExplanationSaysWhatKeepsAFileThatIsDead(t *testing.T) {
	l := newLake(t)
	l.usual("events")
	l.rule.MaxRatio = 0.1
	l.mustExplain("s3://lake/wh/events/old.parquet", false, "but what was found about the table keeps all its files", "guard: 33 % of the table would go")
	l.rule.MaxRatio = 1
	l.rule.KeepVersions = []int64{0}
	l.mustExplain("s3://lake/wh/events/old.parquet", false, "keep_versions keeps version 0")
	l.rule.KeepVersions, l.rule.KeepOrphans = nil, true
	l.Sized("lake/wh/events/stray.parquet", 5, ago(50))
	l.mustExplain("s3://lake/wh/events/stray.parquet", false, "but the rule keeps such files")
	clone := l.table("clone")
	clone.Commit(ago(90), deltatest.Add("s3://lake/wh/events/old.parquet"))
	l.mustExplain("s3://lake/wh/events/old.parquet", false, "but another table uses it")
	l.Overwrite(clone.CommitPath(0), func(string) string { return "{" })
	l.mustExplain("s3://lake/wh/events/old.parquet", false, "clones-unknown: s3://lake/wh/clone could not be read")
}

// TestExplanationAndPlanAgree explains every file of random tables, wrong ones among them.
func TestExplanationAndPlanAgree(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.write()
		l := &lake{Store: h.store, rule: h.rule, agent: now, open: h.open}
		o := l.options()
		planned := map[string]proof.Class{}
		o.Goes = func(t proof.Table, f proof.File, c proof.Class) error {
			planned[t.Place+"/"+f.Key] = c
			return nil
		}
		report, err := delta.Plan(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]int64{} // by table
		for _, path := range h.store.Paths() {
			e, err := delta.Explain(t.Context(), l.options(), "s3://"+path)
			if err != nil {
				t.Fatal(err)
			}
			class, goes := planned[e.File]
			if e.Goes != goes || goes && e.Class != class.String() || e.Why == "" {
				t.Fatalf("the plan lets %s go: %t as %s; explained: %+v", path, goes, class, e)
			}
			if e.Listed {
				listed[e.Place]++
			}
			seen[e.Class]++
			checkHistory(t, e, h.held(e.Place))
		}
		for _, one := range report.Tables {
			if listed := listed[one.Place]; one.Worst() != proof.EffectRefuse && listed != one.Listed.Files {
				t.Fatalf("of %s %d files were explained, and the plan lists %d", one.Place, listed, one.Listed.Files)
			}
		}
	})
	t.Log(seen)
}

// held is the first of the versions of a table up to the newest whose commits are all there.
func (h *history) held(place string) int64 {
	table := h.table
	if h.clone != nil && strings.HasSuffix(place, cloneFolder) {
		table = h.clone.table
	}
	v := table.Version
	for v >= 0 && h.store.Has(table.CommitPath(v)) {
		v--
	}
	return v + 1
}

// checkHistory: what the log says of a file bears out what is said of it. What it says below a gap is
// no proof of anything; a checkpoint at the version before those that are held is.
func checkHistory(t *rapid.T, e proof.Explanation, held int64) {
	says := map[string]bool{}
	for _, m := range e.History {
		removal := strings.HasPrefix(m.Says, "removed")
		if removal {
			says["removed"] = says["removed"] || m.Version >= held-1
			says["removed before"] = says["removed before"] || m.At.Before(e.Cutoff)
		} else {
			says["named"] = true
		}
	}
	switch class := e.Class; {
	case class == proof.Live.String() && !says["named"],
		class == proof.Dead.String() && !says["removed before"],
		class == proof.Orphan.String() && says["removed"]:
		t.Fatalf("%s, and its log says %v: %+v", class, says, e)
	}
}
