package delta_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// litely is a lake whose tables are looked at by their logs alone.
func litely(t *testing.T) *lake {
	l := newLake(t)
	l.rule.Vacuum = spec.VacuumLite
	return l
}

func TestLiteLookListsNoDataAndFindsWhatWasRemoved(t *testing.T) {
	l := litely(t)
	table := l.usual("events")
	l.Sized("lake/wh/events/orphan.parquet", 100, ago(90))
	l.Fail = func(call, path string) error {
		if call == "walk" && !strings.Contains(path, "_delta_log") || call == "list" && path == "lake/wh/events/p=1/" {
			return fmt.Errorf("%s was listed", path)
		}
		return nil
	}
	one := l.mustGo(table, "old.parquet")
	if one.Vacuum != spec.VacuumLite || one.Live != (proof.Amount{Files: 1, Bytes: 100}) || one.Dead.Files != 1 || one.Goes.Bytes != 100 || one.Orphans.Files != 0 {
		t.Errorf("%+v", one)
	}
	if text := l.text(); !strings.Contains(text, "lite: by the log alone; orphans, foreign files, tables in its folders and missing live files are not looked for: the rule says vacuum: lite") {
		t.Error(text)
	}
	if n := l.Calls["stat"]; n != 2 { // the removed file, and the live one
		t.Errorf("%d files were asked for", n)
	}
}

// TestLiteLookCountsWhatIsGone: a name of the log that the store does not know is nothing that was removed now.
func TestLiteLookCountsWhatIsGone(t *testing.T) {
	l := litely(t)
	table := l.usual("t")
	l.Delete("lake/wh/t/old.parquet")
	if one := l.mustGo(table); one.Gone != 1 || one.Dead.Files != 0 {
		t.Errorf("%+v", one)
	}
	if !strings.Contains(l.text(), "1 file gone already") {
		t.Error(l.text())
	}
}

func TestLiteLookLeavesWhatWasWrittenAgainLately(t *testing.T) {
	l := litely(t)
	table := l.usual("t")
	l.Touch("lake/wh/t/old.parquet", ago(2))
	if one := l.mustGo(table); one.Young.Files != 1 {
		t.Errorf("%+v", one)
	}
}

// TestLiteLookNeverLeavesTheTable: a list shows nothing that lies elsewhere, and a log may name anything.
func TestLiteLookNeverLeavesTheTable(t *testing.T) {
	for _, path := range []string{"../other/live.parquet", "%2e%2e/other/live.parquet", "a/../../other/live.parquet", "./../other/live.parquet", "..%2Fother%2Flive.parquet", "folder/"} {
		l := litely(t)
		table := l.table("t")
		table.Commit(ago(100), deltatest.Add("a.parquet"))
		table.Commit(ago(60), deltatest.Raw(fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":%d}}`, path, ago(60).UnixMilli())))
		table.Commit(ago(40))
		l.Fail = func(call, path string) error {
			if call == "stat" || call == "list" && strings.HasSuffix(path, ".hoodie/") {
				return fmt.Errorf("%s was asked for", path)
			}
			return nil
		}
		if one := l.mustGo(table); one.Worst() != proof.EffectNote {
			t.Errorf("%s: %s", path, l.text())
		}
	}
}

// TestLiteLookKeepsWhatDiffersFromALiveFileInCaseAlone: where a store does not tell them apart it is the live file.
func TestLiteLookKeepsWhatDiffersFromALiveFileInCaseAlone(t *testing.T) {
	for live, removed := range map[string]string{"p=A/x.parquet": "p=a/x.parquet", "p=a/x.parquet": "P=a/x.parquet", "p=Ab/x.parquet": "p=aB/x.parquet", "É.parquet": "é.parquet"} {
		l := litely(t)
		table := l.table("t")
		table.Commit(ago(100), deltatest.Add(live), deltatest.Add(removed))
		table.Commit(ago(60), deltatest.Remove(removed))
		table.Commit(ago(40))
		l.mustGo(table)
		l.rule.Vacuum = spec.VacuumFull
		l.mustGo(table, removed)
	}
}

func TestLiteLookLeavesATableInAFolderAlone(t *testing.T) {
	for marker, content := range map[string]string{"_delta_log/00000000000000000000.json": "{}", ".hoodie/hoodie.properties": "", "metadata/v1.metadata.json": ""} {
		l := litely(t)
		table := l.table("t")
		table.Commit(ago(100), deltatest.Add("sub/deep/old.parquet"), deltatest.Add("old.parquet"), deltatest.Add("live.parquet"))
		table.Commit(ago(60), deltatest.Remove("sub/deep/old.parquet"), deltatest.Remove("old.parquet"))
		table.Commit(ago(40))
		l.Put("lake/wh/t/sub/"+marker, content, ago(50))
		one := l.mustGo(table, "old.parquet")
		if f, ok := one.Find(proof.FoundNested); !ok || !strings.Contains(f.Says, "sub/") {
			t.Errorf("%s: %s", marker, l.text())
		}
	}
}

func TestLiteLookRefusesTheFolderOfAnotherFormatsTable(t *testing.T) {
	l := litely(t)
	table := l.usual("t")
	l.Put("lake/wh/t/metadata/v1.metadata.json", "{}", ago(50))
	l.mustRefuse(table, "another format")
}

// many is a table with 300 live files, and one that was removed long ago.
func (l *lake) many(name string) *deltatest.Table {
	table := l.table(name)
	var adds []deltatest.Action
	for i := range 300 {
		adds = append(adds, deltatest.Add(fmt.Sprintf("live-%d.parquet", i)))
	}
	table.Commit(ago(100), append(adds, deltatest.Add("old.parquet"))...)
	table.Commit(ago(60), deltatest.Remove("old.parquet"))
	table.Commit(ago(40))
	return table
}

// TestLiteLookStopsWhereLiveFilesAreMissing: it asks for some, where something is to go.
func TestLiteLookStopsWhereLiveFilesAreMissing(t *testing.T) {
	l := litely(t)
	table := l.many("t")
	l.mustGo(table, "old.parquet")
	if n := l.Calls["stat"]; n != 1+64 {
		t.Errorf("%d files were asked for", n)
	}
	for i := range 300 {
		if i%3 == 0 {
			l.Delete(fmt.Sprintf("lake/wh/t/live-%d.parquet", i))
		}
	}
	l.mustGo(table)
	if f := l.mustFind(table, proof.FoundHollow, "of 64 files of its newest version that were asked for"); f.Effect != proof.EffectCritical {
		t.Errorf("%+v", f)
	}
}

// TestLiteLookAsksForOtherLiveFilesEachTime: what is missing is found sooner or later.
func TestLiteLookAsksForOtherLiveFilesEachTime(t *testing.T) {
	l := litely(t)
	l.many("t")
	asked := map[string]bool{}
	l.Fail = func(call, path string) error {
		if call == "stat" {
			asked[path] = true
		}
		return nil
	}
	for i := range 20 {
		l.agent, l.Now = now.Add(time.Duration(i)*time.Second), now.Add(time.Duration(i)*time.Second)
		l.plan()
	}
	if len(asked) < 250 { // of 300: by chance 297
		t.Errorf("in 20 looks %d files were asked for", len(asked))
	}
}

func TestLiteLookSaysThatItsLogIsTooShort(t *testing.T) {
	l := litely(t)
	table := l.table("t")
	table.Properties["delta.deletedFileRetentionDuration"] = "interval 90 days"
	table.Commit(ago(200), deltatest.Add("old.parquet"), deltatest.Add("live.parquet"))
	table.Commit(ago(150), deltatest.Remove("old.parquet"))
	table.Commit(ago(20))
	table.Checkpoint(deltatest.Checkpoint{At: ago(20), Forget: 365 * day})
	table.Trim(2)
	l.mustGo(table)
	l.mustFind(table, proof.FoundUnproven, "1 file removed before the cutoff, and does not reach back")
	if l.Calls["stat"] != 0 {
		t.Error("it was asked for")
	}
}

func TestLiteLookStopsAtAnAnomaly(t *testing.T) {
	l := litely(t)
	table := l.usual("t")
	table.Checkpoint(deltatest.Checkpoint{At: ago(5), Lose: []string{"live.parquet"}})
	table.Commit(ago(4))
	l.mustGo(table)
}

func TestStoreThatFailsEndsALiteLook(t *testing.T) {
	for _, call := range []string{"stat", "list .hoodie/"} {
		l := litely(t)
		table := l.usual("t")
		l.Fail = func(c, path string) error {
			if c == "stat" && call == "stat" || c == "list" && strings.HasSuffix(call, ".hoodie/") && strings.HasSuffix(path, ".hoodie/") {
				return errors.New("the store is gone")
			}
			return nil
		}
		one := l.mustGo(table)
		if f, ok := one.Find(proof.FoundUnseen); !ok || !strings.Contains(f.Says, "the store is gone") {
			t.Errorf("%s\n%s", call, l.text())
		}
	}
}

// auto is a keeper whose rule leaves it open how files are looked for.
func auto(t *testing.T) *keeper {
	k := newKeeper(t)
	k.rule.Vacuum = spec.VacuumAuto
	k.dying()
	return k
}

// later looks some time later, and says how.
func (k *keeper) later(d time.Duration) string {
	k.Helper()
	k.agent, k.Now = k.agent.Add(d), k.Now.Add(d)
	k.look()
	one := k.report.Tables[0]
	return string(one.Vacuum) + ": " + one.Because
}

func TestAutoListsAllFilesAsOftenAsTheRuleSays(t *testing.T) {
	k := auto(t)
	for i, want := range []string{
		"full: they were not before",
		"lite: every 7d all files are listed, the last time 2026-11-27 12:00",
		"lite: every 7d", "lite: every 7d", "lite: every 7d", "lite: every 7d", "lite: every 7d",
		"full: every 7d, and the last time was 2026-11-27 12:00",
		"lite: every 7d all files are listed, the last time 2026-12-04 11:59",
	} {
		d := day
		switch i {
		case 0:
			d = 0
		case 7:
			d -= 5 * time.Second // a look is not at the same second each day
		}
		if says := k.later(d); !strings.HasPrefix(says, want) {
			t.Errorf("day %d: %s, want %s", i, says, want)
		}
	}
}

func TestAutoListsAllFilesOfAnotherTable(t *testing.T) {
	k := auto(t)
	k.later(0)
	other := k.table("t")
	for _, p := range k.Paths() {
		if strings.Contains(p, "_delta_log") {
			k.Delete(p)
		}
	}
	other.ID = "another"
	other.Commit(ago(1), deltatest.Add("live.parquet"))
	if says := k.later(time.Hour); says != "full: the table is another one than it was the last time" {
		t.Error(says)
	}
}

// TestAutoListsAllFilesWhileTheLastListFoundThatSomeAreMissing: a lite look cannot see that it is over.
func TestAutoListsAllFilesWhileTheLastListFoundThatSomeAreMissing(t *testing.T) {
	k := auto(t)
	v, file := vector("", 1) // of which no lite look asks whether it is there
	table := k.table("t")
	table.Version, table.State = 3, map[deltatest.ID]deltatest.File{}
	table.Commit(ago(4), deltatest.Add("with.parquet", v))
	k.later(0)
	if says := k.later(day); !strings.HasPrefix(says, "full: the last time, 1 file of its newest version is not there") || k.report.Status() != proof.StatusCritical {
		t.Error(says)
	}
	k.rule.Vacuum = spec.VacuumLite
	k.later(day)
	if f, ok := k.report.Tables[0].Find(proof.FoundHollow); !ok || f.Effect == proof.EffectNote || k.report.Tables[0].Goes.Files != 0 {
		t.Error(k.text())
	}
	k.Sized("lake/wh/t/"+file, 100, ago(60))
	k.rule.Vacuum = spec.VacuumAuto
	k.later(day)
	if says := k.later(day); !strings.HasPrefix(says, "lite") {
		t.Error(says)
	}
}

// TestAutoListsAllFilesWhereTheLogAloneProvesTooLittle, and says why.
func TestAutoListsAllFilesWhereTheLogAloneProvesTooLittle(t *testing.T) {
	for why, spoil := range map[string]func(*keeper){
		"full: of 3 files of its newest version that were asked for, 1 is not there, such as live.parquet": func(k *keeper) { k.Delete("lake/wh/t/live.parquet") },
		"full: what is to go is much of what the log says there is":                                        func(k *keeper) { k.rule.MaxRatio = 0.5 },
		"full: that costs less than to ask for 1,001 files that were removed": func(k *keeper) {
			t := k.Store.Table("lake/wh/t")
			for _, p := range k.Paths() {
				if strings.Contains(p, "_delta_log") {
					k.Delete(p)
				}
			}
			var adds, removes []deltatest.Action
			for i := range 1001 {
				adds = append(adds, deltatest.Add(fmt.Sprintf("%d.parquet", i)))
				removes = append(removes, deltatest.Remove(fmt.Sprintf("%d.parquet", i)))
			}
			t.Commit(ago(100), append(adds, deltatest.Add("live.parquet"))...)
			t.Commit(ago(60), removes...)
			t.Commit(ago(40))
		},
	} {
		k := auto(t)
		k.later(0)
		spoil(k)
		if says := k.later(time.Hour); !strings.HasPrefix(says, why) {
			t.Errorf("%s, want %s", says, why)
		}
	}
}

func TestLiteRunRemovesWhatVersionsRemovedAndLeavesOrphans(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.rule.Vacuum = spec.VacuumAuto
		k.ready()
		before := k.content()
		walks := k.Calls["walk"]
		one := k.run()
		if one.Vacuum != spec.VacuumLite || one.Removal == nil || one.Removal.Removed.Files != 4 || !one.Removal.Verified || !k.Has("lake/wh/t/orphan.parquet") {
			k.Errorf("%s", k.text())
		}
		if n := k.Calls["walk"] - walks; n > 2*4+3 { // for staged commits of each look, and what was set aside
			k.Errorf("%d walks", n)
		}
		u := k.undo(one.Removal.Run)
		if diff := cmp.Diff(before, k.content()); u.Err() != nil || diff != "" {
			k.Errorf("%+v\n%s", u, diff)
		}
	})
}

// TestFileThatIsNamedAgainIsBroughtBackAfterALiteRun: nothing is listed then, and the log is read anew.
func TestFileThatIsNamedAgainIsBroughtBackAfterALiteRun(t *testing.T) {
	eachWay(t, func(k *keeper) {
		k.rule.Vacuum = spec.VacuumLite
		table := k.ready()
		k.Fail = func(call, path string) error {
			if call == "removing" && path == "lake/wh/t/b.parquet" {
				table.Commit(now, deltatest.Add("b.parquet"))
			}
			return nil
		}
		one := k.run()
		if f, lost := one.Find(proof.FoundLost); !lost || !one.Removal.Undone || !strings.Contains(f.Says, "b.parquet") || !k.Has("lake/wh/t/b.parquet") {
			k.Errorf("%s", k.text())
		}
		if k.Fail = nil; k.run().Removal != nil {
			k.Error("it is not locked")
		}
	})
}

// TestLiteRunThatWasKilledIsVerifiedByTheLog, without a list, before anything else.
func TestLiteRunThatWasKilledIsVerifiedByTheLog(t *testing.T) {
	k := newKeeper(t)
	k.rule.Vacuum = spec.VacuumLite
	k.ready()
	var left *keeper
	k.After = func(call, path string) {
		if call == "removing" && path == "lake/wh/t/c.parquet" {
			left = k.killed()
		}
	}
	k.run()
	left.verify = true
	left.Fail = func(call, path string) error {
		if call == "walk" && !strings.Contains(path, "_delta_log") {
			return errors.New("its files were listed")
		}
		return nil
	}
	if one := left.run(); one.Worst() != proof.EffectNote {
		t.Error(left.text())
	}
	if due, err := delta.NewMemory(left.dir).Due(now); due || err != nil {
		t.Error(due, err)
	}
}

func TestStatOfAFolderFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	s := folder.New(dir)
	err := errors.Join(os.Mkdir(dir+"/real", 0o755), os.WriteFile(dir+"/real/a.parquet", []byte("abc"), 0o600),
		os.Symlink("real", dir+"/link"), os.Symlink("a.parquet", dir+"/real/alias.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for path, there := range map[string]bool{
		"real/a.parquet": true, "real/alias.parquet": true, "link/a.parquet": false, "real": false, "real/none": false,
		"real/a.parquet/b": false, "../x": false, "real/" + strings.Repeat("x", 300): false,
	} {
		_, _, tag, err := s.Stat(t.Context(), path)
		listed := ""
		if e := s.List(t.Context(), "", true, func(p string, _ int64, _ time.Time, tag string) error {
			if p == path {
				listed = tag
			}
			return nil
		}); e != nil {
			t.Fatal(e)
		}
		if (err == nil) != there || tag != listed || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, listed %q, %v", path, tag, listed, err)
		}
	}
	if _, _, _, err := folder.New(dir+"/gone").Stat(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store that is gone: %v", err)
	}
}

// TestAllFilesAreListedWhenSomebodyAsksForThat, whatever the rule says: it goes on saying what may go.
func TestAllFilesAreListedWhenSomebodyAsksForThat(t *testing.T) {
	l := litely(t)
	table := l.usual("t")
	l.Sized("lake/wh/t/orphan.parquet", 100, ago(90))
	l.Delete("lake/wh/t/live.parquet")
	l.full = true
	one := l.of(table)
	if _, hollow := one.Find(proof.FoundHollow); !hollow || one.Vacuum != spec.VacuumFull || one.Because != "that was asked for" || one.Orphans.Files != 1 {
		t.Errorf("%+v", one)
	}
}
