package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// Outcome is what a look at all tables came to, in short.
type Outcome struct {
	At    time.Time     `json:"at"`
	Took  time.Duration `json:"took_ns"`
	By    By            `json:"by"`
	Run   string        `json:"run,omitempty"` // that was to remove what can go; "" for a report
	Says  string        `json:"says"`          // in words
	Whole bool          `json:"whole"`         // it came to its end
}

// By is what had tables be looked at.
type By string

// What there is.
const (
	BySchedule By = "schedule"
	ByHand     By = "hand"
	ByStart    By = "start" // of the agent, to verify what an earlier run has done
)

const (
	outcomesFile = "outcomes.json"
	// keepOutcomes is as far back as people ask: a quarter of a year of looks each day.
	keepOutcomes = 100
)

// Note remembers what a look came to.
func (m *Memory) Note(o Outcome) error {
	release, err := tableMemory{m.dir}.hold("outcomes.lock", syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer release()
	all, err := m.Outcomes()
	if err != nil {
		return err
	}
	all = append([]Outcome{o}, all[:min(len(all), keepOutcomes-1)]...)
	content, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(m.dir, outcomesFile), func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// Outcomes are what the last looks came to, the newest first.
func (m *Memory) Outcomes() (all []Outcome, err error) {
	path := filepath.Join(m.dir, outcomesFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &all)
	}
	if err != nil {
		return nil, fmt.Errorf("read what the last looks at tables came to: %w; a file that is broken may be removed: %s", err, path)
	}
	return all, nil
}

// latest is the last report, and by which rules it was made.
type latest struct {
	Policy string       `json:"policy"` // a digest
	Report proof.Report `json:"report"`
}

const latestFile = "report.json"

// Keep remembers a report that was made by the rules of a spec, instead of the one before.
func (m *Memory) Keep(by spec.Retention, r proof.Report) error {
	content, err := json.Marshal(latest{policyOfAll(by), r})
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(m.dir, latestFile), func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// Latest is the last report, a zero one where there is none. same tells whether it was made by the
// same rules of the same places.
func (m *Memory) Latest(by spec.Retention) (r proof.Report, same bool, err error) {
	content, err := os.ReadFile(filepath.Join(m.dir, latestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, false, nil
	}
	var kept latest
	if err == nil {
		err = json.Unmarshal(content, &kept)
	}
	if err != nil {
		return r, false, fmt.Errorf("read the last report of tables: %w; the next one replaces it: flumen-agent retention plan", err)
	}
	return kept.Report, kept.Policy == policyOfAll(by), nil
}

// SameLatest tells whether the last report is still in the same file, and gives that: nil where there
// is none.
func (m *Memory) SameLatest(before os.FileInfo) (now os.FileInfo, same bool) {
	now, err := os.Stat(filepath.Join(m.dir, latestFile))
	if err != nil {
		return nil, before == nil
	}
	return now, before != nil && os.SameFile(before, now) && before.ModTime().Equal(now.ModTime())
}

// policyOfAll is a digest of what a spec says about tables: where they are, and each rule.
func policyOfAll(r spec.Retention) string {
	text := r.String()
	for _, rule := range r.Rules {
		text += "\n" + rule.String()
	}
	return short(text)
}

// LastScheduled is when the last look began that a schedule asked for and that came to its end;
// zero: there was none.
func (m *Memory) LastScheduled() time.Time {
	all, _ := m.Outcomes() // what cannot be read was not done
	for _, o := range all {
		if o.By == BySchedule && o.Whole {
			return o.At
		}
	}
	return time.Time{}
}
