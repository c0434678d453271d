package delta_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

var (
	_ delta.Keeping = (*folder.Store)(nil)
	_ delta.Keeping = (*deltatest.Store)(nil)
)

// locking is a store with versions and object lock.
type locking struct {
	*deltatest.Store
	each time.Duration
}

func (l locking) Locks(context.Context, string) (bool, time.Duration, error) {
	return true, l.each, nil
}

// planIn plans the lake as another store shows it.
func (l *lake) planIn(store delta.Store) proof.Table {
	l.Helper()
	o := l.options()
	o.Places[0].Store = store
	r, err := delta.Plan(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	l.report = r
	return r.Tables[0]
}

func TestPlanTellsRoomThatIsFreeNowFromRoomThatIsFreeLater(t *testing.T) {
	all := proof.Amount{Files: 1, Bytes: 100}
	kept := "and 100 B when the bucket keeps no version of them (a lifecycle rule for noncurrent versions, the end of any lock)"
	for name, c := range map[string]struct {
		undo  spec.Undo
		store func(*deltatest.Store) delta.Store
		want  proof.Frees
		says  string
	}{
		"for good":    {spec.UndoNone, nil, proof.Frees{Undo: spec.UndoNone, Now: all}, "a run frees 100 B now\n"},
		"set aside":   {spec.UndoAuto, nil, proof.Frees{Undo: spec.UndoQuarantine, Later: all, After: "7d"}, "a run frees 0 B now, and 100 B 7d later, when it can no longer be undone\n"},
		"no versions": {spec.UndoVersioning, nil, proof.Frees{Why: "a run would remove nothing: undo: versioning: the store does not keep versions of all that is removed from this table: switch the versioning of its bucket on, or write undo: quarantine"}, "is not known: a run would remove nothing"},
		"versions": {spec.UndoAuto, func(s *deltatest.Store) delta.Store { s.Versions(); return s },
			proof.Frees{Undo: spec.UndoVersioning, Kept: all}, "a run frees 0 B now, " + kept + "\n"},
		"versions, and for good": {spec.UndoNone, func(s *deltatest.Store) delta.Store { s.Versions(); return s },
			proof.Frees{Undo: spec.UndoNone, Kept: all}, "a run frees 0 B now, " + kept + "\n"},
		"versions, and set aside": {spec.UndoQuarantine, func(s *deltatest.Store) delta.Store { s.Versions(); return s },
			proof.Frees{Undo: spec.UndoQuarantine, Kept: all}, "a run frees 0 B now, " + kept + "\n"},
		"locks": {spec.UndoAuto, func(s *deltatest.Store) delta.Store { s.Versions(); return locking{s, 0} },
			proof.Frees{Undo: spec.UndoVersioning, Kept: all, Locks: true}, kept + ": it has object lock\n"},
		"all are locked": {spec.UndoAuto, func(s *deltatest.Store) delta.Store { s.Versions(); return locking{s, 30 * day} },
			proof.Frees{Undo: spec.UndoVersioning, Kept: all, Locks: true, Locked: "30d"}, kept + ": its object lock keeps each file for 30d after it was written\n"},
		"nobody may ask": {spec.UndoAuto, func(s *deltatest.Store) delta.Store {
			s.Fail = func(call, _ string) error {
				if call == "versioned" {
					return errors.New("it may not be asked")
				}
				return nil
			}
			return s
		}, proof.Frees{Why: "it may not be asked"}, "when the room is free is not known: it may not be asked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			l.rule.Undo = c.undo
			l.usual("t")
			store := delta.Store(l.Store)
			if c.store != nil {
				store = c.store(l.Store)
			}
			one := l.planIn(store)
			if diff := cmp.Diff(&c.want, one.Frees); diff != "" {
				t.Errorf("-want +have\n%s", diff)
			}
			text := l.text()
			if !strings.Contains(text, c.says) {
				t.Error(text)
			}
			if sum := "can go, of which a run frees"; strings.Contains(text, sum) != (c.want.Why == "") {
				t.Error(text)
			}
		})
	}
}

func TestPlanAsksAStoreOnceForAllTablesOfABucket(t *testing.T) {
	l := newLake(t)
	l.usual("a")
	l.usual("b")
	if l.plan(); l.Calls["versioned"] != 1 || l.report.Tables[1].Frees == nil {
		t.Errorf("asked %d times\n%s", l.Calls["versioned"], l.text())
	}
	l.rule.Data = 90 * day
	if l.plan(); l.Calls["versioned"] != 1 || l.report.Tables[0].Frees != nil {
		t.Errorf("nothing goes, and asked %d times\n%s", l.Calls["versioned"], l.text())
	}
}

func TestRunSaysWhatWasFreedAndNotWhatWouldBe(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.run()
	if k.report.Tables[0].Removal == nil || strings.Contains(k.text(), "a run frees") {
		t.Error(k.text())
	}
}

func TestReportTellsHowATableHasChangedSinceAnEarlierDay(t *testing.T) {
	k := newKeeper(t)
	table := k.usual("t")
	at := func(days float64) string {
		k.agent, k.Now = now.Add(time.Duration(days*float64(day))), now.Add(time.Duration(days*float64(day)))
		k.look()
		if tr := k.report.Tables[0].Trend; tr != nil {
			return tr.String()
		}
		return "none"
	}
	if first, same := at(0), at(0.4); first != "none" || same != "none" {
		t.Errorf("%s, and on the same day %s", first, same)
	}
	table.Commit(k.Now, deltatest.Add("more.parquet"), deltatest.Add("most.parquet"))
	log := int64(len(k.Read(table.CommitPath(table.Version))))
	if one := at(1); !strings.HasPrefix(one, "since 2026-11-27: live +2 files, +200 B · log +1 file, +") || k.report.Tables[0].Trend.Log != (proof.Amount{Files: 1, Bytes: log}) {
		t.Error(one)
	}
	if !strings.Contains(k.text(), "    since 2026-11-27: live +2 files, +200 B") {
		t.Error(k.text())
	}
	k.Delete("lake/wh/t/old.parquet")
	if one := at(2); one != "since 2026-11-28: can go -1 file, -100 B" {
		t.Error(one)
	}
	if one := at(3); one != "" || strings.Contains(k.text(), "since") {
		t.Errorf("%q\n%s", one, k.text())
	}
	k.rule.Vacuum = spec.VacuumLite // which shows less: nothing of its kind was before
	if one := at(4); one != "none" {
		t.Error(one)
	}
	k.rule.Vacuum = spec.VacuumFull
	table.ID = "another"
	table.Commit(k.Now, table.Alter())
	if one := at(5); one != "none" {
		t.Error(one)
	}
}
