package delta_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// What went wrong in other tools, by the numbers that tests have in their names; what is not about
// planning is in other files.
//
//	 1 a checkpoint lost a live file (trino#31252)      11 a checkpoint without a part (edge 5)
//	 2 a truncated checkpoint (delta#7174)              12 longer than the table's retention (delta#140)
//	 3 vectors of a table without them (trino#30685)    13 partitions that begin with _ (edge 16)
//	 4 partitions with spaces (trino#24872; edge 15)    14 change data (delta#1365)
//	 5 keys that were made up (delta-rs#4646)           15 clones
//	 6 removed lately, written long ago (delta-rs#4290) 16 too short a retention
//	 7 not committed yet (delta-rs#3645)                17 removals spelled otherwise (delta-rs#4624)
//	 8 live vectors                                     18 corrupt logs (delta#5458)
//	 9 cleanup of the newest checkpoint (delta-rs#2174) 19 features of writers (delta#2557)
//	10 cleanup without a checkpoint (delta#606)         20 lite on trimmed logs (delta#4162)

func TestFault01CheckpointThatLostALiveFileStopsTheTable(t *testing.T) {
	l := newLake(t)
	v, file := vector("", 1)
	l.Sized("lake/wh/t/"+file, 10, ago(99))
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	// The order in which Spark writes them: a writer that goes by the path alone loses the file.
	table.Commit(ago(90), deltatest.Add("a.parquet", v), deltatest.Remove("a.parquet"), deltatest.Remove("b.parquet"), deltatest.Add("c.parquet"))
	table.Checkpoint(deltatest.Checkpoint{Lose: []string{"a.parquet"}})
	l.mustFind(table, proof.FoundDivergence, "lacks 1 file that the log says is live")
	l.mustGo(table)
	if one := l.of(table); one.Held.Files != 1 || l.report.Status() != proof.StatusRefused {
		t.Errorf("%+v", one)
	}
	// The history that is left shows it as long as it reaches back to the file.
	table.Trim(1)
	l.mustFind(table, proof.FoundDivergence, "lacks 1 file ")
	// And an older checkpoint does.
	l = newLake(t)
	table = l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Commit(ago(90), deltatest.Remove("b.parquet"), deltatest.Add("c.parquet"))
	table.Checkpoint(deltatest.Checkpoint{Lose: []string{"a.parquet"}})
	table.Trim(1)
	l.mustFind(table, proof.FoundDivergence, "lacks 1 file ")
}

// TestFault01LogOfAnUpdateWhoseCheckpointTrinoWritesStopsTheTable has what Spark writes for an UPDATE with deletion
// vectors and change data: the file with its vector first, then its removal without one. It is made after the
// log of the table deletion_vector_pages among the tests of Trino's Delta Lake connector, of which
// https://github.com/trinodb/trino/issues/31252 says that a checkpoint by Trino lacks the file.
func TestFault01LogOfAnUpdateWhoseCheckpointTrinoWritesStopsTheTable(t *testing.T) {
	l := newLake(t)
	v, file := vector("", 1)
	l.Sized("lake/wh/t/"+file, 43, ago(50))
	table := l.table("t")
	table.Properties = map[string]string{"delta.enableChangeDataFeed": "true", "delta.enableDeletionVectors": "true"}
	table.Protocol = deltatest.Protocol{Reader: 3, Writer: 7, ReaderFeatures: []string{"deletionVectors"}, WriterFeatures: []string{"deletionVectors", "changeDataFeed"}}
	table.Operation = "CREATE TABLE"
	table.Commit(ago(52))
	table.Operation = "WRITE"
	table.Commit(ago(51), deltatest.Add("part-00000-pages-c000.snappy.parquet"))
	table.Operation = "UPDATE"
	table.Commit(ago(50),
		deltatest.Add("part-00000-pages-c000.snappy.parquet", v), deltatest.Remove("part-00000-pages-c000.snappy.parquet"),
		deltatest.Add("part-00000-row.c000.snappy.parquet"), deltatest.Change("_change_data/cdc-00000-row.c000.snappy.parquet"))
	// Details that no other test has: statistics that are not tight any more, and what Spark adds to a removal.
	l.Overwrite(table.CommitPath(2), func(s string) string {
		stats := `,"stats":"{\"numRecords\":20001,\"minValues\":{\"id\":1},\"tightBounds\":false}"`
		s = strings.Replace(s, `"size":100}}`, `"size":100`+stats+`}}`, 1)
		return strings.Replace(s, `{"remove":{`, `{"remove":{"extendedFileMetadata":true,"partitionValues":{},"size":100,`, 1)
	})
	l.mustGo(table, "_change_data/cdc-00000-row.c000.snappy.parquet")
	if one := l.of(table); one.Files != 2 {
		t.Errorf("%d live files", one.Files)
	}
	table.Checkpoint(deltatest.Checkpoint{Lose: []string{"part-00000-pages-c000.snappy.parquet"}})
	for _, trimmed := range []int64{0, 2} { // the commit of the UPDATE alone shows it too
		table.Trim(trimmed)
		l.mustFind(table, proof.FoundDivergence, "lacks 1 file that the log says is live")
		l.mustGo(table)
	}
}

func TestFault01CheckpointThatStillHasARemovedFileStopsTheTable(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{Keep: []string{"old.parquet"}})
	l.mustFind(table, proof.FoundDivergence, "has files that the log says were removed: 1, such as old.parquet")
	l.mustGo(table)
}

func TestFault02TruncatedCheckpointIsFoundByTheSumOfItsVersion(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{Lose: []string{"live.parquet"}})
	table.Sum()
	table.Trim(2)
	l.mustRefuse(table, "it has 0 live files, and its .crc says 1")
}

func TestFault02SumWithOtherBytesOrProtocolIsFound(t *testing.T) {
	for name, change := range map[string][2]string{"bytes": {`"tableSizeBytes":100`, `"tableSizeBytes":101`}, "protocol": {`"minWriterVersion":2`, `"minWriterVersion":3`}} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			table.Sum()
			l.mustGo(table, "old.parquet")
			path := table.LogPath("00000000000000000003.crc")
			l.Put(path, strings.Replace(l.Read(path), change[0], change[1], 1), ago(5))
			l.mustRefuse(table, "may be corrupt")
		})
	}
}

func TestFault03VectorsStayThoughTheTableNoLongerMakesAny(t *testing.T) {
	l := newLake(t)
	v, file := vector("", 1)
	l.Sized("lake/wh/t/"+file, 10, ago(100))
	table := l.table("t")
	table.Properties["delta.enableDeletionVectors"] = "true"
	table.Commit(ago(100), deltatest.Add("a.parquet", v), deltatest.Add("b.parquet"))
	table.Properties["delta.enableDeletionVectors"] = "false"
	table.Commit(ago(90), table.Alter(), deltatest.Remove("b.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(1)
	l.mustGo(table, "b.parquet")
}

func TestFault06FileThatWasRemovedLatelyStaysHoweverOldItIs(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(365), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(1), deltatest.Remove("a.parquet"))
	l.mustGo(table)
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(1)
	l.mustGo(table)
}

func TestFault06RemovalWithoutATimeCountsAsLateAsItCanBe(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(20), deltatest.RemoveAt("a.parquet", nil))
	l.mustGo(table)
	table.Commit(ago(10), deltatest.Add("c.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(3)
	l.mustGo(table)
}

func TestFault06RemovalThatSaysItIsOlderThanItsCommitIsNot(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	past := ago(300)
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(5), deltatest.RemoveAt("a.parquet", &past))
	table.Checkpoint(deltatest.Checkpoint{})
	l.mustGo(table)
}

func TestFault07NewFileThatIsNotCommittedYetStays(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Sized("lake/wh/t/young.parquet", 1, ago(6))
	l.Sized("lake/wh/t/older.parquet", 1, ago(40))
	if one := l.mustGo(table, "old.parquet", "older.parquet"); one.Young.Files != 1 {
		t.Error(l.text())
	}
	l.rule.KeepOrphans = true
	l.mustGo(table, "old.parquet")
}

func TestFault08LiveVectorStaysHoweverOldItIs(t *testing.T) {
	l := newLake(t)
	v, file := vector("", 1)
	l.Sized("lake/wh/t/"+file, 10, ago(365))
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet", v))
	table.Commit(ago(90), deltatest.Add("b.parquet"))
	l.mustGo(table)
}

func TestFault12RetentionLongerThanTheTablesIsNotProvenByItsCheckpoint(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(8), deltatest.Remove("a.parquet"))
	table.Commit(ago(0.1), deltatest.Add("c.parquet"))
	table.Checkpoint(deltatest.Checkpoint{Forget: 7 * day}) // as Spark does
	table.Trim(2)
	if one := l.mustGo(table); one.Unproven.Files != 1 {
		t.Errorf("the file is not unproven:\n%s", l.text())
	}
}

func TestFault12CheckpointIsNoProofOfWhatItForgot(t *testing.T) {
	for name, removed := range map[string]time.Time{"long ago": ago(60), "lately": ago(6), "within the slack": now.Add(-7*day - 30*time.Minute)} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			l.rule.Data = 7 * day
			table := l.table("t")
			table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
			table.Commit(removed, deltatest.Remove("a.parquet"))
			table.Commit(now.Add(-time.Minute), deltatest.Add("c.parquet"))
			table.Checkpoint(deltatest.Checkpoint{Forget: time.Hour}) // what its retention was then
			table.Trim(2)
			if one := l.mustGo(table); one.Unproven.Files != 1 {
				t.Error(l.text())
			}
		})
	}
}

func TestFault12OldRemovalOfAFileThatCameBackIsNoProof(t *testing.T) {
	l := newLake(t)
	v, _ := vector("", 1)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(60), deltatest.Remove("a.parquet"))
	table.Commit(ago(50), deltatest.Add("a.parquet", v))
	table.Commit(ago(8), deltatest.RemoveAt("a.parquet", nil, v)) // which Spark forgets at once
	table.Checkpoint(deltatest.Checkpoint{Forget: 90 * day})
	table.Commit(ago(7))
	l.mustGo(table)
	table.Trim(4)
	l.mustGo(table)
}

func TestFault14ChangeDataStaysAsLongAsItsVersion(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Commit(ago(60), deltatest.Change("_change_data/old.parquet"))
	table.Commit(ago(10), deltatest.Change("_change_data/p=1/new.parquet"))
	l.Touch("lake/wh/t/_change_data/p=1/new.parquet", ago(99))
	l.mustGo(table, "_change_data/old.parquet")
	l.rule.ChangeData = false
	l.mustGo(table)
}

func TestFault14ChangeDataWithoutHistoryIsUnproven(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Commit(ago(20), deltatest.Change("_change_data/a.parquet"))
	l.Touch("lake/wh/t/_change_data/a.parquet", ago(99))
	table.Commit(ago(10), deltatest.Add("b.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(2)
	l.mustGo(table)
}

func TestFault15FilesThatACloneUsesStay(t *testing.T) {
	for _, root := range []string{"s3a://lake/wh/source/", "s3://lake/wh/source/", "file:/mnt/lake/source/"} {
		l := newLake(t)
		source := l.table("source")
		source.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
		source.Commit(ago(60), deltatest.Remove("a.parquet"), deltatest.Remove("b.parquet"), deltatest.Add("c.parquet"))
		clone := l.table("another")
		clone.Commit(ago(70), deltatest.Add(root+"a.parquet"))
		l.mustGo(source, "b.parquet")
		l.mustFind(source, proof.FoundClone, "1 file kept")
	}
}

func TestFault15TableThatCannotBeReadMayBeAClone(t *testing.T) {
	l := newLake(t)
	source, other := l.usual("t"), l.table("other")
	other.Commit(ago(70), other.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7, WriterFeatures: []string{"future"}}))
	l.mustFind(source, proof.FoundClonesUnknown, "s3://lake/wh/other could not be read")
	l.mustGo(source)
}

func TestFault16FewerThanSevenDaysAreSeven(t *testing.T) {
	l := newLake(t)
	l.rule.Data = time.Hour
	table := l.table("t")
	table.Properties["delta.deletedFileRetentionDuration"] = "interval 0 hours"
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(6.9), deltatest.Remove("a.parquet"))
	l.mustGo(table)
}

func TestFault16TableWhoseFilesAreNotThereIsCritical(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Delete("lake/wh/t/live.parquet")
	f := l.mustFind(table, proof.FoundHollow, "1 file of its newest version is not there")
	l.mustGo(table)
	if f.Effect != proof.EffectCritical || l.report.Status() != proof.StatusCritical {
		t.Error(l.text())
	}
}

func TestFault16VectorThatIsNotThereIsCritical(t *testing.T) {
	l := newLake(t)
	v, _ := vector("", 1)
	table := l.usual("t")
	table.Commit(ago(50), deltatest.Add("v.parquet", v))
	l.mustFind(table, proof.FoundHollow, "1 file of")
}

func TestFault16FileThatIsCommittedWhileTheDataIsListedIsNotMissing(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	done := false
	l.Fail = func(call, path string) error {
		if call == "list" && path == "lake/wh/t/_delta_log/" && l.Called("walk") > 2 && !done { // the data was listed
			done = true
			table.Commit(ago(0), deltatest.Add("new.parquet"), deltatest.Add("old.parquet"))
		}
		return nil
	}
	if one := l.mustGo(table); one.Worst() != proof.EffectNote || one.Version != 4 {
		t.Error(l.text())
	}
}

func TestFault16PlanThatTakesTooMuchIsHeld(t *testing.T) {
	for name, change := range map[string]func(*spec.RetentionRule){
		"of the table": func(r *spec.RetentionRule) { r.MaxRatio = 0.3 },
		"files would":  func(r *spec.RetentionRule) { r.MaxFiles = 1 },
		"bytes would":  func(r *spec.RetentionRule) { r.MaxBytes = 150 },
	} {
		l := newLake(t)
		table := l.aged("t")
		l.mustGo(table, "live.parquet", "old.parquet")
		change(&l.rule)
		l.mustFind(table, proof.FoundGuard, name)
		l.mustGo(table)
	}
}

func TestFault16TableThatIsEmptyNowIsHeld(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	table.Commit(ago(60), deltatest.Remove("a.parquet"))
	l.mustFind(table, proof.FoundGuard, "no live file")
	l.mustGo(table)
}

func TestFault17RemovalThatIsSpelledInAnotherWayKeepsTheFile(t *testing.T) {
	for file, spelled := range map[string]string{"p=a%20b/x.parquet": "p=a b/x.parquet", "p=a b/y.parquet": "p=a%20b/y.parquet", "p=%c3%a9/z.parquet": "p=%C3%A9/z.parquet"} {
		t.Run(file, func(t *testing.T) {
			l := newLake(t)
			table := l.table("t")
			table.Commit(ago(100), deltatest.Add(file), deltatest.Add("b.parquet"))
			table.Commit(ago(60), deltatest.RemoveSpelled(file, spelled))
			l.mustFind(table, proof.FoundEncodingMismatch, file)
			l.mustGo(table)
		})
	}
}

func TestFault17RemovalAfterTheCheckpointThatIsSpelledInAnotherWayKeepsTheFile(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("p=a%20b/x.parquet"), deltatest.Add("b.parquet"))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Commit(ago(60), deltatest.RemoveSpelled("p=a%20b/x.parquet", "p=a b/x.parquet"))
	table.Trim(1)
	l.mustFind(table, proof.FoundEncodingMismatch, "p=a%20b/x.parquet")
	l.mustGo(table)
}

func TestVersionsToBeKeptKeepTheirFiles(t *testing.T) {
	l := newLake(t)
	table := l.aged("t")
	l.mustGo(table, "live.parquet", "old.parquet")
	l.rule.KeepVersions = []int64{1}
	l.mustGo(table, "old.parquet")
	l.rule.KeepVersions = []int64{0}
	l.mustGo(table)
	table.Commit(ago(40))
	table.Checkpoint(deltatest.Checkpoint{})
	table.Trim(2)
	l.mustFind(table, proof.FoundPinned, "keep_versions keeps version 0, which is older than the log")
	l.mustGo(table)
}

func TestStoreThatFailsAnywhereLeavesNothingToGo(t *testing.T) {
	broken := errors.New("connection reset")
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{})
	table.Sum()
	n := 0
	l.Fail = func(string, string) error { n++; return nil }
	l.mustGo(table, "old.parquet")
	for at := 1; at <= n; at++ {
		calls := 0
		about := ""
		l.Fail = func(call, _ string) error {
			if calls++; calls == at {
				about = call
				return broken
			}
			return nil
		}
		l.plan()
		if asksForRoom := about == "versioned"; len(l.goes) > 0 && !asksForRoom { // which is no part of the proof
			t.Errorf("call %d failed, and this goes: %v\n%s", at, l.goes, l.text())
		}
		if !strings.Contains(l.text(), "connection reset") {
			t.Errorf("call %d failed, and nothing says so:\n%s", at, l.text())
		}
	}
}
