package delta_test

import (
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// daily is a table of which every tenth day, from 100 days ago on, a version takes the file of the one before away.
func (l *lake) daily(name string) *deltatest.Table {
	t := l.table(name)
	t.Commit(ago(100), deltatest.Add("100.parquet"))
	for _, v := range []string{"90", "80", "70", "60"} {
		days := map[string]float64{"90": 90, "80": 80, "70": 70, "60": 60}[v]
		before := map[string]string{"90": "100", "80": "90", "70": "80", "60": "70"}[v]
		t.Commit(ago(days), deltatest.Remove(before+".parquet"), deltatest.Add(v+".parquet"))
	}
	t.Commit(ago(40))
	return t
}

func TestVersionThatWasTheNewestAtATimeIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		times []time.Time
		goes  []string
	}{
		"none":                  {nil, []string{"100.parquet", "90.parquet", "80.parquet", "70.parquet"}},
		"between two versions":  {[]time.Time{ago(75)}, []string{"100.parquet", "90.parquet"}},
		"when one was made":     {[]time.Time{ago(70)}, []string{"100.parquet", "90.parquet", "80.parquet"}},
		"just before it was":    {[]time.Time{ago(70).Add(-time.Millisecond)}, []string{"100.parquet", "90.parquet"}},
		"the oldest counts":     {[]time.Time{ago(85), ago(65)}, []string{"100.parquet"}},
		"before there was one":  {[]time.Time{ago(120)}, []string{"100.parquet", "90.parquet", "80.parquet", "70.parquet"}},
		"and one when there is": {[]time.Time{ago(120), ago(65)}, []string{"100.parquet", "90.parquet", "80.parquet"}},
		"the future":            {[]time.Time{now.Add(day)}, []string{"100.parquet", "90.parquet", "80.parquet", "70.parquet"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			l.rule.KeepTimes = c.times
			l.mustGo(l.daily("t"), c.goes...)
		})
	}
}

func TestVersionOfATimeIsThatOfTheTimesInCommits(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Protocol = deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{"inCommitTimestamp"}}
	table.Properties["delta.enableInCommitTimestamps"] = "true"
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Commit(ago(90), deltatest.Remove("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(80), deltatest.Remove("b.parquet"), deltatest.Add("c.parquet"))
	table.Commit(ago(40))
	for v := range int64(4) { // the log was copied
		l.Touch(table.CommitPath(v), ago(1))
	}
	l.rule.KeepTimes = []time.Time{ago(85)}
	l.mustGo(table, "a.parquet")
	l.rule.KeepTimes = []time.Time{ago(120)}
	if f := l.mustFind(table, proof.FoundPinned, "the table had no version yet"); f.Effect != proof.EffectNote {
		t.Errorf("%+v", f)
	}
	l.mustGo(table)
}

func TestVersionOfATimeThatTheLogNoLongerHasStopsThePlan(t *testing.T) {
	l := newLake(t)
	table := l.daily("t")
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(3)
	l.rule.KeepTimes = []time.Time{ago(85)}
	l.mustFind(table, proof.FoundPinned, "keep_timestamps keeps the version of 2026-09-03 12:00, which is older than the log, which begins with 3")
	if one := l.mustGo(table); one.Held.Files > 0 || one.Window.Files != 4 {
		t.Errorf("what the checkpoint remembers is not kept: %+v", one)
	}
	l.rule.KeepTimes = []time.Time{ago(65)}
	l.mustGo(table, "80.parquet", "90.parquet", "100.parquet") // version 4 removed 70.parquet after that
}
