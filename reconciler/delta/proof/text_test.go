package proof_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

func TestSummaryOfAReportIsALine(t *testing.T) {
	some := proof.Amount{Files: 8, Bytes: 4000}
	stopped := []proof.Finding{{Kind: proof.FoundStopped, Effect: proof.EffectStop}}
	lost := []proof.Finding{{Kind: proof.FoundLost, Effect: proof.EffectCritical}}
	for want, r := range map[string]proof.Report{
		"0 tables: 0 files, 0 B can go":                               {},
		"1 table: 8 files, 3.9 KiB can go":                            {Tables: []proof.Table{{Goes: some}}, Goes: some},
		"2 tables: removed 8 files, 3.9 KiB":                          {Tables: []proof.Table{{}, {Removal: &proof.Removal{Removed: some}}}, Goes: some},
		"1 table: 0 files, 0 B can go; 1 place could not be searched": {Tables: []proof.Table{{}}, Unseen: []proof.Unseen{{}}},
		"2 tables: 0 files, 0 B can go; 1 table refused, held or not finished; 1 table with a live file or a commit missing": {
			Tables: []proof.Table{{Findings: stopped}, {Findings: lost, Removal: &proof.Removal{Removed: some, Undone: true}}},
		},
		"1 table: removed 8 files, 3.9 KiB; from 1 table by Spark, which cannot be undone": {
			Tables: []proof.Table{{Removal: &proof.Removal{Removed: some, By: proof.BySpark, Undo: spec.UndoNone}}},
		},
		"2 tables: removed 16 files, 7.8 KiB; from 1 table by Spark; properties of 1 table set": {
			Tables: []proof.Table{{Removal: &proof.Removal{Removed: some, By: proof.BySpark, Undo: spec.UndoVersioning}}, {Altered: true, Removal: &proof.Removal{Removed: some}}},
		},
	} {
		if got := r.Summary(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
