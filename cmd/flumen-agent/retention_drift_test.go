package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func TestTablesDifferByTheLastLookAtThem(t *testing.T) {
	some := proof.Amount{Files: 8, Bytes: 4000}
	found := func(k proof.Kind, e proof.Effect, says string) []proof.Finding {
		return []proof.Finding{{Kind: k, Effect: e, Says: says}}
	}
	property := []proof.PropertyDifference{{Name: "delta.logRetentionDuration", Want: "30d", Have: "7d"}}
	r := proof.Report{
		Unseen: []proof.Unseen{{Place: "s3://raw", Why: "no route"}},
		Tables: []proof.Table{
			{Name: "a.fine"},
			{Name: "a.old", Goes: some},
			{Name: "a.held", Held: some, Findings: found(proof.FoundGuard, proof.EffectStop, "too much")},
			{Name: "a.done", Goes: some, Removal: &proof.Removal{Removed: some, Verified: true}},
			{Name: "a.half", Goes: some, Removal: &proof.Removal{Removed: proof.Amount{Files: 3, Bytes: 1000}}},
			{Name: "a.back", Goes: some, Removal: &proof.Removal{Removed: some, Undone: true}},
			{Name: "a.own", Properties: property},
			{Name: "a.both", Properties: property, Goes: some},
			{Name: "a.lost", Goes: some, Findings: found(proof.FoundHollow, proof.EffectCritical, "2 files are missing")},
			{Name: "a.gone", Findings: found(proof.FoundUnseen, proof.EffectRefuse, "timeout")},
			{Name: "a.refused", Findings: found(proof.FoundRefused, proof.EffectRefuse, "catalogManaged")},
			{Name: "a.twice", Place: "s3://one/twice", Goes: some}, {Name: "a.twice", Place: "s3://two/twice"},
			{Place: "s3://one/nameless", Goes: some},
		},
	}
	var text strings.Builder
	report.Check{Differences: tableDifferences(r, "looked at 2m0s ago")}.Text(&text, false)
	want := ` differs from revision :

  in no tier
    unseen   table/s3://raw                   no route; looked at 2m0s ago
    expired  table/a.old                      8 files, 3.9 KiB older than the rule keeps them; looked at 2m0s ago
    expired  table/a.held                     8 files, 3.9 KiB older than the rule keeps them, and held by what was found; looked at 2m0s ago
    expired  table/a.half                     5 files, 2.9 KiB older than the rule keeps them; looked at 2m0s ago
    expired  table/a.back                     8 files, 3.9 KiB older than the rule keeps them; looked at 2m0s ago
    changed  table/a.own                      looked at 2m0s ago
          delta.logRetentionDuration  7d → 30d
    expired  table/a.both                     8 files, 3.9 KiB older than the rule keeps them; looked at 2m0s ago
          delta.logRetentionDuration  7d → 30d
    critical table/a.lost                     hollow: 2 files are missing; looked at 2m0s ago
    unseen   table/a.gone                     timeout; looked at 2m0s ago
    expired  table/s3://one/twice             8 files, 3.9 KiB older than the rule keeps them; looked at 2m0s ago
    expired  table/s3://one/nameless          8 files, 3.9 KiB older than the rule keeps them; looked at 2m0s ago

11 differences. To see what would be done: flumen-agent plan
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("-want +have\n%s", diff)
	}
}

func TestLookAtTablesCountsForAWhileAndForItsRules(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	store := &spec.Store{Name: "minio"}
	daily := spec.Retention{Schedule: "0 3 * * *", Discover: []spec.Discovery{{Store: store, Prefix: "lake"}}, Defaults: spec.DefaultRetention()}
	byHand, longer := daily, daily
	byHand.Schedule = ""
	longer.Rules = []spec.RetentionRule{{Match: []spec.Pattern{"bronze.*"}, Data: time.Hour}}
	for name, c := range map[string]struct {
		ago     time.Duration // the last look; 0: none
		says    spec.Retention
		unknown string
	}{
		"none declared":           {time.Hour, spec.Retention{}, ""},
		"never":                   {0, daily, "unknown: nobody has looked at them"},
		"today":                   {9 * time.Hour, daily, ""},
		"before the last was due": {9*time.Hour + time.Minute + 23*time.Hour, daily, ""},
		"two were missed":         {34 * time.Hour, daily, "unknown: the last look at them is of 2026-03-09T02:00:00Z"},
		"by hand lately":          {6 * 24 * time.Hour, byHand, ""},
		"by hand long ago":        {8 * 24 * time.Hour, byHand, "unknown: the last look at them is of"},
		"in the future":           {-48 * time.Hour, daily, "unknown: the last look at them is of"},
		"by other rules":          {time.Hour, longer, "unknown: what the spec says about them has changed"},
	} {
		a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
		a.settings.state = t.TempDir()
		if c.ago != 0 {
			r := proof.Report{At: now.Add(-c.ago), Tables: []proof.Table{{Name: "a.old", Goes: proof.Amount{Files: 1}}}}
			if err := a.retentionMemory("p").Keep(byHand, r); err != nil {
				t.Fatal(err)
			}
		}
		d, unknown := a.tableDrift(spec.Desired{Project: "p", Retention: c.says}, now)
		known := c.unknown == "" && len(c.says.Discover) > 0
		if !strings.HasPrefix(unknown, c.unknown) || (unknown == "") != (c.unknown == "") || known != (len(d) == 1) {
			t.Errorf("%s: %q %v", name, unknown, d)
		}
	}
}
