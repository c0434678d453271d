package main

import (
	"os"
	"sync"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec"
)

// lastTables gives what the last look at an agent's tables came to, whoever looked.
func (a *app) lastTables(agent *reconciler.Agent) func() *status.Tables {
	return tablesIn(func() *delta.Memory {
		_, want, ok := agent.Standing()
		if !ok || len(want.Retention.Discover) == 0 {
			return nil
		}
		return a.retentionMemory(want.Project)
	})
}

// tablesIn gives what a memory knows of the last look; there may be none. It is read only when it has
// changed: of many tables it is long.
func tablesIn(memory func() *delta.Memory) func() *status.Tables {
	var mu sync.Mutex
	var file os.FileInfo
	var known *status.Tables
	return func() *status.Tables {
		mu.Lock()
		defer mu.Unlock()
		m := memory()
		if m == nil {
			return nil
		}
		now, same := m.SameLatest(file)
		if same {
			return known
		}
		r, _, err := m.Latest(spec.Retention{}) // by whatever rules it was made
		if err != nil || r.At.IsZero() {
			return nil // drift reports say why
		}
		file, known = now, tablesOf(r)
		return known
	}
}

// tableStandings are how tables stand, as metrics have it.
var tableStandings = map[proof.Status]status.TableStanding{
	proof.StatusInPolicy: status.TableInPolicy, proof.StatusReclaimable: status.TableReclaimable,
	proof.StatusRefused: status.TableRefused, proof.StatusCritical: status.TableCritical,
}

// tablesOf is what metrics tell of a report.
func tablesOf(r proof.Report) *status.Tables {
	all := &status.Tables{At: r.At, Unseen: len(r.Unseen)}
	called := tableNames(r)
	for i, t := range r.Tables {
		one := status.Table{Name: called[i], Standing: tableStandings[t.Status()], Findings: map[string]int{}}
		for _, f := range t.Findings {
			one.Findings[string(f.Effect)]++
		}
		var cleaned proof.Amount // from its log
		if t.Removal != nil && !t.Removal.Undone {
			cleaned = t.Removal.Log
		}
		one.Holds = map[string]status.Amount{
			"live": status.Amount(t.Live), "held": status.Amount(t.Held), "can_go": less(t.Overdue(), t.Held),
			"log": less(t.Log, cleaned), "log_expired": less(t.Expired, cleaned),
		}
		all.All = append(all.All, one)
	}
	return all
}

func less(a, b proof.Amount) status.Amount {
	return status.Amount{Files: a.Files - b.Files, Bytes: a.Bytes - b.Bytes}
}
