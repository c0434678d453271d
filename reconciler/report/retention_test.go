package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

func TestStatusAndHistoryTellWhenTablesWereLookedAfter(t *testing.T) {
	looks := []report.RetentionLook{
		{At: noon.Add(-2 * time.Hour), Took: 3 * time.Second, By: "schedule", Run: "20261127-030000-1f2e3d", Says: "2 tables: removed 8 files, 3.9 KiB"},
		{At: noon.Add(-26 * time.Hour), Took: 2 * time.Second, By: "hand", Says: "2 tables: 8 files, 3.9 KiB can go"},
		{At: noon.Add(-27 * time.Hour), By: "start", Says: "2 tables: 0 files, 0 B can go"},
	}
	for name, c := range map[string]struct {
		retention *report.Retention
		status    string
	}{
		"none": {nil, ""},
		"next": {&report.Retention{Looks: looks, Next: noon.Add(time.Hour)}, "  retention: last 2h00m ago, on schedule: 2 tables: removed 8 files, 3.9 KiB; next " + noon.Add(time.Hour).Format(time.RFC3339) + "\n"},
		"turn": {&report.Retention{Next: noon, Due: true, Looking: "lake"}, "  retention: never looked at tables yet; due, tables of the project lake are looked at now\n"},
		"due":  {&report.Retention{Next: noon, Due: true}, "  retention: never looked at tables yet; due, as soon as an agent can\n"},
		"hand": {&report.Retention{Looks: looks[1:]}, "  retention: last 26h00m ago, by hand: 2 tables: 8 files, 3.9 KiB can go; no schedule\n"},
	} {
		var text strings.Builder
		report.Status{Project: "p", At: noon, Retention: c.retention}.Text(&text, false)
		if _, rest, _ := strings.Cut(text.String(), "\n"); rest != c.status {
			t.Errorf("%s: %q, want %q", name, rest, c.status)
		}
	}
	var text strings.Builder
	report.History{Project: "p", Retention: &report.Retention{Looks: looks, Next: noon}}.Text(&text, false)
	for _, line := range []string{
		"20261127-030000-1f2e3d  " + noon.Add(-2*time.Hour).UTC().Format("2006-01-02 15:04:05") + "  on schedule     3.0s  2 tables: removed 8 files, 3.9 KiB\n",
		"report                  ", "  at start  ", "retention: next ",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("no %q in\n%s", line, &text)
		}
	}
}
