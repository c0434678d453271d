package delta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

func TestFault18CorruptLogIsRefused(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"cut":        func(s string) string { return s[:len(s)-10] },
		"no JSON":    func(s string) string { return s + "oops\n" },
		"two values": func(s string) string { return strings.Replace(s, "}}\n", "}}{}\n", 1) },
		"wrong type": func(s string) string { return s + `{"add":{"path":5}}` + "\n" },
		"checkpoint": func(s string) string { return s + `{"checkpointMetadata":{"version":1}}` + "\n" },
		"not UTF-8":  func(s string) string { return s + `{"add":{"path":"a` + "\xff" + `"}}` + "\n" },
		"unknown store": func(s string) string {
			return s + `{"add":{"path":"a","deletionVector":{"storageType":"r","pathOrInlineDv":"x"}}}` + "\n"
		},
	} {
		for v := range int64(3) {
			t.Run(fmt.Sprintf("%s in version %d", name, v), func(t *testing.T) {
				l := newLake(t)
				table := l.usual("t")
				l.Overwrite(table.CommitPath(v), change)
				l.mustRefuse(table, "")
			})
		}
	}
}

func TestFault18CorruptCheckpointGivesWayToAnOlderOne(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"cut":      func(s string) string { return s[:len(s)/2] },
		"zeroes":   func(s string) string { return strings.Repeat("\x00", len(s)) },
		"no magic": func(s string) string { return s[:len(s)-4] + "XXXX" },
		"middle":   func(s string) string { return s[:30] + strings.Repeat("\xff", 60) + s[90:] },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			table.Checkpoint(deltatest.Checkpoint{})
			table.Commit(ago(4), deltatest.Add("more.parquet"))
			table.Checkpoint(deltatest.Checkpoint{})
			l.Overwrite(table.LogPath("00000000000000000004.checkpoint.parquet"), change)
			table.Trim(2)
			l.mustFind(table, proof.FoundCheckpointCorrupt, "00000000000000000004.checkpoint.parquet cannot be read")
			l.mustGo(table, "old.parquet")
			l.Delete(table.LogPath("00000000000000000003.checkpoint.parquet"))
			l.mustRefuse(table, "no checkpoint that can be read")
		})
	}
}

func TestFault18GapAfterTheCheckpointIsRefused(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{})
	table.Commit(ago(4))
	table.Commit(ago(3))
	l.Delete(table.CommitPath(4))
	l.mustRefuse(table, "lacks versions 4 to 4")
}

func TestFault18GapBelowTheCheckpointIsNoProof(t *testing.T) {
	l := newLake(t)
	table := l.table("t")
	table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"))
	table.Commit(ago(90), deltatest.Remove("a.parquet"))
	table.Commit(ago(80), deltatest.Add("c.parquet"))
	table.Commit(ago(70), deltatest.Add("d.parquet"))
	table.Checkpoint(deltatest.Checkpoint{Forget: 7 * day})
	l.Sized("lake/wh/t/stray.parquet", 1, ago(95))
	l.mustGo(table, "a.parquet", "stray.parquet")
	l.Delete(table.CommitPath(2))
	// What was removed below the gap may have been added again in it.
	l.mustFind(table, proof.FoundLogHole, "versions 2 to 2")
	if one := l.mustGo(table, "stray.parquet"); one.Unproven.Files != 1 {
		t.Error(l.text())
	}
}

func TestFault19FeatureThatIsNotKnownIsRefused(t *testing.T) {
	for _, p := range []deltatest.Protocol{
		{Reader: 3, Writer: 7, WriterFeatures: []string{"blahabl"}}, {Reader: 3, Writer: 7, ReaderFeatures: []string{"catalogManaged"}},
		{Reader: 3, Writer: 7, WriterFeatures: []string{"coordinatedCommits-preview"}}, {Reader: 3, Writer: 7, WriterFeatures: []string{"redirectWriterOnly-preview"}},
		{Reader: 3, Writer: 7, WriterFeatures: []string{"adaptiveMetadata"}}, {Reader: 4, Writer: 7}, {Reader: 1, Writer: 8}, {Reader: 3, Writer: 6},
	} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			l := newLake(t)
			table := l.usual("t")
			table.Commit(ago(2), table.Upgrade(p))
			l.Fail = func(call, path string) error {
				if call == "walk" && path == "lake/wh/t/" {
					t.Error("its data is listed")
				}
				return nil
			}
			l.mustRefuse(table, strings.Join(append(p.ReaderFeatures, p.WriterFeatures...), ""))
			table.Checkpoint(deltatest.Checkpoint{})
			table.Trim(3)
			l.mustRefuse(table, strings.Join(append(p.ReaderFeatures, p.WriterFeatures...), ""))
		})
	}
}

func TestFault19FeatureOfThePastIsRefusedToo(t *testing.T) {
	l := newLake(t)
	table := l.usual("t")
	table.Commit(ago(2), table.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7, WriterFeatures: []string{"future"}}))
	table.Commit(ago(1), table.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7}))
	l.mustRefuse(table, "future")
}

// TestFault19FeatureOfTheSecondWitnessIsRefusedToo: no commit says any more that the table had it.
func TestFault19FeatureOfTheSecondWitnessIsRefusedToo(t *testing.T) {
	for feature, refused := range map[string]bool{"future": true, "columnMapping": false} {
		l := newLake(t)
		table := l.usual("t")
		table.Commit(ago(4), table.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7, WriterFeatures: []string{feature}}))
		table.Commit(ago(3))
		table.Checkpoint(deltatest.Checkpoint{At: ago(3)})
		table.Commit(ago(2), table.Upgrade(deltatest.Protocol{Reader: 3, Writer: 7}))
		table.Checkpoint(deltatest.Checkpoint{At: ago(2)})
		table.Trim(table.Version - 1)
		if refused {
			l.mustRefuse(table, feature)
		} else if one := l.of(table); one.Live.Files != 1 {
			t.Error(l.text())
		}
	}
}

// TestVersionWithTwoHeadsIsRefused: writers write one protocol and one metadata at most.
func TestVersionWithTwoHeadsIsRefused(t *testing.T) {
	for name, twice := range map[string]func(*deltatest.Table) deltatest.Action{
		"protocol": func(t *deltatest.Table) deltatest.Action { return t.Upgrade(t.Protocol) },
		"metadata": (*deltatest.Table).Alter,
	} {
		l := newLake(t)
		table := l.usual("t")
		table.Commit(ago(1), twice(table))
		l.mustGo(table, "old.parquet")
		table.Commit(ago(1), twice(table), twice(table))
		l.mustRefuse(table, "has more than one "+name)
	}
}

func TestFault19StagedCommitsAreRefused(t *testing.T) {
	for _, folder := range []string{"_staged_commits/", "_commits/"} {
		l := newLake(t)
		table := l.usual("t")
		l.Sized(table.LogPath(folder), 0, ago(1)) // stands for the folder
		l.mustGo(table, "old.parquet")
		l.Put(table.LogPath(folder+"00000000000000000003.80a083e8-7026-4e79-81be-64bd76c43a11.json"), "{}", ago(1))
		l.mustRefuse(table, "staged commits, as a table whose catalog makes the commits: _delta_log/"+folder+"0")
	}
}
