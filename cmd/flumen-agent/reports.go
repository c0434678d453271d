package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift/schedule"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/status"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	reportPrefix      = "drift-"
	tableReportPrefix = "retention-"
	// reportTime is how a report's name says when it was made. It has no colon, which
	// some file systems refuse, and sorts by time.
	reportTime   = "20060102T150405Z"
	latestReport = "latest"
)

// extensions of the files of a report, by its format.
var extensions = map[string]string{"json": ".json", "markdown": ".md", "html": ".html", "junit": ".xml"}

// makeChecks has the agent check for drift as the spec's schedule says, and writes the
// reports. board may be nil.
func (a *app) makeChecks(ctx context.Context, agent *reconciler.Agent, log *slog.Logger, board *status.Board) {
	checks := func() spec.Checks { _, want, _ := agent.Standing(); return want.Checks }
	current := func() schedule.Schedule {
		s, _ := schedule.Parse(checks().Schedule) // it was parsed when the spec was loaded
		return s
	}
	before := func() time.Time { return lastReport(checks().Reports.Dir) }
	if !awaitStanding(ctx, agent) {
		return
	}
	said := "nothing"
	schedule.Run(ctx, current, before, func(ctx context.Context, _ time.Time) {
		check, err := agent.CheckDrift(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, reconciler.ErrNotHeld):
			return
		case err == nil:
			err = a.writeReports(checks().Reports, check)
		}
		if err != nil {
			log.Error("drift check failed", "err", err)
			return
		}
		if board != nil {
			board.Checked(check.At)
		}
		if now := verdicts(check); now != said {
			said = now
			log.Info("drift checked", "differences", len(check.Differences), "revision", check.Revision.Short())
		}
	})
}

// verdicts are what a check found, in short: a check that found the same as the one before
// needs no word.
func verdicts(check report.Check) string {
	var b strings.Builder
	for _, d := range check.Differences {
		fmt.Fprintln(&b, d.Ref, d.Verdict)
	}
	return b.String()
}

// awaitStanding waits until the agent has a spec to keep up. It tells false if ctx ends.
func awaitStanding(ctx context.Context, agent *reconciler.Agent) bool {
	tick := time.NewTicker(lockAgain)
	defer tick.Stop()
	for {
		if _, _, ok := agent.Standing(); ok {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// writeReports writes a check in each format, as a file of its own and as the latest, and
// removes what is older than the spec keeps. Without a directory it writes nothing.
func (a *app) writeReports(r spec.Reports, check report.Check) error {
	if r.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of drift reports: %w", err)
	}
	for _, format := range r.Formats {
		text, err := a.renderReport(format, check)
		if err != nil {
			return err
		}
		if err := writeReport(r.Dir, extensions[format], text, reportPrefix+check.At.UTC().Format(reportTime), latestReport); err != nil {
			return fmt.Errorf("write a drift report: %w", err)
		}
	}
	return removeReports(r, check.At)
}

// writeTableReport writes what became of Delta tables beside the drift reports, as text and JSON.
func (a *app) writeTableReport(want spec.Desired, one proof.Report) error {
	r := want.Checks.Reports
	if r.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of reports: %w", err)
	}
	var text bytes.Buffer
	one.Text(&text, false)
	plain, err := json.Marshal(one)
	if err != nil {
		return err
	}
	var inJSON bytes.Buffer
	if err := json.Indent(&inJSON, a.hideInJSON(plain), "", "  "); err != nil {
		return err
	}
	names := []string{tableReportPrefix + one.At.UTC().Format(reportTime), tableReportPrefix + latestReport}
	err = errors.Join(
		writeReport(r.Dir, ".txt", []byte(a.stdout.Mask(text.String())), names...),
		writeReport(r.Dir, ".json", append(inJSON.Bytes(), '\n'), names...),
	)
	return errors.Join(err, removeReports(r, one.At))
}

// writeReport writes the same text under several names.
func writeReport(dir, extension string, text []byte, names ...string) error {
	for _, name := range names {
		if err := writeAtomically(filepath.Join(dir, name+extension), text); err != nil {
			return err
		}
	}
	return nil
}

// renderReport writes a check in one format, without its secrets.
func (a *app) renderReport(format string, check report.Check) ([]byte, error) {
	var b bytes.Buffer
	var err error
	switch format {
	case "html":
		err = check.Hide(a.stdout.Mask).HTML(&b)
	case "junit":
		err = check.Hide(a.stdout.Mask).JUnit(&b)
	case "markdown":
		check.Markdown(&b)
		return []byte(a.stdout.Mask(b.String())), nil
	default:
		text, marshalErr := json.Marshal(check)
		if marshalErr != nil {
			return nil, marshalErr
		}
		err = json.Indent(&b, a.hideInJSON(text), "", "  ")
		b.WriteByte('\n')
	}
	return b.Bytes(), err
}

// writeAtomically writes a file so that whoever reads it, at whatever moment, finds all of
// it or what was there before.
func writeAtomically(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// madeAt reads from a file's name when the report in it was made. Other files have none.
func madeAt(name, prefix string) (time.Time, bool) {
	text, ok := strings.CutPrefix(strings.TrimSuffix(name, filepath.Ext(name)), prefix)
	at, err := time.Parse(reportTime, text)
	return at, ok && err == nil
}

// lastReport is when the newest report in a directory was made: zero if there is none.
func lastReport(dir string) (last time.Time) {
	entries, _ := os.ReadDir(dir) // one that is not there has none
	for _, e := range entries {
		if at, ok := madeAt(e.Name(), reportPrefix); ok && at.After(last) {
			last = at
		}
	}
	return last
}

// removeReports removes reports that are older than they are to be kept. It touches no file
// that is not a report's.
func removeReports(r spec.Reports, now time.Time) error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return fmt.Errorf("look for old reports: %w", err)
	}
	var errs []error
	for _, e := range entries {
		for _, prefix := range []string{reportPrefix, tableReportPrefix} {
			if at, ok := madeAt(e.Name(), prefix); ok && now.Sub(at) > r.Keep {
				errs = append(errs, os.Remove(filepath.Join(r.Dir, e.Name())))
			}
		}
	}
	return errors.Join(errs...)
}
