package proof

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

func TestStatementNamesTheTableAsSparkKnowsIt(t *testing.T) {
	for table, want := range map[string]string{
		ByName("bronze.events"):                       "`bronze`.`events`",
		ByName("a`b.c.d"):                             "`a``b`.`c.d`",
		ByPlace("s3://lake/warehouse/bronze.db/e v`"): "delta.`s3a://lake/warehouse/bronze.db/e v```",
		ByPlace("/data/tables/t"):                     "delta.`/data/tables/t`",
	} {
		if table != want {
			t.Errorf("%s, want %s", table, want)
		}
	}
}

func TestOnlyNamesThatSparksShellTakesAsTheyAreAreSayable(t *testing.T) {
	for text, want := range map[string]bool{
		"bronze.events": true, "s3://lake/warehouse/bronze.db/é =1": true, "": false, "a;b": false, "a'b": false, `a"b`: false, "a`b": false,
		"a--b": false, "a/*b": false, "${x}": false, "a\nb": false, `a\b`: false, "a[1]": false, "a{b}": false, "a?": false, "a%20b": false,
	} {
		if Sayable(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}

func TestPropertiesThatAreToBeSet(t *testing.T) {
	const day = 24 * time.Hour
	rule := spec.DefaultRetention()
	for _, c := range []struct {
		name       string
		edit       func(*spec.RetentionRule)
		properties Properties
		sets       string // in the statement
		says       int    // differences
	}{
		{"as it is", func(r *spec.RetentionRule) { r.Data = 7 * day }, nil, "", 0},
		{"shorter than the rule", nil, nil, "'delta.deletedFileRetentionDuration' = 'interval 30 days'", 1},
		{"hours", func(r *spec.RetentionRule) { r.Data = 8*day + 90*time.Minute }, nil, "'delta.deletedFileRetentionDuration' = 'interval 8 days 1 hours 30 minutes'", 1},
		{"never shorter than the table wants", func(r *spec.RetentionRule) { r.Data = 7 * day }, Properties{propertyData: "interval 20 days"}, "", 1},
		{"the log as long as the data", func(r *spec.RetentionRule) { r.Data, r.Log = 60*day, 60*day }, nil,
			"'delta.deletedFileRetentionDuration' = 'interval 60 days', 'delta.logRetentionDuration' = 'interval 60 days'", 2},
		{"the log as long as the table's own data", func(r *spec.RetentionRule) { r.Data = 7 * day }, Properties{"DELTA.deletedFileRetentionDuration": "90 days"}, "'delta.logRetentionDuration' = 'interval 90 days'", 2},
		{"the log as the rule says", func(r *spec.RetentionRule) { r.Data, r.Log = 7*day, 40*day }, nil, "'delta.logRetentionDuration' = 'interval 40 days'", 1},
		{"a log that nobody can read", func(r *spec.RetentionRule) { r.Data, r.Log = 7*day, 40*day }, Properties{propertyLog: "3 months"}, "", 1},
		{"a log that is never cleaned up, reported", func(r *spec.RetentionRule) { r.Data = 7 * day }, Properties{propertyLogCleanup: "False"}, "", 1},
		{"a log that is never cleaned up, and the rule wants it to be", func(r *spec.RetentionRule) { r.Data, r.LogCleanup = 7*day, spec.HandlingEnforce }, Properties{propertyLogCleanup: "false"}, "'delta.enableExpiredLogCleanup' = 'true'", 1},
		{"off", func(r *spec.RetentionRule) { r.Properties = spec.HandlingOff }, nil, "", 0},
	} {
		r := rule
		if c.edit != nil {
			c.edit(&r)
		}
		s := &State{Replay: &Replay{Terms: Terms{Rule: r, Head: Head{Metadata: Metadata{Properties: c.properties}}}}}
		all := s.differences()
		want := ""
		if c.sets != "" {
			want = "ALTER TABLE x SET TBLPROPERTIES (" + c.sets + ")"
		}
		if got := AlterStatement("x", all); got != want || len(all) != c.says {
			t.Errorf("%s: %s, want %s; %+v", c.name, got, want, all)
		}
	}
}

func TestUnsetAreThoseThatTheTableDoesNotHave(t *testing.T) {
	all := []PropertyDifference{{Name: propertyData, Set: "interval 30 days"}, {Name: propertyLog, Set: "interval 30 days"}, {Name: propertyLogCleanup, Set: ""}}
	for want, p := range map[string]Properties{
		propertyData + " " + propertyLog: {},
		propertyLog:                      {"delta.DELETEDFILERETENTIONDURATION": "30 DAYS", propertyLog: "interval 31 days"},
		"":                               {propertyData: "interval 30 days", propertyLog: "interval 720 hours"},
	} {
		got := Unset(p, all)
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %v, want %s", p, got, want)
		}
	}
}
