package delta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// logged is a table with a version every ten days, the oldest of 100 days ago, and checkpoints
// after versions 2 and 5.
func (l *lake) logged() *deltatest.Table {
	t := l.table("t")
	for v := range 10 {
		t.Commit(ago(float64(100-10*v)), deltatest.Add(fmt.Sprintf("%d.parquet", v)))
		if v == 2 || v == 5 {
			t.Checkpoint(deltatest.Checkpoint{})
		}
	}
	return t
}

// mustExpire expects that many files of the log to be no longer needed.
func (l *lake) mustExpire(t *deltatest.Table, files int64) {
	l.Helper()
	if one := l.of(t); one.Expired.Files != files || files > 0 && one.Expired.Bytes == 0 {
		l.Errorf("%+v of the log are expired, want %d files\n%s", one.Expired, files, l.text())
	}
}

func TestFault09NewestCheckpointIsNeverExpired(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Commit(ago(90), deltatest.Add("b.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	l.mustExpire(table, 1) // version 0
}

func TestFault10LogExpiresOnlyBelowACheckpointThatCoversWhatStays(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	// Version 7 is 30 days old, and belongs to a day that is not over yet.
	l.mustExpire(table, 6) // versions 0 to 4 and the checkpoint of version 2
	l.rule.Log = 45 * day
	l.mustExpire(table, 6)
	l.rule.Log = 55 * day
	l.mustExpire(table, 2)
	l.rule.Log = 30 * day
	table.Properties["delta.logRetentionDuration"] = "interval 55 days"
	table.Commit(ago(1), table.Alter())
	l.mustExpire(table, 2)
	table.Properties = map[string]string{"delta.deletedFileRetentionDuration": "interval 55 days"}
	table.Commit(ago(1), table.Alter())
	l.mustExpire(table, 2)
}

func TestFault10EveryVersionThatStaysIsReadableWithoutWhatIsExpired(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	before := l.of(table)
	for _, p := range l.Paths() {
		if name, in := strings.CutPrefix(p, "lake/wh/t/_delta_log/"); in && name[:20] < "00000000000000000005" {
			l.Delete(p)
		}
	}
	after := l.of(table)
	if after.Files != before.Files || after.Worst() != proof.EffectNote || after.Expired.Files != 0 {
		t.Error(l.text())
	}
}

func TestFault11CheckpointWithoutAPartIsNoBoundary(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	l.Delete(table.LogPath("00000000000000000005.checkpoint.parquet"))
	l.mustExpire(table, 2)
	l.Overwrite(table.LogPath("00000000000000000002.checkpoint.parquet"), func(s string) string { return s[:len(s)/2] })
	l.mustExpire(table, 0)
}

func TestCheckpointThatIsNotWhatItsSumSaysIsNoBoundary(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	l.Put(table.LogPath("00000000000000000005.crc"), `{"numFiles":7,"tableSizeBytes":600}`, ago(50))
	l.mustExpire(table, 2)
}

func TestCheckpointWithoutItsCommitIsNoBoundary(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	table.Trim(6)
	l.mustExpire(table, 0)
}

func TestLogStaysWhereItsOwnerOrTheRuleSaysSo(t *testing.T) {
	l := newLake(t)
	table := l.logged()
	l.rule.LogCleanup = spec.HandlingOff
	l.mustExpire(table, 0)
	l.rule.LogCleanup = spec.HandlingReport
	l.rule.KeepVersions = []int64{3}
	l.mustExpire(table, 2)
	l.rule.KeepVersions = nil
	l.Put(table.LogPath("_last_checkpoint"), `{"version":2,"size":4}`, ago(50))
	l.mustExpire(table, 0)
	l.Put(table.LogPath("_last_checkpoint"), `{"version":5,"size":4}`, ago(50))
	l.mustExpire(table, 6)
	table.Properties["delta.enableExpiredLogCleanup"] = "false"
	table.Commit(ago(1), table.Alter())
	l.mustExpire(table, 0)
	table.Properties = map[string]string{}
	table.Protocol = deltatest.Protocol{Reader: 3, Writer: 7, WriterFeatures: []string{"checkpointProtection"}}
	table.Commit(ago(1), table.Alter(), table.Upgrade(table.Protocol))
	l.mustFind(table, proof.FoundLogKept, "checkpointProtection")
}
