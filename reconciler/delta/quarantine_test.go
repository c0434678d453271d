package delta_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/plan"
)

func TestWhatWasSetAsideIsNoPartOfTheTable(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	k.run()
	k.look()
	one := k.report.Tables[0]
	if one.Aside.Files != 5 || one.Listed.Files != 3 || one.Others.Files != 0 {
		t.Errorf("%+v", one)
	}
}

func TestWhatWasSetAsideGoesForGoodWhenItsTimeIsOver(t *testing.T) {
	k := newKeeper(t)
	k.ready()
	run := k.run().Removal.Run
	aside := func() (n int) {
		for _, p := range k.Paths() {
			if strings.Contains(p, "/_flumen_quarantine/"+run+"/") {
				n++
			}
		}
		return n
	}
	if aside() != 5 {
		t.Errorf("%d files", aside())
	}
	k.agent, k.Now = now.Add(6*day), now.Add(6*day)
	if k.run(); aside() != 5 {
		t.Errorf("%d files", aside())
	}
	k.agent, k.Now = now.Add(8*day), now.Add(8*day)
	one := k.run()
	if aside() != 0 || one.Removal.Purged.Files != 5 {
		t.Errorf("%d files, %+v", aside(), one.Removal)
	}
	if _, err := delta.Undo(t.Context(), delta.UndoOptions{Memory: delta.NewMemory(k.dir), Run: run}); err == nil {
		t.Error("undone after its time")
	}
}

// TestWhatComesBackFromAQuarantineStaysForAsLongAsItsStoreSaysItIsNew: the time of a copy is the store's word, as that of
// every file.
func TestWhatComesBackFromAQuarantineStaysForAsLongAsItsStoreSaysItIsNew(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*deltatest.Store)
		renewed bool
	}{
		"S3":       {func(*deltatest.Store) {}, true},
		"folder":   {func(s *deltatest.Store) { s.TimesStay = true }, false},
		"versions": {(*deltatest.Store).Versions, false},
	} {
		k := newKeeper(t)
		c.prepare(k.Store)
		k.ready()
		u := k.undo(k.run().Removal.Run)
		if says := "by the store they were written just now"; u.Renewed != c.renewed || u.Err() != nil || strings.Contains(undoneText(u), says) != c.renewed {
			t.Errorf("%s: %+v", name, u)
		}
		if _, err := delta.NewMemory(k.dir).Unlock("default.t"); err != nil {
			t.Fatal(err)
		}
		at := func(later time.Duration) (young, goes int64) {
			k.agent, k.Now = now.Add(later), now.Add(later)
			k.look()
			one := k.report.Tables[0]
			return one.Young.Files, one.Goes.Files + one.Waiting.Files
		}
		keep := 30*day + time.Hour // what counts for the table, and the hour of grace
		young, goes := at(keep)
		youngLater, later := at(keep + time.Minute)
		if !c.renewed && goes < 5 || c.renewed && (young < 5 || goes > 0 || later < 5 || youngLater >= young) {
			t.Errorf("%s: %d young and %d go, later %d and %d\n%s", name, young, goes, youngLater, later, k.text())
		}
	}
}

func undoneText(u proof.UndoneTable) string {
	var b strings.Builder
	proof.Undoing{Tables: []proof.UndoneTable{u}}.Text(&b, plan.Paint(false))
	return b.String()
}
