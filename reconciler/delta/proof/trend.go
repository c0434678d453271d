package proof

import (
	"fmt"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Point is what a look at a table has shown, to hold later ones against.
type Point struct {
	At     time.Time   `json:"at"`
	ID     string      `json:"id"`     // of the table
	Vacuum spec.Vacuum `json:"vacuum"` // a lite look shows less than a full one
	Live   Amount      `json:"live"`
	CanGo  Amount      `json:"can_go"` // or could, but for a finding
	Log    Amount      `json:"log"`
}

// Point is what this look has shown at a time; ok is false where the table was not looked through.
func (t *Table) Point(at time.Time) (p Point, ok bool) {
	canGo := Amount{t.Goes.Files + t.Held.Files, t.Goes.Bytes + t.Held.Bytes}
	return Point{at, t.ID, t.Vacuum, t.Live, canGo, t.Log}, t.ID != "" && t.Vacuum != ""
}

// pointsKept is how many points are remembered, of which there is one a day of each kind: a month of looks each day, and
// those at all files among them.
const pointsKept = 40

// Remember adds a point to those of a table, oldest first. It takes the place of one of the same day.
func Remember(all []Point, p Point) []Point {
	var kept []Point
	for _, o := range all {
		if o.ID == p.ID && !(o.Vacuum == p.Vacuum && date(o.At) == date(p.At)) {
			kept = append(kept, o)
		}
	}
	kept = append(kept, p)
	return kept[max(0, len(kept)-pointsKept):]
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Trend is how much more there is of a table than at an earlier look, or less.
type Trend struct {
	Since time.Time `json:"since"`
	Live  Amount    `json:"live"`
	CanGo Amount    `json:"can_go"`
	Log   Amount    `json:"log"`
}

// TrendOf holds a point against the newest one of an earlier day that was made in the same way; nil: there is none.
func TrendOf(all []Point, p Point) *Trend {
	for i := len(all) - 1; i >= 0; i-- {
		if o := all[i]; o.ID == p.ID && o.Vacuum == p.Vacuum && date(o.At) < date(p.At) {
			return &Trend{o.At, p.Live.less(o.Live), p.CanGo.less(o.CanGo), p.Log.less(o.Log)}
		}
	}
	return nil
}

func (a Amount) less(b Amount) Amount { return Amount{a.Files - b.Files, a.Bytes - b.Bytes} }

// String is "since 2026-10-23: live +12 files, +1.2 GiB · can go -3 files, -40.0 MiB"; "" where nothing has changed.
func (t *Trend) String() string {
	var parts []string
	for _, one := range []struct {
		name string
		Amount
	}{{"live", t.Live}, {"can go", t.CanGo}, {"log", t.Log}} {
		if one.Amount != (Amount{}) {
			parts = append(parts, fmt.Sprintf("%s %s, %s", one.name, signed(one.Files, func(n int64) string { return spec.Counted(n, "file") }), signed(one.Bytes, spec.RoughSize)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "since " + date(t.Since) + ": " + strings.Join(parts, " · ")
}

func signed(n int64, says func(int64) string) string {
	if n < 0 {
		return "-" + says(-n)
	}
	return "+" + says(n)
}
