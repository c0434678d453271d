package delta_test

import (
	"context"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// TestOperationBetweenTwoBatches has somebody commit after the first of five files has gone, and says what the run does
// for each: it ends, and the table is planned anew, or goes on without what the commit names.
func TestOperationBetweenTwoBatches(t *testing.T) {
	as := func(operation string, actions ...deltatest.Action) func(*deltatest.Table) {
		return func(t *deltatest.Table) {
			t.Operation = operation
			t.Commit(now, actions...)
		}
	}
	for name, c := range map[string]struct {
		commits func(*deltatest.Table)
		says    string // "": it goes on
		spared  int64
	}{
		"property": {says: "version 4 changes its metadata", commits: func(t *deltatest.Table) {
			t.Properties["delta.deletedFileRetentionDuration"] = "interval 90 days"
			as("SET TBLPROPERTIES", t.Alter())(t)
		}},
		"protocol": {says: "version 4 changes its protocol", commits: func(t *deltatest.Table) {
			as("UPGRADE PROTOCOL", t.Upgrade(deltatest.Protocol{Reader: 1, Writer: 4}))(t)
		}},
		"feature": {says: "version 4 changes its protocol", commits: func(t *deltatest.Table) {
			as("ADD FEATURE", t.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7, WriterFeatures: []string{"future"}}))(t)
		}},
		"replace": {says: "version 4 changes its metadata", commits: func(t *deltatest.Table) {
			t.ID = "another"
			as("CREATE OR REPLACE TABLE AS SELECT", t.Alter(), deltatest.Remove("live.parquet"), deltatest.Add("new.parquet"))(t)
		}},
		"replace by the same": {says: "version 4 is a REPLACE TABLE", commits: as("REPLACE TABLE", deltatest.Remove("live.parquet"))},
		"restore":             {says: "version 4 is a RESTORE", commits: as("RESTORE", deltatest.Add("b.parquet"), deltatest.Add("c.parquet"), deltatest.Remove("late.parquet"))},
		"restore of nothing":  {says: "version 4 is a RESTORE", commits: as("RESTORE")},
		"convert":             {says: "version 4 is a CONVERT", commits: as("CONVERT", deltatest.Add("orphan.parquet"))},
		"clone":               {says: "version 4 is a CLONE", commits: as("CLONE", deltatest.Add("s3a://lake/wh/other/x.parquet"))},
		"after another":       {says: "version 5 is a Restore", commits: func(t *deltatest.Table) { as("WRITE")(t); as("Restore")(t) }},
		"checkpoint in it":    {says: "version 4 holds the action checkpointMetadata", commits: as("WRITE", deltatest.Raw(`{"checkpointMetadata":{"version":4}}`))},
		"corrupt":             {says: "s3://lake/wh/t: its log is corrupt: read 00000000000000000004.json: line 2", commits: as("WRITE", deltatest.Raw("{"))},
		"unknown vector":      {says: "s3://lake/wh/t: version 4: ", commits: as("WRITE", deltatest.Add("b.parquet", &deltatest.Vector{Type: "r", Path: "x"}))},

		"overwrite":           {commits: as("WRITE", deltatest.Remove("live.parquet"), deltatest.Remove("more.parquet"), deltatest.Remove("late.parquet"), deltatest.Add("new.parquet"))},
		"overwrite by old":    {commits: as("WRITE", deltatest.Remove("live.parquet"), deltatest.Add("b.parquet")), spared: 1},
		"optimize":            {commits: as("OPTIMIZE", deltatest.Remove("live.parquet"), deltatest.Remove("more.parquet"), deltatest.Add("whole.parquet"))},
		"merge":               {commits: as("MERGE", deltatest.Add("c.parquet"), deltatest.Change("_change_data/d.parquet")), spared: 1},
		"delete":              {commits: as("DELETE", deltatest.Remove("d.parquet")), spared: 1}, // again: it says that it was there
		"orphan is committed": {commits: as("WRITE", deltatest.Add("orphan.parquet")), spared: 1},
		"vacuum":              {commits: func(t *deltatest.Table) { as("VACUUM START")(t); as("VACUUM END")(t) }},
		"nothing":             {commits: as("WRITE")},
	} {
		t.Run(name, func(t *testing.T) {
			eachLook(t, func(k *keeper) {
				table := k.ready()
				lite := k.rule.Vacuum == spec.VacuumLite
				var had []string
				k.After = func(call, path string) {
					if call == "removing" && path == "lake/wh/t/a.parquet" {
						k.Quietly(func() {
							c.commits(table)
							had = k.Paths()
						})
					}
				}
				one := k.run()
				f, stopped := one.Find(proof.FoundStopped)
				want, spared := int64(5), c.spared
				if lite {
					want = 4 // it knows of no orphan
				}
				if want -= spared; lite && name == "orphan is committed" {
					want, spared = 4, 0
				}
				if c.says != "" {
					want = 1
				}
				if m := one.Removal; m == nil || m.Removed.Files != want || m.Spared != spared || m.Failed > 0 {
					k.Fatalf("%+v\n%s", m, k.text())
				}
				if stopped != (c.says != "") || !strings.Contains(f.Says, c.says) || stopped && !strings.Contains(f.Says, "planned again") && !strings.Contains(f.Says, "s3://lake/wh/t: ") {
					k.Errorf("%s", k.text())
				}
				for _, path := range had {
					if file, below := strings.CutPrefix(path, "lake/wh/t/"); below && !strings.HasPrefix(file, "_flumen_quarantine/") && !k.Has(path) && (stopped || table.State[deltatest.ID{Path: file}].Path != "") {
						k.Errorf("%s is gone", path)
					}
				}
			})
		})
	}
}

// TestLongerRetentionThatIsSetWhileARunGoesOnBringsNothingBack: what went by then could go, and no live file is
// missing. The run ends, and the next plan keeps files for longer.
func TestLongerRetentionThatIsSetWhileARunGoesOnBringsNothingBack(t *testing.T) {
	eachLook(t, func(k *keeper) {
		table := k.ready()
		k.After = func(call, path string) {
			if call == "removing" && path == "lake/wh/t/a.parquet" {
				k.Quietly(func() {
					table.Properties["delta.deletedFileRetentionDuration"] = "interval 90 days"
					table.Operation = "SET TBLPROPERTIES"
					table.Commit(now, table.Alter())
				})
			}
		}
		one := k.run()
		if f, stopped := one.Find(proof.FoundStopped); !stopped || !strings.Contains(f.Says, "version 4 changes its metadata") {
			k.Errorf("%s", k.text())
		}
		k.mustHaveRemoved(one, "lake/wh/t/a.parquet")
		k.After = nil
		if one = k.run(); one.Removal != nil || one.Worst() != proof.EffectNote || !k.Has("lake/wh/t/b.parquet") {
			k.Errorf("by the longer retention: %s", k.text())
		}
	})
}

// TestLongerRetentionOfTheRuleIsNotAskedOfAnEarlierRun: it was ended before anybody could look whether all
// live files are there, and the rule says more when somebody does.
func TestLongerRetentionOfTheRuleIsNotAskedOfAnEarlierRun(t *testing.T) {
	eachLook(t, func(k *keeper) {
		k.ready()
		ctx, cancel := context.WithCancel(k.Context())
		k.ctx = ctx
		k.After = func(call, path string) {
			if call == "removing" {
				cancel()
			}
		}
		if one := k.run(); one.Removal == nil || one.Removal.Verified {
			k.Fatalf("%s", k.text())
		}
		k.After, k.ctx, k.verify, k.rule.Data = nil, k.Context(), true, 90*day
		one := k.run()
		if _, lost := one.Find(proof.FoundLost); lost || k.Has("lake/wh/t/a.parquet") {
			k.Errorf("%s", k.text())
		}
		if due, err := delta.NewMemory(k.dir).Due(now); due || err != nil {
			k.Errorf("it is still due: %v\n%s", err, k.text())
		}
	})
}

// mustHaveRemoved expects that a run has removed one file, and that it stays so.
func (k *keeper) mustHaveRemoved(one proof.Table, path string) {
	k.Helper()
	if _, lost := one.Find(proof.FoundLost); lost || one.Removal == nil || !one.Removal.Verified || one.Removal.Removed.Files != 1 || k.Has(path) {
		k.Errorf("%s", k.text())
	}
}
