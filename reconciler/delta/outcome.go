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
