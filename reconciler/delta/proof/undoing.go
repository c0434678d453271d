package proof

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Undoing is what became of bringing back what a run has removed.
type Undoing struct {
	Run    string        `json:"run"`
	Tables []UndoneTable `json:"tables"`
}

// UndoneTable is that of one table.
type UndoneTable struct {
	Name     string   `json:"name"`
	Place    string   `json:"place"`
	Restored Amount   `json:"restored"`
	There    int64    `json:"were_there"` // files that were not gone
	Missing  int64    `json:"missing"`    // files that are not there afterwards
	Examples []string `json:"missing_for_example,omitempty"`
	Verified bool     `json:"verified"`          // a list of the table shows all of them
	Renewed  bool     `json:"renewed,omitempty"` // by the store they were written when they came back
	Why      string   `json:"why,omitempty"`
}

// Err is nil when all is there.
func (t UndoneTable) Err() error {
	switch {
	case t.Why != "":
		return errors.New(t.Why)
	case t.Missing > 0:
		return fmt.Errorf("%s could not be brought back, such as %s", spec.Counted(t.Missing, "file"), strings.Join(t.Examples, ", "))
	}
	return nil
}

// Err is that of the first table where something is not there.
func (u Undoing) Err() error {
	for _, t := range u.Tables {
		if err := t.Err(); err != nil {
			return fmt.Errorf("%s: %w", t.Place, err)
		}
	}
	return nil
}

// Text writes it for people.
func (u Undoing) Text(w io.Writer, paint plan.Paint) {
	for _, t := range u.Tables {
		called := t.Name
		if called == "" {
			called = t.Place
		}
		fmt.Fprintf(w, "%s: %s\n", paint.On(plan.Bold, called), t.says(paint))
	}
}

func (t UndoneTable) says(paint plan.Paint) string {
	text := fmt.Sprintf("%s brought back", t.Restored)
	if t.There > 0 {
		text += fmt.Sprintf(", %s there already", spec.Counted(t.There, "file"))
	}
	if err := t.Err(); err != nil {
		return text + ": " + paint.On(plan.Red, err.Error())
	}
	text += "; all are there"
	if t.Renewed {
		text += "; by the store they were written just now, so that none of them goes for as long as the rule keeps what was removed"
	}
	return text + ". The table is locked: flumen-agent retention unlock lets runs go on with it"
}
