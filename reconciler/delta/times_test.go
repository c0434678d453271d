package delta_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
)

func TestClocksThatAreApartAreRefused(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.agent = now.Add(6 * time.Minute)
	l.mustRefuse(table, "6m0s apart")
	l.agent = now.Add(4 * time.Minute)
	l.mustGo(table, "old.parquet")
}

func TestTimesOfCommitsRiseWithTheirVersions(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(20), deltatest.Add("c.parquet"))
	past := ago(90)
	table.Commit(ago(90), deltatest.RemoveAt("a.parquet", &past)) // by a writer whose clock was behind
	l.mustGo(table)
}

func TestCommitsWithTheirOwnTimeAreNotYoungerForBeingCopied(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Protocol = deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{"inCommitTimestamp"}}
	table.Properties["delta.enableInCommitTimestamps"] = "true"
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(60), deltatest.Remove("a.parquet"))
	for v := range int64(2) {
		l.Touch(table.CommitPath(v), ago(1))
	}
	l.mustGo(table, "a.parquet")
	l.Overwrite(table.CommitPath(1), func(s string) string { return strings.Replace(s, "inCommitTimestamp", "x", 1) })
	l.mustRefuse(table, "no in-commit timestamp")
}
