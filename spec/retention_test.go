package spec_test

import (
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

func TestIntervalsAreReadAsSparkReadsThem(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"interval 30 days":            30 * day,
		"INTERVAL 1 Week":             7 * day,
		"2 weeks 12 hours":            14*day + 12*time.Hour,
		"  interval  168   hours ":    7 * day,
		"interval 1 day -2 hours":     22 * time.Hour,
		"90 minutes 1.5 seconds":      90*time.Minute + 1500*time.Millisecond,
		"250 milliseconds":            250 * time.Millisecond,
		"7 microseconds":              7 * time.Microsecond,
		"interval 0 days":             0,
		"interval +3 days":            3 * day,
		"interval 1 second 1 seconds": 2 * time.Second,
	} {
		if got, err := spec.ParseInterval(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestIntervalsThatNobodyCanMeasureAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "interval", "30", "days", "30 dayz", "interval 1 month", "2 years", "1 day 1 month", "-1 days", "1.5 days",
		"1 day -25 hours", "x days", "30d", "99999999999999999999 days", "999999999 weeks", "200000 days", "1e300 seconds", "NaN seconds",
	} {
		if got, err := spec.ParseInterval(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestPatternsMatchNamesAndPlaces(t *testing.T) {
	for _, one := range []struct {
		pattern     spec.Pattern
		name, place string
		want        bool
	}{
		{"bronze.*", "bronze.events", "", true},
		{"bronze.*", "bronze2.events", "", false},
		{"*.tmp_*", "a.tmp_", "", true},
		{"*.tmp_*", "a.b.tmp_1", "", false},
		{"**", "a.b.tmp_1", "", true},
		{"**", "", "s3://a/b", false},
		{"a.?", "a.b", "", true},
		{"a.?", "a.", "", false},
		{"path:s3://lake/raw/**", "", "s3://lake/raw/a/b", true},
		{"path:s3://lake/raw/**", "bronze.raw", "s3://lake/rawer/a", false},
		{"path:s3://lake/*/a", "", "s3://lake/x/y/a", false},
		{"path:/data/*", "", "/data/t", true},
	} {
		if got := one.pattern.Matches(one.name, one.place); got != one.want {
			t.Errorf("%s matches %q at %q: %v", one.pattern, one.name, one.place, got)
		}
	}
}

func TestPatternCoversAnotherOnlyWhereItMatchesAllOfIt(t *testing.T) {
	for _, one := range []struct {
		p, q spec.Pattern
		want bool
	}{
		{"bronze.*", "bronze.events", true},
		{"bronze.*", "bronze.e*", true},
		{"bronze.e*", "bronze.*", false},
		{"*.*", "*.tmp_*", true},
		{"*.*", "**", false},
		{"**", "*.*", true},
		{"*.tmp_*", "bronze.tmp_?", true},
		{"bronze.?", "bronze.*", false},
		{"path:s3://a/**", "path:s3://a/b/*", true},
		{"path:s3://a/*", "path:s3://a/**", false},
		{"path:**", "a.b", false},
	} {
		if got := one.p.Covers(one.q); got != one.want {
			t.Errorf("%s covers %s: %v", one.p, one.q, got)
		}
	}
}

func TestFirstRuleThatMatchesIsTheOne(t *testing.T) {
	r := spec.Retention{Defaults: spec.DefaultRetention(), Rules: []spec.RetentionRule{
		{Match: []spec.Pattern{"a.x", "path:/data/x/**"}, Data: 1}, {Match: []spec.Pattern{"a.*"}, Data: 2},
	}}
	for place, want := range map[[2]string]time.Duration{
		{"a.x", "/y"}: 1, {"b.x", "/data/x/b"}: 1, {"a.z", "/y"}: 2, {"", "/y"}: spec.DefaultRetention().Data,
	} {
		if got := r.RuleFor(place[0], place[1]).Data; got != want {
			t.Errorf("%v has the rule %d, want %d", place, got, want)
		}
	}
}

func TestSpansReadAsPeopleWriteThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * 24 * time.Hour: "30d", 36 * time.Hour: "1d12h", 4 * time.Hour: "4h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", 0: "0s",
	} {
		if got := spec.Span(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
