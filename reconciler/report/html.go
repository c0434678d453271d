package report

import (
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

//go:embed page.html
var pageText string

// pageTemplate escapes every value by where it stands: names and labels on an engine are
// anybody's to choose.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"utc":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
	"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"shown": shown,
}).Parse(pageText))

// page is what the template reads.
type page struct {
	Check
	Stands  string // of all, as of one thing
	Verdict string
	Numbers []number
	Picture picture
	Groups  []group
	Unseen  []unseen
	Steps   []plan.Step
	Held    []plan.Held
	Usages  []usage
	Words   []word
}

// number is a count of things, out of so many if that says something.
type number struct {
	Count, OutOf int
	What, Stands string
}

// group is what differs in one tier.
type group struct {
	Title string
	Rows  []row
}

// row is one difference with what is known of it.
type row struct {
	drift.Difference
	Seen   Seen
	Age    string // how long that is, or that it is new
	Stands string
}

// Lines are those of the table that a difference takes: one for each attribute, or one
// without.
func (r row) Lines() []drift.Field {
	if len(r.Fields) == 0 {
		return []drift.Field{{}}
	}
	return r.Fields
}

// Fill is how many these are.
func (r row) Fill() int { return len(r.Lines()) }

type unseen struct {
	Ref    spec.Ref
	Reason string
}

// word is a verdict and what it means.
type word struct {
	Verdict drift.Verdict
	Meaning string
}

// meanings are those of the verdicts, for people who do not know the agent.
var meanings = []word{
	{drift.Critical, "it is as wanted, and loses data, or shows it to everybody, as long as it stays so"},
	{drift.Missing, "it should be there, and is not"},
	{drift.Expired, "files of the table are older than its rule keeps them"},
	{drift.Changed, "it is there with other attributes than wanted"},
	{drift.Down, "it is as wanted, but does not run"},
	{drift.Unready, "it runs, but is not ready for work"},
	{drift.Extra, "it belongs to the project, and no tier asks for it"},
	{drift.Foreign, "something that is not the project's has its name"},
	{drift.Unseen, "it could not be looked at, so nobody knows"},
	{drift.Pending, "it can be looked at when the service that it lives in is ready and its store has time"},
	{drift.Stale, "an image that is to be asked for again"},
}

// HTML writes the check as one page that needs nothing else: to open, to send on and to
// print. Nothing of it is a script.
func (c Check) HTML(w io.Writer) error {
	p := page{
		Check: c, Picture: draw(c.Tiers), Numbers: c.numbers(), Groups: c.groups(), Unseen: c.unseen(), Usages: c.usages(), Words: c.words(),
	}
	p.Stands, p.Verdict = c.headline()
	if c.Would != nil {
		p.Steps, p.Held = c.Would.Steps(), c.Would.Held
	}
	return pageTemplate.Execute(w, p)
}

// headline is how all stands, and that in a few words.
func (c Check) headline() (stands, verdict string) {
	n := len(c.Differences)
	switch {
	case slices.ContainsFunc(c.Tiers, func(t TierStatus) bool { return !t.Ready }):
		return standsBad, Counted(n, "difference") + ", not ready"
	case n > 0:
		return standsDiffers, Counted(n, "difference")
	case len(c.Blind) > 0:
		return standsUnknown, "In sync as far as it could be seen"
	}
	return standsFine, "In sync"
}

// numbers are the counts at the head of the page.
func (c Check) numbers() []number {
	ready, fine, all := 0, 0, 0
	for _, t := range c.Tiers {
		if t.Ready {
			ready++
		}
		for _, r := range t.Resources {
			if all++; r.Verdict == "" && r.stands() == standsFine {
				fine++
			}
		}
	}
	held := 0
	if c.Would != nil {
		held = len(c.Would.Held)
	}
	return []number{
		{ready, len(c.Tiers), "tiers ready", standsIf(ready < len(c.Tiers), standsBad)},
		{fine, all, "things as wanted", standsIf(fine < all, standsDiffers)},
		{len(c.Differences), 0, plural(len(c.Differences), "difference"), standsIf(len(c.Differences) > 0, standsDiffers)},
		{held, 0, "held", standsIf(held > 0, standsDiffers)},
		{len(c.Blind), 0, "not seen", standsIf(len(c.Blind) > 0, standsUnknown)},
	}
}

func standsIf(so bool, stands string) string {
	if so {
		return stands
	}
	return standsFine
}

func plural(n int, thing string) string {
	if n == 1 {
		return thing
	}
	return thing + "s"
}

// groups are the differences by tier, in their order.
func (c Check) groups() []group {
	var all []group
	for _, d := range c.Differences {
		title := tierTitle(d.Tier)
		if len(all) == 0 || all[len(all)-1].Title != title {
			all = append(all, group{Title: title})
		}
		d.Reason = reason(d)
		r := row{Difference: d, Seen: c.Seen[d.Ref], Stands: c.standsOf(d)}
		if !r.Seen.Since.IsZero() {
			r.Age = "for " + age(c.At.Sub(r.Seen.Since))
		}
		if slices.Contains(c.New, d.Ref) {
			r.Age = "new"
		}
		last := &all[len(all)-1]
		last.Rows = append(last.Rows, r)
	}
	return all
}

// standsOf says how a thing that differs stands. What is in no tier harms nobody.
func (c Check) standsOf(d drift.Difference) string {
	for _, t := range c.Tiers {
		for _, r := range t.Resources {
			if r.Ref == d.Ref {
				return r.stands()
			}
		}
	}
	switch d.Verdict {
	case drift.Unseen:
		return standsUnknown
	case drift.Critical:
		return standsBad
	}
	return standsDiffers
}

// unseen is what could not be looked at, in order.
func (c Check) unseen() []unseen {
	var all []unseen
	for _, ref := range slices.SortedFunc(maps.Keys(c.Blind), spec.Ref.Compare) {
		all = append(all, unseen{ref, c.Blind[ref]})
	}
	return all
}

// words are the verdicts that occur.
func (c Check) words() []word {
	return slices.DeleteFunc(slices.Clone(meanings), func(w word) bool {
		return !slices.ContainsFunc(c.Differences, func(d drift.Difference) bool { return d.Verdict == w.Verdict })
	})
}

// shown is one side of an attribute as a person reads it.
func shown(v spec.Value) string {
	switch {
	case v.IsZero():
		return "(none)"
	case v.String() == "":
		return `""`
	}
	return fmt.Sprint(v)
}
