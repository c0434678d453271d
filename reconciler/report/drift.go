package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
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
	Tiers       []TierStatus // how each stood, lowest first
	// Usage is how much each bucket holds, differing or not, of those whose store tells.
	Usage map[spec.Ref]drift.Usage

	Would *plan.Plan // what converging would do, and what is held

	// What follows only an agent can tell, or what it remembers.

	Ahead string            // why another revision than the wanted one is kept up, or ""
	Seen  map[spec.Ref]Seen // since when each thing differs
	New   []spec.Ref        // differ now, and did not at the check before
	Gone  []spec.Ref        // differed then, and do not now
}

// Seen is since when a thing has been seen to differ in one way, and what is known of why.
type Seen struct {
	Verdict drift.Verdict `json:"verdict"`
	Since   time.Time     `json:"since"`
	Cause   string        `json:"cause,omitempty"`
}

// NewCheck sums up one look.
func NewCheck(want spec.Desired, have drift.Observed, d drift.Drift) Check {
	return Check{
		Project: want.Project, Revision: want.Revision, At: have.At, Differences: d, Blind: have.Blind,
		Tiers: NewStatus(want, have, d).Tiers, Usage: usageIn(have),
	}
}

func usageIn(have drift.Observed) map[spec.Ref]drift.Usage {
	all := map[spec.Ref]drift.Usage{}
	for ref, found := range have.Found {
		if found.Usage != nil {
			all[ref] = *found.Usage
		}
	}
	return all
}

// UsageOf is how much something holds, or nil.
func (c Check) UsageOf(ref spec.Ref) *drift.Usage {
	if u, ok := c.Usage[ref]; ok {
		return &u
	}
	return nil
}

// usage is how much one thing holds.
type usage struct {
	Ref spec.Ref
	drift.Usage
}

// Size is that in few digits.
func (u usage) Size() string { return spec.RoughSize(u.Bytes) }

// usages are those of all things, in order.
func (c Check) usages() []usage {
	var all []usage
	for _, ref := range slices.SortedFunc(maps.Keys(c.Usage), spec.Ref.Compare) {
		all = append(all, usage{ref, c.Usage[ref]})
	}
	return all
}

// MarshalJSON writes the check for machines.
func (c Check) MarshalJSON() ([]byte, error) {
	differences := []datedDifference{}
	for _, d := range c.Differences {
		differences = append(differences, datedDifference{d, c.Seen[d.Ref].Since, c.Seen[d.Ref].Cause})
	}
	return json.Marshal(struct {
		Project     string                   `json:"project"`
		Revision    spec.Revision            `json:"revision"`
		At          time.Time                `json:"at"`
		InSync      bool                     `json:"in_sync"`
		Differences []datedDifference        `json:"differences"`
		Blind       map[spec.Ref]string      `json:"blind"`
		Usage       map[spec.Ref]drift.Usage `json:"usage,omitempty"`
		Ahead       string                   `json:"ahead,omitempty"`
		New         []spec.Ref               `json:"new,omitempty"`
		Gone        []spec.Ref               `json:"gone,omitempty"`
		Would       *plan.Plan               `json:"would,omitempty"`
	}{c.Project, c.Revision, c.At, c.Differences.InSync(), differences, c.Blind, c.Usage, c.Ahead, c.New, c.Gone, c.Would})
}

type datedDifference struct {
	drift.Difference
	Since time.Time `json:"since,omitzero"`
	Cause string    `json:"cause,omitempty"`
}

// Text writes the check for people, tier by tier.
func (c Check) Text(w io.Writer, paint plan.Paint) {
	if c.Differences.InSync() {
		fmt.Fprintf(w, "%s %s is in sync with revision %s.\n", paint.On(plan.Green, "✓"), c.Project, c.Revision.Short())
		c.tablesText(w, paint)
		return
	}
	fmt.Fprintf(w, "%s differs from revision %s:\n", paint.On(plan.Bold, c.Project), c.Revision.Short())
	tier := "-"
	for _, d := range c.Differences {
		if d.Tier != tier {
			tier = d.Tier
			fmt.Fprintf(w, "\n  %s\n", paint.On(plan.Bold, tierTitle(tier)))
		}
		fmt.Fprintf(w, "    %s %s %s\n", paint.On(colour(d.Verdict), pad(string(d.Verdict), 8)), pad(d.Ref.String(), 32), paint.On(plan.Dim, reason(d)+c.history(d.Ref)))
		plan.UsageText(w, c.UsageOf(d.Ref), "          ", paint)
		plan.FieldsText(w, d.Fields, "          ", paint)
	}
	c.tablesText(w, paint)
	fmt.Fprintf(w, "\n%s. To see what would be done: flumen-agent plan\n", Counted(len(c.Differences), "difference"))
}

// tablesText says that nobody knows how Delta tables are.
func (c Check) tablesText(w io.Writer, paint plan.Paint) {
	if why, unknown := c.Blind[spec.Ref{Kind: spec.KindTable}]; unknown {
		fmt.Fprintf(w, "  %s %s\n", paint.On(plan.Yellow, "Delta tables:"), why)
	}
}

// reason says why something differs, and what that may harm.
func reason(d drift.Difference) string {
	if len(d.NeededBy) == 0 {
		return d.Reason
	}
	var names []string
	for _, ref := range d.NeededBy {
		names = append(names, ref.String())
	}
	return d.Reason + "; needed by " + strings.Join(names, ", ")
}

// history says since when something differs, and why, as far as that is known.
func (c Check) history(ref spec.Ref) string {
	text := ""
	seen := c.Seen[ref]
	if before := c.At.Sub(seen.Since); !seen.Since.IsZero() && before >= time.Second {
		text = ", for " + age(before)
	}
	if seen.Cause != "" {
		text += " (" + seen.Cause + ")"
	}
	return text
}

func tierTitle(tier string) string {
	if tier == "" {
		return "in no tier"
	}
	return "tier " + tier
}

func colour(v drift.Verdict) string {
	switch v {
	case drift.Missing, drift.Down, drift.Foreign, drift.Critical:
		return plan.Red
	}
	return plan.Yellow
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}
