package delta_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// plan gives what may go, in order.
func (h *history) plan() (goes []string, report proof.Report) {
	all, report := h.planBy(h.rule.Vacuum)
	return slices.Sorted(maps.Keys(all)), report
}

// planBy gives what may go by one way to look.
func (h *history) planBy(way spec.Vacuum) (goes map[string]proof.Class, report proof.Report) {
	goes = map[string]proof.Class{}
	rule := h.rule
	rule.Vacuum = way
	report, err := delta.Plan(h.Context(), delta.Options{
		Places:    []delta.Place{{Store: h.reader(), Folder: "lake/wh", URL: "s3://lake/wh"}},
		Retention: spec.Retention{Defaults: rule},
		Open:      h.open,
		Now:       func() time.Time { return now },
		Goes: func(t proof.Table, f proof.File, c proof.Class) error {
			goes[keyOf(strings.TrimPrefix(t.Place, "s3://")+"/"+f.Key)] = c
			return nil
		},
	})
	if err != nil {
		h.Fatal(err)
	}
	return goes, report
}

func (h *history) open(context.Context, *spec.Store) (delta.Store, error) { return h.store, nil }

// reader is the store, as it is looked at.
func (h *history) reader() delta.Store {
	if h.named {
		return deltatest.Naming{Store: h.store}
	}
	return h.store
}

// checkNamed holds a plan against one that looks at files in the other way. Of those that are live it may be the
// log that says how large they are.
func (h *history) checkNamed(goes []string, report proof.Report) {
	h.named = !h.named
	other, again := h.plan()
	h.named = !h.named
	if !slices.Equal(goes, other) {
		h.Fatalf("named or not, %v and %v go", goes, other)
	}
	for _, r := range []*proof.Report{&report, &again} {
		for i := range r.Tables {
			t := &r.Tables[i]
			t.Live.Bytes, t.Listed.Bytes = 0, 0
		}
	}
	if diff := cmp.Diff(report, again); diff != "" {
		h.Fatalf("named or not: %s", diff)
	}
}

// checkLite holds what a lite look lets go against what a look at all files does: what some version
// removed, all of that, and nothing else.
func (h *history) checkLite(seen map[string]int) {
	all, _ := h.planBy(spec.VacuumFull)
	walks := h.store.Calls["walk"]
	lite, report := h.planBy(spec.VacuumLite)
	if n := h.store.Calls["walk"] - walks; n != 2*len(report.Tables) { // for staged commits, in the log
		h.Fatalf("a lite look walked %d times", n)
	}
	h.check(slices.Sorted(maps.Keys(lite)), report)
	for key, class := range all {
		if _, goes := lite[key]; class == proof.Dead && !goes && !heldOf(report, key) {
			h.Fatalf("%s was removed, and by the log alone it does not go\n%s", key, h.story(report))
		}
	}
	for key, class := range lite {
		if all[key] != class || class != proof.Dead && class != proof.Change {
			h.Fatalf("by the log alone %s goes as %s, and by a list as %s\n%s", key, class, all[key], h.story(report))
		}
	}
	if len(lite) > 0 {
		seen["lite"]++
	}
}

// heldOf tells whether the table of a file is left alone.
func heldOf(r proof.Report, key string) bool {
	return slices.ContainsFunc(r.Tables, func(t proof.Table) bool {
		return strings.HasPrefix("s3://"+pathOf(key), t.Place+"/") && t.Worst() != proof.EffectNote
	})
}

// check holds what goes against the model.
func (h *history) check(goes []string, report proof.Report) {
	slack := time.Hour
	if h.spark != nil && h.spark.asked > 0 {
		slack = 0
	}
	keeps := h.keeps(slack)
	for _, key := range goes {
		cutoff := h.cutoffOf(key, slack)
		if why, kept := keeps[key]; kept {
			h.Fatalf("%s goes, and %s (cutoff %s)\n%s", key, why, cutoff, h.story(report))
		}
		if !h.written[key].Before(cutoff) {
			h.Fatalf("%s goes, and was written at %s, after %s\n%s", key, h.written[key], cutoff, h.story(report))
		}
	}
	for _, t := range report.Tables {
		if t.Worst() == proof.EffectCritical {
			h.Fatalf("nothing is missing:\n%s", h.story(report))
		}
		h.checkLoss(&t)
	}
}

// keeps are the files that stay, and why.
func (h *history) keeps(slack time.Duration) map[string]string {
	cutoff, keeps := h.cutoff(h.table, slack), map[string]string{}
	if h.clone != nil {
		h.clone.keeps(keeps, slack)
	}
	for v, at := range h.times {
		inForce := v+1 == len(h.times) || h.times[v+1].After(cutoff)
		streamed := h.streamed >= 0 && int64(v) >= h.streamed
		pinned := pins(h.rule, h.times, v) || streamed
		if at.Before(cutoff) && !inForce && !pinned {
			continue
		}
		for file := range h.needed[v] {
			keeps[file] = fmt.Sprintf("version %d of %s has it", v, at)
		}
		if !at.Before(cutoff) || streamed {
			for file := range h.changes[v] {
				keeps[file] = fmt.Sprintf("version %d of %s wrote it", v, at)
			}
		}
	}
	if h.trimmed == 0 {
		for file, id := range h.spelled {
			keeps[file] = "the removal of " + id.Path + " is spelled in another way"
		}
	}
	return keeps
}

// pins tells whether a rule names a version, or a time at which it was the newest.
func pins(rule spec.RetentionRule, times []time.Time, v int) bool {
	return slices.Contains(rule.KeepVersions, int64(v)) || slices.ContainsFunc(rule.KeepTimes, func(t time.Time) bool {
		return !times[v].After(t) && (v+1 == len(times) || times[v+1].After(t))
	})
}

// checkLoss: a lie that still counts is found.
func (h *history) checkLoss(t *proof.Table) {
	state := h.table.State
	if strings.HasSuffix(t.Place, cloneFolder) {
		state = h.clone.table.State
	}
	if t.Files == int64(len(state)) || t.Worst() != proof.EffectNote {
		return
	}
	if _, spelled := t.Find(proof.FoundEncodingMismatch); !spelled && math.Abs(float64(t.Files)-float64(len(state))) > 0 {
		h.Fatalf("the table has %d live files, and %d are seen", len(state), t.Files)
	}
}

func (h *history) story(r proof.Report) string {
	var b strings.Builder
	for _, p := range h.store.Paths() {
		if strings.Contains(p, "_delta_log") {
			fmt.Fprintf(&b, "== %s\n", p)
			if strings.HasSuffix(p, ".json") {
				b.WriteString(h.store.Read(p))
			}
		}
	}
	r.Text(&b, false)
	return b.String()
}

// count notes what a history had, so that a generator that has become poor is found.
func (h *history) count(seen map[string]int, goes []string, r proof.Report) {
	seen["histories"]++
	if len(goes) > 0 {
		seen["something goes"]++
	}
	if h.clone != nil {
		seen["clone"]++
	}
	for _, t := range r.Tables {
		if t.Goes.Files > 0 && t.Orphans.Files > 0 {
			seen["orphan"]++
		}
		for _, f := range t.Findings {
			seen[string(f.Kind)]++
		}
	}
}
