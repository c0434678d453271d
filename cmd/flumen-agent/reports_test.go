package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func checkAt(at time.Time) report.Check {
	return report.Check{Project: "p", Revision: spec.Revision{ID: "r"}, At: at, Differences: drift.Drift{
		{Ref: spec.InstanceRef("db", 1), Tier: "base", Verdict: drift.Changed, Fields: []drift.Field{{Name: "env.A", Want: spec.Plain("hunter22"), Have: spec.Plain("b")}}},
	}}
}

func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestReportsAreKeptForTheirTimeAndNothingElseIsTouched(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
	r := spec.Reports{Dir: filepath.Join(t.TempDir(), "a", "b"), Formats: []string{"json", "markdown"}, Keep: 48 * time.Hour}
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 4 {
		if err := a.writeReports(r, checkAt(day.AddDate(0, 0, i))); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			continue
		}
		for _, others := range []string{"drift-notes.md", "notes-20200101T000000Z.md"} {
			if err := os.WriteFile(filepath.Join(r.Dir, others), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{
		"drift-20260302T120000Z.json", "drift-20260302T120000Z.md", "drift-20260303T120000Z.json", "drift-20260303T120000Z.md",
		"drift-20260304T120000Z.json", "drift-20260304T120000Z.md", "drift-notes.md", "latest.json", "latest.md", "notes-20200101T000000Z.md",
	}
	if diff := cmp.Diff(want, namesIn(t, r.Dir)); diff != "" {
		t.Error(diff)
	}
	if last := lastReport(r.Dir); !last.Equal(day.AddDate(0, 0, 3)) {
		t.Errorf("the last one is of %s", last)
	}
}

func TestReportsHideSecrets(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
	a.stdout.Learn([]string{"hunter22", "html", "testsuites"})
	r := spec.Reports{Dir: t.TempDir(), Formats: []string{"json", "markdown", "html", "junit"}, Keep: time.Hour}
	if err := a.writeReports(r, checkAt(time.Now())); err != nil {
		t.Fatal(err)
	}
	for _, name := range namesIn(t, r.Dir) {
		text, err := os.ReadFile(filepath.Join(r.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "hunter22") || !strings.Contains(string(text), "service/db") {
			t.Errorf("%s:\n%s", name, text)
		}
		if filepath.Ext(name) == ".json" && !json.Valid(text) {
			t.Errorf("%s is no JSON", name)
		}
		if filepath.Ext(name) == ".html" && !strings.HasPrefix(string(text), "<!DOCTYPE html>\n<html ") || filepath.Ext(name) == ".xml" && !strings.Contains(string(text), "</testsuites>") {
			t.Errorf("the form of %s is broken:\n%s", name, text)
		}
	}
	if got := len(namesIn(t, r.Dir)); got != 8 {
		t.Errorf("%d files, expected each format twice", got)
	}
}

func TestCheckIsShownInEachFormatWithoutSecrets(t *testing.T) {
	for format, begins := range map[string]string{"markdown": "# Drift of p", "html": "<!DOCTYPE html>\n<html", "junit": "<?xml", "json": "{", "text": "p differs"} {
		var shown strings.Builder
		a := newApp(strings.NewReader(""), &shown, io.Discard, nil)
		a.settings.output = format
		a.stdout.Learn([]string{"hunter22", "html"})
		if err := a.showCheck(checkAt(time.Now())); err != nil {
			t.Fatal(err)
		}
		a.close(0)
		if !strings.HasPrefix(shown.String(), begins) || strings.Contains(shown.String(), "hunter22") || !strings.Contains(shown.String(), "env.A") {
			t.Errorf("%s:\n%s", format, shown.String())
		}
	}
}

func TestReportThatCannotBeWrittenIsSaidAndLeavesNothing(t *testing.T) {
	a := newApp(strings.NewReader(""), io.Discard, io.Discard, nil)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "latest.md"), 0o755); err != nil { // in the way
		t.Fatal(err)
	}
	err := a.writeReports(spec.Reports{Dir: dir, Formats: []string{"markdown"}, Keep: time.Hour}, checkAt(time.Now()))
	if err == nil || !strings.Contains(err.Error(), "write a drift report") {
		t.Errorf("%v", err)
	}
	for _, name := range namesIn(t, dir) {
		if strings.HasPrefix(name, ".report-") {
			t.Errorf("left: %s", name)
		}
	}
}
