package delta_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

var _ delta.Store = (*deltatest.Store)(nil)

// now is when all tests take place.
var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// ago is a number of days before now.
func ago(days float64) time.Time {
	return now.Add(-time.Duration(days * float64(24*time.Hour)))
}

// lake is a store of tables and what is planned of them.
type lake struct {
	*testing.T
	*deltatest.Store
	rule   spec.RetentionRule
	rules  []spec.RetentionRule
	names  func(context.Context) ([]proof.Entry, error)
	open   func(context.Context, *spec.Store) (delta.Store, error)
	full   bool
	agent  time.Time // its clock
	report proof.Report
	goes   map[string][]string // keys that may go, by table
}

func newLake(t *testing.T) *lake {
	rule := spec.DefaultRetention()
	rule.MaxRatio = 1 // the tables are tiny
	return &lake{T: t, Store: deltatest.NewStore(now), rule: rule, agent: now}
}

// table begins one in the lake.
func (l *lake) table(name string) *deltatest.Table { return l.Store.Table("lake/wh/" + name) }

// plan plans everything.
func (l *lake) plan() {
	l.Helper()
	l.goes = map[string][]string{}
	o := l.options()
	o.Goes = func(t proof.Table, f proof.File, _ proof.Class) error {
		l.goes[t.Name] = append(l.goes[t.Name], f.Key)
		return nil
	}
	report, err := delta.Plan(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	l.report = report
	l.mustAdvise()
}

// held are findings by which all that a table's plan has stays.
var held = []proof.Kind{proof.FoundDivergence, proof.FoundCompaction, proof.FoundAnomaly, proof.FoundPinned, proof.FoundClonesUnknown, proof.FoundGuard, proof.FoundUnregistered, proof.FoundNameless,
	proof.FoundSpark, proof.FoundStream, proof.FoundUnseen}

// mustAdvise expects each finding for which a table is left alone, or its plan is held, to say what a person does next.
func (l *lake) mustAdvise() {
	l.Helper()
	for _, t := range l.report.Tables {
		for _, f := range t.Findings {
			due := f.Effect == proof.EffectRefuse || f.Effect == proof.EffectStop && slices.Contains(held, f.Kind) || f.Kind == proof.FoundHollow || f.Kind == proof.FoundLostCommit
			if _, do, said := strings.Cut(f.Says, "; "); due && (!said || do == "") {
				l.Errorf("%s: %s, and not what to do", f.Kind, f.Says)
			}
		}
	}
}

// of plans and gives one table's plan.
func (l *lake) of(t *deltatest.Table) proof.Table {
	l.Helper()
	l.plan()
	for _, one := range l.report.Tables {
		if one.Place == "s3://"+t.Folder {
			return one
		}
	}
	l.Fatalf("no plan of %s", t.Folder)
	return proof.Table{}
}

// mustGo expects exactly these files of a table to go.
func (l *lake) mustGo(t *deltatest.Table, keys ...string) proof.Table {
	l.Helper()
	one := l.of(t)
	have := slices.Sorted(slices.Values(l.goes[one.Name]))
	slices.Sort(keys)
	if diff := cmp.Diff(keys, have); diff != "" {
		l.Errorf("what goes: -want +have\n%s\n%s", diff, l.text())
	}
	return one
}

// mustFind expects a finding of a table and gives it.
func (l *lake) mustFind(t *deltatest.Table, kind proof.Kind, says string) proof.Finding {
	l.Helper()
	one := l.of(t)
	f, ok := one.Find(kind)
	if !ok || !strings.Contains(f.Says, says) {
		l.Errorf("no finding %s with %q in\n%s", kind, says, l.text())
	}
	return f
}

// mustRefuse expects a table to be refused, and nothing of it to go.
func (l *lake) mustRefuse(t *deltatest.Table, says string) {
	l.Helper()
	f := l.mustFind(t, proof.FoundRefused, says)
	if f.Effect != proof.EffectRefuse || l.of(t).Goes.Files+l.of(t).Held.Files > 0 {
		l.Errorf("not refused:\n%s", l.text())
	}
}

func (l *lake) text() string {
	var b strings.Builder
	l.report.Text(&b, false)
	return b.String()
}

// usual is a table with a live file, one that was removed long ago, and one that was lately.
func (l *lake) usual(name string) *deltatest.Table {
	t := l.table(name)
	t.Commit(ago(100), deltatest.Add("old.parquet"), deltatest.Add("late.parquet"))
	t.Commit(ago(60), deltatest.Remove("old.parquet"), deltatest.Add("live.parquet"))
	t.Commit(ago(40))
	t.Commit(ago(5), deltatest.Remove("late.parquet"))
	return t
}

// aged is a table from which two files were removed long ago, one version after the other.
func (l *lake) aged(name string) *deltatest.Table {
	t := l.table(name)
	t.Commit(ago(100), deltatest.Add("old.parquet"))
	t.Commit(ago(60), deltatest.Remove("old.parquet"), deltatest.Add("live.parquet"))
	t.Commit(ago(50), deltatest.Remove("live.parquet"), deltatest.Add("next.parquet"))
	return t
}

func TestRemovedFileGoesWhenItsRetentionIsOver(t *testing.T) {
	l := newLake(t)
	one := l.mustGo(l.usual("events"), "old.parquet")
	if one.Name != "default.events" || one.Live.Files != 1 || one.Window.Files != 1 || one.Readable == nil || one.Readable.Version != 2 {
		t.Errorf("%+v", one)
	}
	if l.report.Status() != proof.StatusReclaimable {
		t.Error(l.report.Status())
	}
}

// options are those of a plan of the whole lake.
func (l *lake) options() delta.Options {
	return delta.Options{
		Places:    []delta.Place{{Store: l.Store, Folder: "lake/wh", URL: "s3://lake/wh"}},
		Retention: spec.Retention{Defaults: l.rule, Rules: l.rules},
		Names:     l.names,
		Open:      l.open,
		Full:      l.full,
		Now:       func() time.Time { return l.agent },
	}
}
