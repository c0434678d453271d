package delta_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// The edges that a table can confront the agent with, by the numbers that tests have in their
// names.
//
//	 1 version 0                      17 the root under another scheme, host or mount
//	 2 checkpoints alone              18 a slash at the end of the location
//	 3 checkpoint newer than commits  19 an empty key for the root
//	 4 empty checkpoint               20 a whole bucket
//	 5 part of a checkpoint missing   21 a name that begins another's
//	 6 parts of two checkpoints       22 random prefixes
//	 7 checkpoints of every kind      23 keys that a listing encodes (reconciler/s3)
//	 8 paths of sidecars              24 commits however they are written
//	 9 removed and added again        25 a commit of nothing
//	10 one vector after another       26 removal of what nobody added
//	11 vectors that share a file      27 removal in the future
//	12 inline vectors                 28 replaced meanwhile
//	13 vectors with a prefix          29 partitioned anew
//	14 vectors by their full path     30 properties of the newest version
//	15 special characters             31 two agents at once
//	16 partitions that look hidden

func TestEdge01TableAtVersionZeroHasNothingToRemove(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	l.mustGo(table)
}

func TestEdge02TableOfCheckpointsAloneIsRead(t *testing.T) {
	for name, trimmed := range map[string]int64{"with its commit": 3, "alone": 4} {
		l := newLake(t)
		table := l.usual("t")
		table.Checkpoint(deltatest.Checkpoint{})
		table.Trim(trimmed)
		l.Sized("lake/wh/t/stray.parquet", 1, ago(200))
		one := l.mustGo(table)
		if one.Unproven.Files != 2 || one.Live.Files != 1 || one.Version != 3 || one.Worst() != proof.EffectNote {
			t.Errorf("%s: what left the table is not unproven:\n%s", name, l.text())
		}
	}
}

func TestEdge03CheckpointNewerThanTheCommitsIsRefused(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{})
	l.Delete(table.CommitPath(3))
	l.mustRefuse(table, "newer than the newest commit")
}

func TestEdge04EmptyCheckpointIsNone(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Put(table.LogPath("00000000000000000003.checkpoint.parquet"), "", ago(5))
	l.mustGo(table, "old.parquet")
	table.Trim(2)
	l.mustRefuse(table, "begins with version 2 and has no checkpoint")
}

func TestEdge05CheckpointThatLacksAPartIsNone(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{Parts: 3})
	table.Commit(ago(4), deltatest.Add("more.parquet"))
	l.mustGo(table, "old.parquet")
	l.Delete(table.LogPath("00000000000000000003.checkpoint.0000000002.0000000003.parquet"))
	l.mustGo(table, "old.parquet")
	table.Trim(2)
	l.mustRefuse(table, "no checkpoint that can be read")
}

func TestEdge06PartsOfTwoCheckpointsAreNotMixed(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{Parts: 2})
	table.Checkpoint(deltatest.Checkpoint{Parts: 3})
	table.Commit(ago(4), deltatest.Add("more.parquet"))
	l.Delete(table.LogPath("00000000000000000003.checkpoint.0000000002.0000000002.parquet"),
		table.LogPath("00000000000000000003.checkpoint.0000000002.0000000003.parquet"))
	table.Trim(2)
	l.mustRefuse(table, "no checkpoint that can be read")
}

func TestEdge07CheckpointsOfTheSecondKindAreRead(t *testing.T) {
	for name, c := range map[string]deltatest.Checkpoint{
		"json": {V2: "json"}, "json with sidecars": {V2: "json", Sidecars: 2},
		"parquet": {V2: "parquet"}, "parquet with sidecars": {V2: "parquet", Sidecars: 3},
		"called as the classic kind": {V2: "parquet", Sidecars: 2, Classic: true},
		"classic":                    {}, "in parts": {Parts: 2},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			table.Checkpoint(c)
			table.Sum()
			table.Trim(2)
			one := l.mustGo(table, "old.parquet")
			if one.Live.Files != 1 || one.Window.Files != 1 {
				t.Error(l.text())
			}
		})
	}
}

// TestEdge07CheckpointThatMayNameMoreIsCorrupt: without the action that makes it one of the second kind, its end
// may be missing, where its sidecars are named.
func TestEdge07CheckpointThatMayNameMoreIsCorrupt(t *testing.T) {
	for _, sidecars := range []int{0, 2} {
		l := newLake(t)
		table := l.usual("t")
		table.Checkpoint(deltatest.Checkpoint{V2: "json", Sidecars: sidecars})
		for _, p := range l.Paths() {
			if strings.Contains(p, ".checkpoint.") {
				l.Overwrite(p, func(s string) string {
					lines := strings.SplitAfter(s, "\n")
					return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
						return strings.HasPrefix(line, `{"checkpointMetadata"`) || strings.HasPrefix(line, `{"sidecar"`)
					}), "")
				})
			}
		}
		l.mustFind(table, proof.FoundCheckpointCorrupt, "0 actions checkpointMetadata")
		l.mustGo(table, "old.parquet")
		table.Trim(2)
		l.mustRefuse(table, "no checkpoint that can be read")
	}
}

func TestEdge07CheckpointWithoutItsSidecarIsCorrupt(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{V2: "json", Sidecars: 2})
	for _, p := range l.Paths() {
		if strings.Contains(p, "_sidecars/") {
			l.Delete(p)
			break
		}
	}
	l.mustFind(table, proof.FoundCheckpointCorrupt, "cannot be read")
	l.mustGo(table, "old.parquet")
	table.Trim(2)
	l.mustRefuse(table, "no checkpoint that can be read")
}

func TestEdge08SidecarsAreFoundByTheirNames(t *testing.T) {
	for _, folder := range []string{"_delta_log/_sidecars/", "s3a://lake/wh/t/_delta_log/_sidecars/", "file:///elsewhere/"} {
		l := newLake(t)
		table := l.usual("t")
		table.Checkpoint(deltatest.Checkpoint{V2: "parquet", Sidecars: 2, SidecarPath: folder})
		table.Trim(2)
		l.mustGo(table, "old.parquet")
	}
}

func TestEdge08SidecarOfAnotherSizeIsNotTheOneOfTheCheckpoint(t *testing.T) {
	for _, kind := range []string{"json", "parquet"} {
		l := newLake(t)
		table := l.usual("t")
		table.Checkpoint(deltatest.Checkpoint{V2: kind, Sidecars: 2})
		var sidecars []string
		for _, p := range l.Paths() {
			if strings.Contains(p, "_sidecars/") {
				sidecars = append(sidecars, p)
			}
		}
		// Each is a sound file of parquet, and the first has other files than it was written with.
		other := l.Read(sidecars[1])
		l.Overwrite(sidecars[0], func(string) string { return other })
		l.mustFind(table, proof.FoundCheckpointCorrupt, "bytes, and the checkpoint says")
		l.mustGo(table, "old.parquet")
		table.Trim(2)
		l.mustRefuse(table, "no checkpoint that can be read")
	}
}

func TestEdge09FileThatWasAddedAgainStays(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(4), deltatest.Add("old.parquet"))
	l.mustGo(table)
	table.Checkpoint(deltatest.Checkpoint{})
	l.mustGo(table)
	table.Commit(ago(3), deltatest.Remove("old.parquet"))
	l.mustGo(table)
}

// vector is a deletion vector in a file of its own; each number another one.
func vector(prefix string, n int) (v *deltatest.Vector, file string) {
	offset := int32(1)
	// The UUID 00000000-0000-0000-0000-0000000000NN in Z85.
	last := "000" + string("0123456789abcdefghijklmnopqrstuvwxyz"[n/85]) + string("0123456789abcdefghijklmnopqrstuvwxyz"[n%85])
	file = "deletion_vector_00000000-0000-0000-0000-0000000000" + string("0123456789abcdef"[n/16]) + string("0123456789abcdef"[n%16]) + ".bin"
	if prefix != "" {
		file = prefix + "/" + file
	}
	return &deltatest.Vector{Type: "u", Path: prefix + "000000000000000" + last, Offset: &offset}, file
}

func TestEdge10FileWithAnotherVectorIsTheSameFile(t *testing.T) {
	l := newLake(t)
	one, first := vector("", 1)
	two, second := vector("", 2)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	for _, f := range []string{first, second} {
		l.Sized("lake/wh/t/"+f, 10, ago(99))
	}
	table.Commit(ago(90), deltatest.Add("a.parquet", one), deltatest.Remove("a.parquet"))
	table.Commit(ago(80), deltatest.Remove("a.parquet", one), deltatest.Add("a.parquet", two))
	l.mustGo(table, first)
	table.Checkpoint(deltatest.Checkpoint{})
	l.mustGo(table, first)
	table.Commit(ago(70), deltatest.Remove("a.parquet", two), deltatest.Add("a.parquet"))
	l.mustGo(table, first, second)
}

func TestEdge11VectorThatFilesShareStaysForTheLast(t *testing.T) {
	l := newLake(t)
	shared, file := vector("", 3)
	other := *shared
	offset := int32(77)
	other.Offset = &offset
	l.Sized("lake/wh/t/"+file, 10, ago(99))
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet", shared), deltatest.Add("b.parquet", &other))
	table.Commit(ago(90), deltatest.Remove("a.parquet", shared))
	l.mustGo(table, "a.parquet")
	table.Commit(ago(80), deltatest.Remove("b.parquet", &other), deltatest.Add("c.parquet"))
	l.mustGo(table, "a.parquet", "b.parquet", file)
}

func TestEdge12InlineVectorHasNoFile(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	inline := &deltatest.Vector{Type: "i", Path: "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L"}
	table.Commit(ago(100), deltatest.Add("a.parquet", inline))
	table.Commit(ago(90), deltatest.Remove("a.parquet", inline), deltatest.Add("b.parquet"))
	l.mustGo(table, "a.parquet")
}

func TestEdge13VectorWithAPrefixIsInItsFolder(t *testing.T) {
	l := newLake(t)
	live, liveFile := vector("ab", 4)
	dead, deadFile := vector("cd", 5)
	for _, f := range []string{liveFile, deadFile} {
		l.Sized("lake/wh/t/"+f, 10, ago(100))
	}
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet", live), deltatest.Add("b.parquet", dead))
	table.Commit(ago(90), deltatest.Remove("b.parquet", dead))
	l.mustGo(table, "b.parquet", deadFile)
}

func TestEdge13VectorThatIsCalledInAnotherWayStays(t *testing.T) {
	l := newLake(t)
	live, _ := vector("", 4)
	l.Sized("lake/wh/t/test%dv%prefix-deletion_vector_00000000-0000-0000-0000-000000000004.bin", 10, ago(100))
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet", live))
	table.Commit(ago(90), deltatest.Add("b.parquet"))
	if one := l.mustGo(table); one.Worst() == proof.EffectCritical {
		t.Error(l.text())
	}
}

func TestEdge14VectorByItsFullPathStays(t *testing.T) {
	for _, path := range []string{"s3a://lake/wh/t/v/deletion_vector_x.bin", "s3://lake/wh/t/v/deletion_vector_x.bin", "/wh/t/v/deletion_vector_x.bin", "s3://other/v/deletion_vector_x.bin"} {
		l := newLake(t)
		l.Sized("lake/wh/t/v/deletion_vector_x.bin", 10, ago(100))
		table := l.table("t")
		table.Commit(ago(100), deltatest.Add("a.parquet", &deltatest.Vector{Type: "p", Path: path}))
		table.Commit(ago(90), deltatest.Add("b.parquet"))
		if one := l.mustGo(table); one.Worst() == proof.EffectCritical {
			t.Errorf("%s: %s", path, l.text())
		}
	}
}

func TestEdge15SpecialCharactersMeanTheFileThatIsThere(t *testing.T) {
	for path, file := range map[string]string{
		"a%20b": "a b", "a%2520b": "a%20b", "x=A%25252FA": "x=A%252FA", "p@%2523h": "p@%23h", "_2=bar+%2525252521": "_2=bar+%25252521",
		"%C3%A9": "é", "e%CC%81": "e\u0301", "p=/x": "p=/x", "p=__HIVE_DEFAULT_PARTITION__/x": "p=__HIVE_DEFAULT_PARTITION__/x",
		"a+b": "a+b", "t=10%3A30": "t=10:30", "q=%3F%26%3C%01": "q=?&<\x01", "50%": "50%",
	} {
		t.Run(path, func(t *testing.T) {
			l := newLake(t)
			table := l.table("t")
			table.Columns = []string{"p", "_2"}
			l.Sized("lake/wh/t/"+file+".parquet", 100, ago(100))
			l.Sized("lake/wh/t/"+file+"-live.parquet", 100, ago(100))
			table.Commit(ago(100), deltatest.Add(path+".parquet"), deltatest.Add(path+"-live.parquet"))
			table.Commit(ago(60), deltatest.Remove(path+".parquet"))
			one := l.mustGo(table, file+".parquet")
			if one.Live.Files != 1 || one.Worst() != proof.EffectNote {
				t.Error(l.text())
			}
			table.Checkpoint(deltatest.Checkpoint{})
			table.Trim(1)
			l.mustGo(table, file+".parquet")
		})
	}
}

func TestEdge15FileThatIsSpelledAsAnotherStaysForIt(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	// What one writer encoded once and another twice are two files here, and each may be what
	// the other's path means.
	table.Commit(ago(100), deltatest.Add("a%2520b.parquet"), deltatest.Add("a%20b.parquet"))
	table.Commit(ago(60), deltatest.Remove("a%20b.parquet"))
	l.mustGo(table)
}

func TestEdge15EmptyPartsOfAPathMayBeOnesOfAKey(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	for _, key := range []string{"a//live.parquet", "/b/live.parquet", "./c/live.parquet"} {
		l.Sized("lake/wh/t/"+key, 100, ago(100))
	}
	table.Commit(ago(100), deltatest.Add("a//live.parquet"), deltatest.Add("s3://lake/wh/t//b/live.parquet"), deltatest.Add("./c/live.parquet"))
	table.Commit(ago(60), deltatest.Add("b.parquet"))
	if one := l.mustGo(table); one.Worst() != proof.EffectNote {
		t.Error(l.text())
	}
}

func TestEdge16FoldersOfPartitionsAreNotHidden(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Columns = []string{"_p", "metadata", "_delta_log"}
	var gone []string
	for _, folder := range []string{"_p=1", "metadata=1", "_delta_log=1", "_p=1/_p=2"} {
		gone = append(gone, folder+"/a.parquet")
		table.Commit(ago(100), deltatest.Add(folder+"/a.parquet"), deltatest.Add(folder+"/live.parquet"))
	}
	for _, one := range gone {
		table.Commit(ago(60), deltatest.Remove(one))
	}
	for _, hidden := range []string{"_q=1/a.parquet", "_p/a.parquet", ".p=1/a.parquet", "_delta_index/a.parquet", "x/_tmp/a.parquet", "_p=1/.a.parquet"} {
		l.Sized("lake/wh/t/"+hidden, 1, ago(100))
	}
	l.mustGo(table, gone...)
}

func TestEdge17RootByAnotherNameIsTheSame(t *testing.T) {
	for _, root := range []string{"s3a://lake/wh/t/", "s3n://lake/wh/t/", "S3://lake/wh//t/./", "/wh/t/", "hdfs://host/mnt/", "file:/data/t/"} {
		l := newLake(t)
		table := l.table("t")
		l.Sized("lake/wh/t/live.parquet", 100, ago(100))
		table.Commit(ago(100), deltatest.Add(root+"live.parquet"), deltatest.Add("b.parquet"))
		table.Commit(ago(60), deltatest.Remove("b.parquet"))
		if one := l.mustGo(table, "b.parquet"); one.Worst() == proof.EffectCritical {
			t.Errorf("%s: %s", root, l.text())
		}
	}
}

func TestEdge19EmptyKeysThatStandForFoldersStay(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	for _, key := range []string{"", "p=1/", "_delta_log/", "_delta_log/_staged_commits/"} {
		l.Sized("lake/wh/t/"+key, 0, ago(200))
	}
	l.mustGo(table, "old.parquet")
}

func TestEdge20TableThatIsAWholeBucketIsRefused(t *testing.T) {
	l := newLake(t)
	table := l.Store.Table("lake/wh")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	l.mustRefuse(table, "is the place that is searched")
}

func TestEdge21TableIsNotTakenForOneWhoseNameItBegins(t *testing.T) {
	l := newLake(t)
	one, other := l.usual("t"), l.table("t2")
	other.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("old.parquet"))
	l.mustGo(one, "old.parquet")
	l.mustGo(other)
}

func TestEdge22RandomPrefixesAreFolders(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("aB/a.parquet"), deltatest.Add("cD/b.parquet"))
	table.Commit(ago(60), deltatest.Remove("cD/b.parquet"))
	l.Sized("lake/wh/t/eF/stray.parquet", 1, ago(80))
	l.mustGo(table, "cD/b.parquet", "eF/stray.parquet")
}

func TestEdge24CommitsAreReadHoweverTheyAreWritten(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"CRLF":            func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"byte order mark": func(s string) string { return "\xef\xbb\xbf" + s },
		"blank lines":     func(s string) string { return "\n" + s + "\n  \n" },
		"no last newline": strings.TrimSpace,
		"unknown fields":  func(s string) string { return strings.ReplaceAll(s, `"path"`, `"new":{"a":[1]},"path"`) },
		"unknown actions": func(s string) string { return s + `{"future":{"path":"live.parquet"}}` + "\n" },
		"long lines":      func(s string) string { return s + `{"txn":{"appId":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n" },
		"spaces":          func(s string) string { return strings.ReplaceAll(s, `{"remove":`, `{ "remove" : `) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			for v := range table.Version + 1 {
				l.Put(table.CommitPath(v), change(l.Read(table.CommitPath(v))), table.Past[v].At)
			}
			l.mustGo(table, "old.parquet")
		})
	}
}

func TestEdge24ActionsAreNotTakenForOthersThatAreSpelledAlike(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(90), deltatest.Raw(`{"Remove":{"path":"live.parquet","deletionTimestamp":1}}`))
	l.mustGo(table, "old.parquet")
}

func TestEdge25CommitOfNothingCounts(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(4))
	l.mustGo(table, "old.parquet")
}

func TestEdge26RemovalOfAFileThatNobodyAddedIsHarmless(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(50), deltatest.Remove("never.parquet"))
	l.mustGo(table, "old.parquet")
}

func TestEdge27RemovalInTheFutureIsNotOver(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	future := now.Add(1000 * time.Hour)
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(90), deltatest.RemoveAt("a.parquet", &future))
	l.mustGo(table)
}

func TestEdge28TableThatIsReplacedWhileItIsListedIsRefused(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.Fail = func(call, path string) error {
		if call == "walk" && path == "lake/wh/t/" {
			l.Overwrite(table.CommitPath(0), func(text string) string { return strings.ReplaceAll(text, "id-of-", "another-") })
		}
		return nil
	}
	l.mustFind(table, proof.FoundRefused, "replaced by another table")
}

func TestEdge29TableThatIsPartitionedAnewKeepsWhatItHas(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Columns = []string{"_p"}
	table.Commit(ago(100), deltatest.Add("_p=1/a.parquet"))
	table.Columns = []string{"q"}
	table.Commit(ago(60), table.Alter(), deltatest.Remove("_p=1/a.parquet"), deltatest.Add("q=1/a.parquet"))
	l.mustGo(table) // _p= is hidden now, as for every other reader
}

func TestEdge30RetentionOfTheTableCountsAsOfItsNewestVersion(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Properties["delta.deletedFileRetentionDuration"] = "interval 70 days"
	table.Commit(ago(1), table.Alter())
	l.mustGo(table)
	table.Properties["delta.deletedFileRetentionDuration"] = "interval 2 months"
	table.Commit(ago(1), table.Alter())
	l.mustRefuse(table, "months and years")
	table.Properties = map[string]string{"DELTA.deletedfileretentionduration": "interval 70 days"}
	table.Commit(ago(1), table.Alter())
	l.mustGo(table)
}

func TestRuleThatLeavesTablesAloneIsKept(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	l.rule = spec.RetentionRule{Exclude: true}
	if one := l.mustGo(table); !one.Excluded || one.Listed.Files > 0 {
		t.Error(l.text())
	}
}
