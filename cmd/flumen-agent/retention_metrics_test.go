package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec"
)

func TestMetricsOfTablesAreThoseOfTheLastLook(t *testing.T) {
	some, log := proof.Amount{Files: 8, Bytes: 4000}, proof.Amount{Files: 5, Bytes: 500}
	all := func(goes, held, log, expired status.Amount) map[string]status.Amount {
		return map[string]status.Amount{"live": {Files: 1, Bytes: 10}, "can_go": goes, "held": held, "log": log, "log_expired": expired}
	}
	table := func(name string, change func(*proof.Table)) proof.Table {
		one := proof.Table{Name: name, Live: proof.Amount{Files: 1, Bytes: 10}, Log: log, Expired: log}
		change(&one)
		return one
	}
	was := status.Amount{Files: 8, Bytes: 4000}
	full := status.Amount{Files: 5, Bytes: 500}
	memory := delta.NewMemory(t.TempDir())
	read := tablesIn(func() *delta.Memory { return memory })
	if got := read(); got != nil {
		t.Errorf("before anybody has looked: %+v", got)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := proof.Report{At: at, Unseen: []proof.Unseen{{Place: "s3://raw"}}, Tables: []proof.Table{
		table("a.fine", func(*proof.Table) {}),
		table("a.old", func(t *proof.Table) { t.Goes = some }),
		table("a.held", func(t *proof.Table) {
			t.Held, t.Findings = some, []proof.Finding{{Effect: proof.EffectStop}, {Effect: proof.EffectNote}, {Effect: proof.EffectNote}}
		}),
		table("a.half", func(t *proof.Table) {
			t.Goes, t.Removal = some, &proof.Removal{Removed: proof.Amount{Files: 3, Bytes: 1000}, Log: proof.Amount{Files: 5, Bytes: 500}}
		}),
		table("a.back", func(t *proof.Table) {
			t.Goes, t.Removal = some, &proof.Removal{Removed: some, Log: log, Undone: true}
			t.Findings = []proof.Finding{{Effect: proof.EffectCritical}}
		}),
	}}
	want := &status.Tables{At: at, Unseen: 1, All: []status.Table{
		{Name: "a.fine", Findings: map[string]int{}, Holds: all(status.Amount{}, status.Amount{}, full, full)},
		{Name: "a.old", Standing: status.TableReclaimable, Findings: map[string]int{}, Holds: all(was, status.Amount{}, full, full)},
		{Name: "a.held", Standing: status.TableRefused, Findings: map[string]int{"stop": 1, "note": 2}, Holds: all(status.Amount{}, was, full, full)},
		{Name: "a.half", Standing: status.TableReclaimable, Findings: map[string]int{}, Holds: all(status.Amount{Files: 5, Bytes: 3000}, status.Amount{}, status.Amount{}, status.Amount{})},
		{Name: "a.back", Standing: status.TableCritical, Findings: map[string]int{"critical": 1}, Holds: all(was, status.Amount{}, full, full)},
	}}
	for n := range 2 {
		if err := memory.Keep(spec.Retention{}, r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("look %d: -want +got\n%s", n, diff)
		}
		r.Tables, want.All = r.Tables[:1], want.All[:1] // the next look finds fewer
	}
}
