package delta_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// knows has the lake's metastore know these tables.
func (l *lake) knows(entries ...proof.Entry) {
	l.names = func(context.Context) ([]proof.Entry, error) { return entries, nil }
}

// entry is a table of Delta in the metastore.
func entry(name, location string) proof.Entry {
	return proof.Entry{Name: name, Location: location, Delta: true}
}

// ruled adds a rule that keeps data for a time.
func (l *lake) ruled(match spec.Pattern, data time.Duration) {
	rule := l.rule
	rule.Match, rule.Data = []spec.Pattern{match}, data
	l.rules = append(l.rules, rule)
}

// mustHold expects a finding, and nothing of the table to go.
func (l *lake) mustHold(t *deltatest.Table, kind proof.Kind, says string) {
	l.Helper()
	l.mustFind(t, kind, says)
	if one := l.of(t); one.Goes.Files > 0 {
		l.Errorf("%s goes:\n%s", one.Goes, l.text())
	}
}

func TestMetastoreNamesTheTables(t *testing.T) {
	l := newLake(t)
	l.ruled("gold.sales", 90*day)
	table := l.usual("whatever")
	l.mustGo(table, "old.parquet")
	l.knows(entry("gold.sales", "s3a://lake/wh/whatever"))
	one := l.mustGo(table) // its removal is of 60 days ago
	if one.Name != "gold.sales" || !strings.Contains(one.Policy, "90d") || l.report.Metastore.Tables != 1 {
		t.Errorf("%+v", one)
	}
}

func TestEdge18SlashAtTheEndOfTheLocationIsTheSameTable(t *testing.T) {
	for _, location := range []string{
		"s3a://lake/wh/a b", "s3a://lake/wh/a b/", "s3://lake//wh/./a b//", "S3N://lake/wh/a%20b", "s3a://lake/wh/a%20b/",
	} {
		l := newLake(t)
		l.ruled("silver.x", 90*day)
		table := l.usual("a b")
		l.knows(entry("silver.x", location))
		if one := l.mustGo(table); one.Name != "silver.x" {
			t.Errorf("%s: %+v", location, one)
		}
	}
}

// TestBothPlacesOfAnEntryAreOne: Spark writes where a table of Delta is twice, as path and as Hive's
// location, each in its own spelling.
func TestBothPlacesOfAnEntryAreOne(t *testing.T) {
	for _, other := range []string{"s3a://lake/wh/a b", "s3a://lake/wh/a%20b", "s3://lake/wh/a b/"} {
		l := newLake(t)
		table := l.usual("a b")
		l.knows(proof.Entry{Name: "silver.x", Location: "s3a://lake/wh/a b", Other: other, Delta: true})
		if one := l.mustGo(table, "old.parquet"); one.Name != "silver.x" {
			t.Errorf("%s: %+v", other, one)
		}
	}
}

func TestLocationMeansTheFolderThatIsSpelledSoBeforeOneThatItEncodes(t *testing.T) {
	l := newLake(t)
	plain, encoded := l.usual("a b"), l.usual("a%20b")
	l.knows(entry("silver.encoded", "s3a://lake/wh/a%20b"), entry("silver.plain", "s3a://lake/wh/a b"))
	if a, b := l.of(plain), l.of(encoded); a.Name != "silver.plain" || b.Name != "silver.encoded" {
		t.Error(l.text())
	}
}

func TestTableWhoseLocationIsElsewhereIsRefused(t *testing.T) {
	for name, entry := range map[string]proof.Entry{
		"its folder's name is another's": entry("bronze.events", "s3a://lake/wh/bronze.db/events2"),
		"a folder below it":              entry("bronze.x", "s3a://lake/wh/bronze.db/events/part"),
		"the folder above it":            entry("bronze.x", "s3a://lake/wh/bronze.db/"),
		"two places": {
			Name: "bronze.events", Location: "s3a://lake/wh/bronze.db/events", Other: "s3a://lake/wh/bronze.db/old", Delta: true,
		},
		"its other place": {Name: "bronze.x", Location: "s3a://lake/wh/x", Other: "s3a://lake/wh/bronze.db/events"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("bronze.db/events")
			l.knows(entry)
			l.mustHold(table, proof.FoundLocation, "the metastore says that "+entry.Name+" is at")
			if l.report.Status() != proof.StatusRefused {
				t.Error(l.text())
			}
		})
	}
}

func TestTableOfTheMetastoreThatIsNotThereIsFound(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.knows(entry("default.t", "s3a://lake/wh/t"), entry("bronze.gone", "s3a://lake/wh/gone"),
		proof.Entry{Name: "bronze.hive", Location: "s3a://other/hive"}) // no table of Delta
	l.mustGo(table, "old.parquet")
	if text := l.text(); !strings.Contains(text, "bronze.gone: refused") || strings.Contains(text, "bronze.hive") {
		t.Error(text)
	}
}

func TestTableOfTheMetastoreOutsideEveryPlaceStopsTheOthers(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.knows(entry("default.t", "s3a://lake/wh/t"), entry("bronze.far", "s3a://lake/wh2/far"))
	l.mustHold(table, proof.FoundClonesUnknown, "s3://lake/wh2/far")
	if text := l.text(); !strings.Contains(text, "outside: the metastore says that it is at s3a://lake/wh2/far, which is in no place of retention.discover") {
		t.Error(text)
	}
}

func TestTableUnderTwoNamesNeedsOneRule(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.knows(entry("gold.a", "s3a://lake/wh/t"), entry("bronze.b", "s3://lake/wh/t/"))
	l.mustGo(table, "old.parquet")
	l.ruled("gold.*", 90*day)
	l.mustHold(table, proof.FoundTwoNames, "bronze.b and gold.a")
	l.rules = nil
	l.ruled("gold.*", 90*day)
	l.ruled("bronze.*", 90*day)
	if one := l.of(table); one.Worst() != proof.EffectNote {
		t.Error(l.text())
	}
}

func TestTableThatTheMetastoreDoesNotKnowIsHeldWhereItsNameDecides(t *testing.T) {
	l := newLake(t)
	table := l.usual("gold.db/sales")
	l.knows()
	l.mustGo(table, "old.parquet")
	l.ruled("gold.*", 8*day)
	l.mustHold(table, proof.FoundUnregistered, "as gold.sales")
	l.rules = nil
	l.ruled("path:s3://lake/wh/gold.db/**", 8*day)
	l.ruled("gold.*", 90*day)
	l.mustGo(table, "old.parquet")
}

func TestMetastoreThatDoesNotAnswerLetsNothingGo(t *testing.T) {
	l := newLake(t)
	l.ruled("path:s3://lake/wh/raw/**", 8*day)
	l.ruled("gold.*", 90*day)
	placed, named := l.usual("raw/t"), l.usual("gold.db/sales")
	l.names = func(context.Context) ([]proof.Entry, error) { return nil, errors.New("connection refused") }
	l.mustHold(placed, proof.FoundNameless, "nobody knows whether it has the table")
	l.mustHold(named, proof.FoundNameless, "depends on its name")
	if one := l.of(named); one.Held.Files > 0 || one.Listed.Files > 0 || one.Worst() != proof.EffectRefuse {
		t.Errorf("it was judged by a rule that may not be its own:\n%s", l.text())
	}
	if one := l.of(placed); one.Held.Files != 1 {
		t.Error(l.text())
	}
	if !l.report.Blind() || !strings.Contains(l.text(), "could not be asked for the tables' names: connection refused") {
		t.Error(l.text())
	}
}
