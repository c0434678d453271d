package delta_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// delegated is a keeper of a table whose files Spark removes, after a report, and a Spark that
// removes those that may go. gone is a file that left the table five days ago.
func delegated(t *testing.T, prepare func(*deltatest.Store), edits ...func(*keeper, *deltatest.Table)) (*keeper, *deltatest.Table, *spark) {
	k := newKeeper(t)
	prepare(k.Store)
	table := k.dying()
	table.Properties["delta.deletedFileRetentionDuration"] = "interval 30 days"
	table.Commit(ago(5), table.Alter(), deltatest.Remove("more.parquet"))
	k.rule.SparkFrom = 1
	if k.rule.Undo = spec.UndoAuto; !keepsVersions(k) {
		k.rule.Undo = spec.UndoNone
	}
	for _, edit := range edits {
		edit(k, table)
	}
	k.agent, k.Now = now.Add(-25*time.Hour), now.Add(-25*time.Hour)
	k.look()
	k.agent, k.Now = now, now
	k.look()
	s := &spark{does: func(context.Context, []string) error { k.vacuum(goners...); return nil }}
	k.spark, k.tidy, k.quiet = s, s.Tidy, func(time.Time) (time.Time, bool) { return time.Time{}, false }
	return k, table, s
}

func keepsVersions(k *keeper) bool {
	on, _, _ := k.Store.Versioned(context.Background(), "")
	return on
}

// vacuum removes files, as another program does.
func (k *keeper) vacuum(paths ...string) {
	if len(paths) == 0 {
		return
	}
	k.Store.Quietly(func() {
		k.Store.Remove(context.Background(), paths, func(string, string, error) {})
	})
}

func plainStore(*deltatest.Store) {}

func TestSparkRemovesWhatThePlanSays(t *testing.T) {
	for name, prepare := range map[string]func(*deltatest.Store){"for good": plainStore, "where versions are kept": (*deltatest.Store).Versions} {
		t.Run(name, func(t *testing.T) {
			k, table, s := delegated(t, prepare)
			if !strings.Contains(k.text(), "can go, by a VACUUM of Spark") {
				t.Errorf("%s", k.text())
			}
			before := k.content()
			one := k.run()
			if r := one.Removal; r == nil || r.By != proof.BySpark || r.Removed.Files != 5 || !r.Verified || k.report.Status() != proof.StatusInPolicy {
				t.Errorf("%+v\n%s", one.Removal, k.text())
			}
			if n := len(s.asked); n != 3 || s.asked[2] != "VACUUM delta.`s3a://lake/wh/t`" ||
				!strings.Contains(s.asked[0], "FROM binaryFile.`s3a://lake/wh/t/_delta_log/00000000000000000004.json` WHERE sha2(content, 256) = '") {
				t.Errorf("%q", s.asked)
			}
			mustHaveLive(t, k.Store, table, "after Spark")
			runs, err := delta.NewMemory(k.dir).Runs()
			if err != nil || len(runs) != 1 || runs[0].By != proof.BySpark || runs[0].State != "done" || runs[0].Removed.Files != 5 {
				t.Errorf("%+v %v", runs, err)
			}
			u := k.undo(one.Removal.Run)
			if keepsVersions(k) {
				if diff := cmp.Diff(before, k.content()); u.Err() != nil || diff != "" {
					t.Errorf("not undone: %v %s", u.Err(), diff)
				}
				return
			}
			if u.Err() == nil || !strings.Contains(k.text(), "Spark removed 5 files") || !strings.Contains(k.text(), "this cannot be undone") || one.Removal.Freed.Files != 5 {
				t.Errorf("%v\n%s", u.Err(), k.text())
			}
		})
	}
}

func TestSparkIsAskedForLargeTablesAlone(t *testing.T) {
	k, _, s := delegated(t, plainStore, func(k *keeper, _ *deltatest.Table) { k.rule.SparkFrom = 1000 })
	if one := k.run(); one.BySpark || len(s.asked) > 0 || one.Removal == nil || one.Removal.By != "" || one.Removal.Removed.Files != 5 {
		t.Errorf("%+v, asked %q", one, s.asked)
	}
}

// Each is known to be treated by Spark's VACUUM in another way than the rule says.
func TestSparkIsNotAskedWhereItIsWrong(t *testing.T) {
	long := ago(90)
	for name, c := range map[string]struct {
		edit func(*keeper, *deltatest.Table)
		says string
	}{
		"P11 foreign files": {func(k *keeper, _ *deltatest.Table) { k.Put("lake/wh/t/notes.txt", "x", long) }, "would remove 1 file"},
		"P10 another table": {func(k *keeper, _ *deltatest.Table) {
			k.Put("lake/wh/t/in/_delta_log/00000000000000000000.json", "{}", long)
			k.Put("lake/wh/t/in/part.parquet", "x", long)
		}, "would remove 1 file"},
		"P6 kept versions": {func(k *keeper, _ *deltatest.Table) { k.rule.KeepVersions = []int64{0} }, "would remove 4 files"},
		"orphans stay":     {func(k *keeper, _ *deltatest.Table) { k.rule.KeepOrphans = true }, "would remove 1 file"},
		"change data stays": {func(k *keeper, _ *deltatest.Table) {
			k.Put("lake/wh/t/_change_data/c.parquet", "x", long)
			k.rule.ChangeData = false
		}, "would remove 1 file"},
		"P5 change data of a version that stays": {func(k *keeper, table *deltatest.Table) {
			k.Put("lake/wh/t/_change_data/c.parquet", "x", long)
			table.Commit(ago(3), deltatest.Raw(`{"cdc":{"path":"_change_data/c.parquet","size":1,"dataChange":false}}`))
		}, "would remove 1 file"},
		"a removal without a time": {func(_ *keeper, table *deltatest.Table) { table.Commit(ago(3), deltatest.RemoveAt("live.parquet", nil)) }, "would remove 1 file"},
		"#4624 a removal that is spelled otherwise": {func(k *keeper, table *deltatest.Table) {
			k.Put("lake/wh/t/a b.parquet", "x", long)
			table.Commit(ago(50), deltatest.Add("a%20b.parquet"))
			table.Commit(ago(45), deltatest.RemoveSpelled("a%20b.parquet", "a b.parquet"))
		}, "would remove 1 file"},
		"P8 an absolute path": {func(k *keeper, table *deltatest.Table) {
			k.Put("lake/wh/t/abs.parquet", "x", long)
			table.Commit(ago(3), deltatest.Add("s3n://lake/wh/t/abs.parquet"))
		}, "would remove 1 file"},
		"P9 a folder of an index":               {func(k *keeper, _ *deltatest.Table) { k.Put("lake/wh/t/_delta_index/i.parquet", "x", long) }, "would remove 1 file"},
		"#140 a shorter retention of the table": {func(k *keeper, _ *deltatest.Table) { k.rule.Data = 40 * day }, "which is shorter than 40d"},
		"a choice of checkpoints": {func(_ *keeper, table *deltatest.Table) {
			table.Checkpoint(deltatest.Checkpoint{V2: "parquet"})
			table.Checkpoint(deltatest.Checkpoint{Lose: []string{"live.parquet"}})
		}, "another checkpoint"},
		"a checkpoint that cannot be read": {func(k *keeper, table *deltatest.Table) {
			k.Put(table.LogPath("00000000000000000002.checkpoint.parquet"), "PAR1 it is not", ago(30))
		}, "another checkpoint"},
		"P7 a shallow clone": {func(k *keeper, _ *deltatest.Table) {
			clone := k.table("clone")
			clone.Commit(ago(60), deltatest.Add("s3://lake/wh/t/a.parquet"))
		}, "shallow clone"},
	} {
		t.Run(name, func(t *testing.T) {
			k, _, s := delegated(t, plainStore, c.edit)
			before := k.content()
			one := k.run()
			f, found := one.Find(proof.FoundSpark)
			if !found || f.Effect != proof.EffectStop || !strings.Contains(f.Says, c.says) || len(s.asked) > 0 || one.Held.Files+one.Goes.Files == 0 {
				t.Errorf("%+v\n%s", one, k.text())
			}
			if diff := cmp.Diff(before, k.content()); diff != "" {
				t.Errorf("%s", diff)
			}
		})
	}
}

func TestSparkIsNotAskedWhenOrphansWereSeenTooLately(t *testing.T) {
	k, _, s := delegated(t, plainStore)
	k.Put("lake/wh/t/new-orphan.parquet", "x", ago(90))
	if one := k.run(); len(s.asked) > 0 || one.Removal != nil || one.Against.Files != 1 {
		t.Errorf("%+v\n%s", one, k.text())
	}
}

func TestSparkIsNotAskedForFilesThatCouldNotBeHadBack(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*deltatest.Store)
		undo    spec.Undo
	}{"nothing is kept": {plainStore, spec.UndoAuto}, "quarantine": {plainStore, spec.UndoQuarantine}, "quarantine beside versions": {(*deltatest.Store).Versions, spec.UndoQuarantine}} {
		k, _, s := delegated(t, c.prepare, func(k *keeper, _ *deltatest.Table) { k.rule.Undo = c.undo })
		one := k.run()
		if f, found := one.Find(proof.FoundNoUndo); !found || len(s.asked) > 0 || one.Removal != nil || !strings.Contains(f.Says, "undo: none") {
			t.Errorf("%s: %+v\n%s", name, one, k.text())
		}
	}
}

func TestPropertiesComeBeforeAVacuumThatGoesByThem(t *testing.T) {
	k, table, s := delegated(t, plainStore, func(k *keeper, table *deltatest.Table) {
		table.Properties = map[string]string{}
		table.Commit(ago(4), table.Alter())
		k.rule.Properties = spec.HandlingEnforce
	})
	if one := k.run(); len(s.asked) > 0 || one.Removal != nil || !strings.Contains(k.text(), "that is set first, in retention.quiet") {
		t.Errorf("outside of its window: %+v\n%s", one, k.text())
	}
	k.quiet = func(now time.Time) (time.Time, bool) { return now.Add(time.Hour), true }
	vacuums := s.does
	s.does = func(context.Context, []string) error { set(k, table, "interval 30 days"); return nil }
	if one := k.run(); !one.Altered || one.Removal != nil || len(s.asked) != 1 {
		t.Errorf("%+v, asked %q\n%s", one, s.asked, k.text())
	}
	s.does = vacuums
	if one := k.run(); one.Removal == nil || one.Removal.Removed.Files != 5 || !one.Removal.Verified || len(s.asked) != 4 {
		t.Errorf("%+v, asked %q\n%s", one, s.asked, k.text())
	}
}

// What Spark removes that is to stay is found, be it live or of an older version.
func TestWhatSparkShouldHaveKeptIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		takes, says string
	}{
		"a live file":          {"lake/wh/t/live.parquet", "of its newest version is not there"},
		"of an older version":  {"lake/wh/t/more.parquet", "Spark removed more.parquet, which is to stay"},
		"a file of nobody":     {"lake/wh/t/notes.txt", "Spark removed notes.txt, which is to stay"},
		"a file that is new":   {"lake/wh/t/young.parquet", "Spark removed young.parquet, which is to stay"},
		"what was set aside":   {"lake/wh/t/_flumen_quarantine/r/00001/x.parquet", "which is to stay"},
		"a file of long ago":   {"", ""},
		"nothing but the plan": {"lake/wh/t/a.parquet", ""},
	} {
		for _, prepare := range []func(*deltatest.Store){plainStore, (*deltatest.Store).Versions} {
			t.Run(name, func(t *testing.T) {
				k, _, s := delegated(t, prepare, func(k *keeper, _ *deltatest.Table) {
					k.Put("lake/wh/t/notes.txt", "x", ago(3))
					k.Put("lake/wh/t/young.parquet", "x", ago(3))
					k.Put("lake/wh/t/_flumen_quarantine/r/00001/x.parquet", "x", ago(90))
				})
				before := k.content()
				s.does = func(context.Context, []string) error {
					k.vacuum(goners...)
					if c.takes != "" {
						k.vacuum(c.takes)
					}
					return nil
				}
				one := k.run()
				f, lost := one.Find(proof.FoundLost)
				if lost != (c.says != "") || !strings.Contains(f.Says, c.says) {
					t.Fatalf("%+v\n%s", one, k.text())
				}
				if !lost {
					return
				}
				if k.report.Status() != proof.StatusCritical || one.Removal.Verified {
					t.Errorf("%+v", one)
				}
				if diff := cmp.Diff(before, k.content()); keepsVersions(k) != (diff == "") || keepsVersions(k) != one.Removal.Undone {
					t.Errorf("undone: %t; %s", one.Removal.Undone, diff)
				}
				again := k.run()
				if _, locked := again.Find(proof.FoundLocked); !locked || len(s.asked) != 3 {
					t.Errorf("%+v", again)
				}
			})
		}
	}
}

// Spark has no slack, and begins later: what grows old enough until then may go.
func TestWhatGrowsOldEnoughMeanwhileMayGoToo(t *testing.T) {
	k, table, s := delegated(t, plainStore, func(k *keeper, table *deltatest.Table) {
		k.Delete(k.Paths()...)
		*table = *k.table("t")
		table.Properties["delta.deletedFileRetentionDuration"] = "interval 30 days"
		table.Commit(ago(100), deltatest.Add("a.parquet"), deltatest.Add("b.parquet"), deltatest.Add("live.parquet"))
		table.Commit(ago(60), deltatest.Remove("a.parquet"))
		table.Commit(ago(30.01), deltatest.Remove("b.parquet"))
		k.Put("lake/wh/t/orphan.parquet", "x", ago(30.01))
	})
	s.does = func(context.Context, []string) error {
		k.vacuum("lake/wh/t/a.parquet", "lake/wh/t/b.parquet", "lake/wh/t/orphan.parquet")
		return nil
	}
	planned := k.report.Tables[0].Goes.Files
	if one := k.run(); planned != 1 || one.Removal == nil || !one.Removal.Verified || one.Removal.Removed.Files != 3 {
		t.Errorf("%d %+v\n%s", planned, one.Removal, k.text())
	}
	mustHaveLive(t, k.Store, table, "after Spark")
}

func TestSparkIsStoppedWhenThePlanHoldsNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		then func(*keeper, *deltatest.Table)
		says string
	}{
		"a file is used again": {func(_ *keeper, table *deltatest.Table) { table.Commit(now, deltatest.Add("b.parquet")) }, "b.parquet is used again"},
		"a restore": {func(_ *keeper, table *deltatest.Table) {
			table.Operation = "RESTORE"
			table.Commit(now)
		}, "version 5 is a RESTORE"},
		"a pause":  {func(k *keeper, _ *deltatest.Table) { k.pause("the agent is paused") }, "the agent is paused"},
		"a hold":   {func(k *keeper, _ *deltatest.Table) { k.Put("lake/wh/t/"+delta.HoldFile, "", now) }, "_flumen_hold is in the table"},
		"its time": {func(*keeper, *deltatest.Table) {}, "its time, 4h, is over"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, table, s := delegated(t, plainStore)
				s.does = func(ctx context.Context, _ []string) error {
					k.vacuum("lake/wh/t/a.parquet")
					c.then(k, table)
					<-ctx.Done()
					return context.Cause(ctx)
				}
				one := k.run()
				if f, found := one.Find(proof.FoundStopped); !found || !strings.Contains(f.Says, c.says) || one.Removal.Removed.Files != 1 || !one.Removal.Verified {
					t.Errorf("%+v\n%s", one.Removal, k.text())
				}
			})
		})
	}
}

// A run that a signal ends, or that is killed, is looked after by the next one.
func TestVacuumThatWasCutOffIsVerifiedByTheNextRun(t *testing.T) {
	k, _, s := delegated(t, plainStore)
	ctx, cancel := context.WithCancel(t.Context())
	k.ctx = ctx
	s.does = func(ctx context.Context, _ []string) error {
		k.vacuum("lake/wh/t/a.parquet", "lake/wh/t/live.parquet")
		cancel()
		return context.Cause(ctx)
	}
	one := k.run()
	if _, unverified := one.Find(proof.FoundUnverified); !unverified {
		t.Errorf("%+v\n%s", one, k.text())
	}
	k.ctx = t.Context()
	again := k.run()
	if f, lost := again.Find(proof.FoundLost); !lost || !strings.Contains(f.Says, "is not there") || len(s.asked) != 3 {
		t.Errorf("%+v\n%s", again, k.text())
	}
}

func TestVacuumThatSparkRefusesRemovesNothing(t *testing.T) {
	k, _, s := delegated(t, plainStore)
	before := k.content()
	s.does = func(context.Context, []string) error { return errors.New("this is not the table that was planned") }
	one := k.run()
	if f, found := one.Find(proof.FoundStopped); !found || !strings.Contains(f.Says, "not the table that was planned") || one.Removal.Removed.Files != 0 || !one.Removal.Verified {
		t.Errorf("%+v\n%s", one.Removal, k.text())
	}
	if diff := cmp.Diff(before, k.content()); diff != "" {
		t.Errorf("%s", diff)
	}
}
