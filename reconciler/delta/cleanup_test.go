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
	return l.checkpointed(map[int]deltatest.Checkpoint{2: {}, 5: {}})
}

// checkpointed is such a table with other checkpoints.
func (l *lake) checkpointed(after map[int]deltatest.Checkpoint) *deltatest.Table {
	t := l.table("t")
	for v := range 10 {
		t.Commit(ago(float64(100-10*v)), deltatest.Add(fmt.Sprintf("%d.parquet", v)))
		if c, due := after[v]; due {
			t.Checkpoint(c)
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

// TestEdge30LogOfWhichNobodyCanReadHowLongItStaysIsKept, whatever Spark would take such words for.
func TestEdge30LogOfWhichNobodyCanReadHowLongItStaysIsKept(t *testing.T) {
	for _, words := range []string{"interval 2 months", "12 months", "forever"} {
		l := newLake(t)
		table := l.logged()
		l.rule.Properties = spec.HandlingOff
		l.mustExpire(table, 6)
		table.Properties["delta.logRetentionDuration"] = words
		table.Commit(ago(1), table.Alter())
		l.mustExpire(table, 0)
		l.mustFind(table, proof.FoundLogKept, "no version of its log counts as expired: its property delta.logRetentionDuration")
	}
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

func TestLogAboveAHoleStays(t *testing.T) {
	k, table := cleaner(t, (*deltatest.Store).Versions)
	k.Delete(table.CommitPath(1))
	k.look()
	one := k.run()
	if f, ok := one.Find(proof.FoundLogKept); !ok || !strings.Contains(f.Says, "versions of its log are missing, so that nothing of it is counted as expired") || f.Effect != proof.EffectNote {
		t.Error(k.text())
	}
	if one.Removal != nil || one.Expired.Files != 0 || !k.Has(table.CommitPath(0)) || !k.Has(table.CommitPath(2)) {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
}

// TestLastCheckpointThatIsWrongDoesNoHarm: nothing but a cleanup of the log goes by it, and that waits.
func TestLastCheckpointThatIsWrongDoesNoHarm(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		expired int64
	}{
		"empty": {"", 0}, "no JSON": {"oops", 0}, "cut": {`{"version":5,"si`, 0}, "no version": {"{}", 0}, "text": {`{"version":"5"}`, 0}, "older": {`{"version":1}`, 0},
		"a version without a checkpoint": {`{"version":7}`, 5}, "the future": {`{"version":70}`, 5}, "right": {`{"version":5,"size":4}`, 5},
	} {
		l := newLake(t)
		table := l.table("t")
		table.Commit(ago(100), deltatest.Add("old.parquet"), deltatest.Add("live.parquet"))
		table.Commit(ago(90), deltatest.Remove("old.parquet"))
		for days := 80; days > 0; days -= 10 {
			table.Commit(ago(float64(days)))
			if table.Version == 5 {
				table.Checkpoint(deltatest.Checkpoint{})
			}
		}
		l.Put(table.LogPath("_last_checkpoint"), c.text, ago(50))
		one := l.mustGo(table, "old.parquet")
		if one.Worst() != proof.EffectNote || one.Live.Files != 1 || one.Expired.Files != c.expired {
			t.Errorf("%s: %+v\n%s", name, one.Expired, l.text())
		}
	}
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

// TestLogThatIsGuardedGoesAtOnceOrNotAtAll gives a table the feature that guards the log before a
// version: no checkpoint of that goes while an older version could stay.
func TestLogThatIsGuardedGoesAtOnceOrNotAtAll(t *testing.T) {
	for guarded, c := range map[string]struct {
		expire int64
		says   string
	}{
		"-1": {expire: 6}, "0": {expire: 6}, "2": {expire: 6},
		"5": {expire: 6}, // versions 0 to 4 and the checkpoint of version 2: all that is guarded
		"6": {},          // the checkpoint of version 5 is guarded itself, and there is no later one
		"7": {says: "guards its log before version 7: all of that goes at once"},
		"":  {says: "does not say which"}, "5.0": {says: "does not say which"},
	} {
		l := newLake(t)
		table := l.logged()
		table.Properties["Delta.requireCheckpointProtectionBeforeVersion"] = guarded
		table.Protocol = deltatest.Protocol{Reader: 1, Writer: 7, WriterFeatures: []string{"checkpointProtection"}}
		table.Commit(ago(1), table.Alter(), table.Upgrade(table.Protocol))
		l.mustExpire(table, c.expire)
		if c.says != "" {
			l.mustFind(table, proof.FoundLogKept, c.says)
		}
	}
}
