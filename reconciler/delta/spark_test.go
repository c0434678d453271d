package delta_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// spark does what a test says, and takes down what it was asked for.
type spark struct {
	does   func(ctx context.Context, statements []string) error
	busy   error  // somebody else has it
	before func() // it tidies; nil
	kept   func() // it is kept for a job, or refused; nil
	left   []string
	untidy error
	asked  []string
	jobs   []delta.SparkJob
	tidy   int
}

func (s *spark) SQL(ctx context.Context, job delta.SparkJob) error {
	s.jobs = append(s.jobs, job)
	if s.kept != nil {
		s.kept()
	}
	if s.busy != nil {
		return s.busy
	}
	if err := job.Begin(); err != nil {
		return err
	}
	s.asked = append(s.asked, job.Statements...)
	return s.does(ctx, job.Statements)
}

func (s *spark) Tidy(context.Context, string) ([]string, error) {
	s.tidy++
	if s.before != nil {
		s.before()
	}
	return s.left, s.untidy
}

const alters = "ALTER TABLE delta.`s3a://lake/wh/t` SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 30 days')"

// altering is a keeper whose table wants its properties set, and a Spark that does so.
func altering(t *testing.T) (*keeper, *deltatest.Table, *spark) {
	k := newKeeper(t)
	table := k.ready()
	k.rule.Properties = spec.HandlingEnforce
	k.look()
	s := &spark{does: func(context.Context, []string) error { set(k, table, "interval 30 days"); return nil }}
	k.spark, k.tidy, k.quiet = s, s.Tidy, func(now time.Time) (time.Time, bool) { return now.Add(time.Hour), true }
	return k, table, s
}

// set commits a property, as Spark does.
func set(k *keeper, table *deltatest.Table, keep string) {
	table.Properties = map[string]string{"delta.deletedFileRetentionDuration": keep}
	table.Operation = "SET TBLPROPERTIES"
	table.Commit(k.Now, table.Alter())
	table.Operation = ""
}

func TestPropertiesAreSetBySparkWhileNobodyWrites(t *testing.T) {
	k, _, s := altering(t)
	one := k.run()
	if !one.Altered || one.Removal != nil || len(one.Properties) > 0 || !slices.Equal(s.asked, []string{alters}) || s.tidy != 0 {
		t.Errorf("%+v, asked %q\n%s", one, s.asked, k.text())
	}
	if _, differs := one.Find(proof.FoundProperty); differs || !strings.Contains(k.text(), "its properties were set; the next run goes by them: "+alters) {
		t.Errorf("%s", k.text())
	}
	again := k.run() // by the properties that it has now
	if again.Removal == nil || again.Removal.Removed.Files != 5 || again.Alter != "" || len(s.asked) != 1 {
		t.Errorf("%+v, asked %q\n%s", again, s.asked, k.text())
	}
}

func TestStatementIsOnlySaidWhileSomebodyMayWrite(t *testing.T) {
	k, _, s := altering(t)
	k.quiet = func(time.Time) (time.Time, bool) { return time.Time{}, false }
	one := k.run()
	if one.Altered || one.Alter != alters || len(s.asked) > 0 || !strings.Contains(k.text(), "to set its properties, while nobody writes to it: "+alters) {
		t.Errorf("%+v, asked %q\n%s", one, s.asked, k.text())
	}
	if one.Removal == nil {
		t.Error("what may go stays for that")
	}
}

func TestPropertiesAreOnlyReportedUnlessTheRuleEnforcesBoth(t *testing.T) {
	for name, edit := range map[string]func(*spec.RetentionRule){
		"properties: report": func(r *spec.RetentionRule) { r.Properties = spec.HandlingReport },
		"mode: report":       func(r *spec.RetentionRule) { r.Mode = spec.ModeReport },
	} {
		k, _, s := altering(t)
		edit(&k.rule)
		k.look()
		if one := k.run(); one.Alter != alters || one.Altered || len(s.asked) > 0 {
			t.Errorf("%s: %+v, asked %q", name, one, s.asked)
		}
	}
}

func TestPropertiesThatAreNotThereAfterwardsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		does func(*keeper, *deltatest.Table) error
		says string
		set  bool
	}{
		"another table": {func(*keeper, *deltatest.Table) error { return nil }, "the log of the table does not have delta.deletedFileRetentionDuration", false},
		"another value": {func(k *keeper, table *deltatest.Table) error { set(k, table, "interval 8 days"); return nil }, "the log of the table does not have", false},
		"a failure":     {func(*keeper, *deltatest.Table) error { return errors.New("no metastore") }, "were to be set: no metastore", false},
		"another writer": {func(k *keeper, table *deltatest.Table) error {
			table.Commit(k.Now)
			set(k, table, "interval 30 days")
			return nil
		}, "versions 4 to 5 were committed while its properties were set", true},
		"said and failed": {func(k *keeper, table *deltatest.Table) error {
			set(k, table, "interval 30 days")
			return errors.New("killed")
		}, "killed", true},
	} {
		t.Run(name, func(t *testing.T) {
			k, table, s := altering(t)
			s.does = func(context.Context, []string) error { return c.does(k, table) }
			one := k.run()
			if f, found := one.Find(proof.FoundSpark); !found || !strings.Contains(f.Says, c.says) || one.Altered != c.set || one.Removal != nil || k.report.Status() != proof.StatusRefused {
				t.Errorf("%+v\n%s", one, k.text())
			}
		})
	}
}

func TestSparkIsStoppedWhenNothingMoreIsToBeDone(t *testing.T) {
	for name, c := range map[string]struct {
		then func(*keeper)
		says string
	}{
		"paused":           {func(k *keeper) { k.pause("the agent is paused") }, "Spark was stopped: the agent is paused"},
		"held":             {func(k *keeper) { k.Put("lake/wh/t/"+delta.HoldFile, "", k.Now) }, "Spark was stopped: _flumen_hold is in the table"},
		"the quiet ends":   {func(*keeper) {}, "Spark was stopped: its time, 1h, is over"},
		"the agent's end ": {func(k *keeper) { k.end() }, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, _, s := altering(t)
				ctx, end := context.WithCancel(t.Context())
				k.ctx, k.end = ctx, end
				s.does = func(ctx context.Context, _ []string) error {
					c.then(k)
					<-ctx.Done()
					return context.Cause(ctx)
				}
				one := k.run()
				if f, found := one.Find(proof.FoundSpark); !found || !strings.Contains(f.Says, c.says) || one.Altered {
					t.Errorf("%+v\n%s", one, k.text())
				}
			})
		})
	}
}

func TestSparkIsNotBegunWhenNothingIsToBeDone(t *testing.T) {
	k, _, s := altering(t)
	k.pause("the agent is paused")
	if one := k.run(); one.Altered || len(s.asked) > 0 {
		t.Errorf("%+v, asked %q", one, s.asked)
	}
}

func TestTableThatSparksShellWouldReadOtherwiseIsLeftToPeople(t *testing.T) {
	k := newKeeper(t)
	table := k.table("a;b")
	table.Commit(ago(100), deltatest.Add("a.parquet"))
	k.rule.Properties = spec.HandlingEnforce
	s := &spark{does: func(context.Context, []string) error { return nil }}
	k.spark, k.tidy, k.quiet = s, s.Tidy, func(now time.Time) (time.Time, bool) { return now.Add(time.Hour), true }
	k.look()
	k.run()
	one := k.report.Tables[0]
	if f, found := one.Find(proof.FoundSpark); !found || !strings.Contains(f.Says, "run the statement below by hand") || len(s.asked) > 0 || !strings.Contains(one.Alter, "`s3a://lake/wh/a;b`") {
		t.Errorf("%+v, asked %q", one, s.asked)
	}
}

func TestTableIsCalledInSQLAsTheMetastoreKnowsIt(t *testing.T) {
	k, _, s := altering(t)
	k.names = func(context.Context) ([]proof.Entry, error) {
		return []proof.Entry{{Name: "default.t", Location: "s3a://lake/wh/t", Delta: true}}, nil
	}
	if k.run(); len(s.asked) != 1 || !strings.HasPrefix(s.asked[0], "ALTER TABLE `default`.`t` SET") {
		t.Errorf("%q\n%s", s.asked, k.text())
	}
}
