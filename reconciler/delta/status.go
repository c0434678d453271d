package delta

import (
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// PastRun is what a run did to a table, by its journal.
type PastRun struct {
	Run     string       `json:"run"`
	Table   string       `json:"table,omitempty"`
	Place   string       `json:"place"`
	At      time.Time    `json:"at"`
	By      proof.By     `json:"by,omitempty"`
	Undo    spec.Undo    `json:"undo"`
	Removed proof.Amount `json:"removed"` // or begun to
	Until   time.Time    `json:"undo_until,omitzero"`
	State   string       `json:"state"` // done, stopped, cut off, undone or lapsed
}

// Runs gives the runs that are known, the oldest first.
func (m *Memory) Runs() (all []PastRun, err error) {
	err = m.pasts("", nil, func(p *past) error {
		one := PastRun{Run: p.Run, Table: p.Table, Place: p.Place, At: p.began, By: p.By, Undo: p.Undo, Removed: p.removed(), Until: p.began.Add(p.Keep)}
		if p.By == proof.BySpark && p.end != nil && p.end.Sum != nil {
			one.Removed = p.end.Sum.Removed // of all that was announced it may have removed little
		}
		switch {
		case p.undone:
			one.State = "undone"
		case p.purged:
			one.State = "lapsed"
		case p.end == nil:
			one.State = "cut off"
		case p.end.Why != "":
			one.State = "stopped"
		default:
			one.State = "done"
		}
		all = append(all, one)
		return nil
	})
	slices.SortFunc(all, func(a, b PastRun) int { return strings.Compare(a.Run+a.Place, b.Run+b.Place) })
	return all, err
}
