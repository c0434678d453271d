package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Check is one look at how far reality is from a revision. Nothing was changed.
type Check struct {
	Project     string
	Revision    spec.Revision
	At          time.Time
	Differences drift.Drift
	Blind       map[spec.Ref]string
}

// NewCheck sums up one look.
func NewCheck(want spec.Desired, have drift.Observed, d drift.Drift) Check {
	return Check{Project: want.Project, Revision: want.Revision, At: have.At, Differences: d, Blind: have.Blind}
}

// MarshalJSON writes the check for machines.
func (c Check) MarshalJSON() ([]byte, error) {
	differences := c.Differences
	if differences == nil {
		differences = drift.Drift{}
	}
	return json.Marshal(struct {
		Project     string              `json:"project"`
		Revision    spec.Revision       `json:"revision"`
		At          time.Time           `json:"at"`
		InSync      bool                `json:"in_sync"`
		Differences drift.Drift         `json:"differences"`
		Blind       map[spec.Ref]string `json:"blind"`
	}{c.Project, c.Revision, c.At, c.Differences.InSync(), differences, c.Blind})
}

// Text writes the check for people, tier by tier.
func (c Check) Text(w io.Writer, paint plan.Paint) {
	if c.Differences.InSync() {
		fmt.Fprintf(w, "%s %s is in sync with revision %s.\n", paint.On(plan.Green, "✓"), c.Project, c.Revision.Short())
		return
	}
	fmt.Fprintf(w, "%s differs from revision %s:\n", paint.On(plan.Bold, c.Project), c.Revision.Short())
	tier := "-"
	for _, d := range c.Differences {
		if d.Tier != tier {
			tier = d.Tier
			fmt.Fprintf(w, "\n  %s\n", paint.On(plan.Bold, tierTitle(tier)))
		}
		fmt.Fprintf(w, "    %s %s %s\n", paint.On(colour(d.Verdict), pad(string(d.Verdict), 8)), pad(d.Ref.String(), 32), paint.On(plan.Dim, d.Reason))
		plan.FieldsText(w, d.Fields, "          ", paint)
	}
	fmt.Fprintf(w, "\n%s. To see what would be done: flumen-agent plan\n", Counted(len(c.Differences), "difference"))
}

func tierTitle(tier string) string {
	if tier == "" {
		return "in no tier"
	}
	return "tier " + tier
}

func colour(v drift.Verdict) string {
	switch v {
	case drift.Missing, drift.Down, drift.Foreign:
		return plan.Red
	}
	return plan.Yellow
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}
