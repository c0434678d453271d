package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Age tells since when things differ, from what the check before has seen, and gives what
// is to be remembered for the next. What differs in another way than before counts anew, and
// cause tells why it does.
func (c *Check) Age(before map[spec.Ref]Seen, cause func(spec.Ref) string) (now map[spec.Ref]Seen) {
	now = map[spec.Ref]Seen{}
	for _, d := range c.Differences {
		seen, known := before[d.Ref]
		if !known {
			c.New = append(c.New, d.Ref)
		}
		if seen.Verdict != d.Verdict {
			seen = Seen{Verdict: d.Verdict, Since: c.At.Round(0)}
		}
		if seen.Cause == "" { // the event may come in after the look
			seen.Cause = cause(d.Ref)
		}
		now[d.Ref] = seen
	}
	for _, ref := range slices.SortedFunc(maps.Keys(before), spec.Ref.Compare) {
		if _, still := now[ref]; !still {
			c.Gone = append(c.Gone, ref)
		}
	}
	c.Seen = now
	return now
}

// Markdown writes the check for people who read it later and elsewhere.
func (c Check) Markdown(w io.Writer) {
	fmt.Fprintf(w, "# Drift of %s\n\n", c.Project)
	fmt.Fprintf(w, "%s at revision `%s`, looked at %s.\n", c.verdict(), c.Revision.Short(), c.At.Format(time.RFC3339))
	if c.Ahead != "" {
		fmt.Fprintf(w, "\nThis is not the wanted revision: %s.\n", cell(c.Ahead))
	}
	c.differencesMarkdown(w)
	refsMarkdown(w, "New since the check before", c.New)
	refsMarkdown(w, "Gone since the check before", c.Gone)
	if len(c.Blind) > 0 {
		fmt.Fprint(w, "\n## Could not be looked at\n\n")
		for _, ref := range slices.SortedFunc(maps.Keys(c.Blind), spec.Ref.Compare) {
			fmt.Fprintf(w, "- `%s`: %s\n", ref, cell(c.Blind[ref]))
		}
	}
	c.usageMarkdown(w)
	c.wouldMarkdown(w)
}

func (c Check) verdict() string {
	if c.Differences.InSync() {
		return "**In sync**"
	}
	return "**" + Counted(len(c.Differences), "difference") + "**"
}

func (c Check) differencesMarkdown(w io.Writer) {
	tier := "-"
	for _, d := range c.Differences {
		if d.Tier != tier {
			tier = d.Tier
			fmt.Fprintf(w, "\n## In %s\n\n| what | is | field | wanted | had | since | cause |\n|---|---|---|---|---|---|---|\n", strings.TrimPrefix(tierTitle(tier), "in "))
		}
		since, cause := "", ""
		if seen, ok := c.Seen[d.Ref]; ok {
			since, cause = seen.Since.Format(time.RFC3339), cell(seen.Cause)
		}
		if d.Critical != "" && len(d.Fields) > 0 {
			fmt.Fprintf(w, "| `%s` | **critical** | %s | | | %s | %s |\n", d.Ref, cell(d.Critical), since, cause)
		}
		if len(d.Fields) == 0 {
			fmt.Fprintf(w, "| `%s` | %s | %s | | | %s | %s |\n", d.Ref, d.Verdict, cell(reason(d)), since, cause)
		}
		for _, f := range d.Fields {
			fmt.Fprintf(w, "| `%s` | %s | `%s` | %s | %s | %s | %s |\n", d.Ref, d.Verdict, f.Name, value(f.Want), value(f.Have), since, cause)
		}
	}
}

func (c Check) usageMarkdown(w io.Writer) {
	if len(c.Usage) == 0 {
		return
	}
	fmt.Fprint(w, "\n## What buckets hold\n\n| bucket | objects | size | as of |\n|---|--:|--:|---|\n")
	for _, one := range c.usages() {
		fmt.Fprintf(w, "| `%s` | %d | %s | %s |\n", one.Ref, one.Objects, one.Size(), one.At.Format(time.RFC3339))
	}
}

func (c Check) wouldMarkdown(w io.Writer) {
	if c.Would == nil {
		return
	}
	if steps := c.Would.Steps(); len(steps) > 0 {
		fmt.Fprint(w, "\n## What converging would do\n\n")
		for _, s := range steps {
			fmt.Fprintf(w, "- %s `%s`: %s%s\n", s.Change.Verb(), s.Change.Ref(), cell(s.Reason()), holds(s.Usage()))
		}
	}
	if len(c.Would.Held) > 0 {
		fmt.Fprint(w, "\n## Held: nothing is done about these\n\n")
		for _, h := range c.Would.Held {
			fmt.Fprintf(w, "- `%s`, rule %s: %s%s\n", h.Ref, h.Rule, cell(h.Reason), holds(h.Usage))
		}
	}
}

// holds says how much something holds, behind another text.
func holds(u *drift.Usage) string {
	if u == nil {
		return ""
	}
	return "; it holds " + u.String()
}

func refsMarkdown(w io.Writer, title string, refs []spec.Ref) {
	if len(refs) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", title)
	for _, ref := range refs {
		fmt.Fprintf(w, "- `%s`\n", ref)
	}
}

// value writes one side of a field; what is not there is left empty.
func value(v spec.Value) string {
	if v == (spec.Value{}) {
		return ""
	}
	return "`" + strings.ReplaceAll(cell(v.String()), "`", "'") + "`"
}

// cell keeps a text on one line and inside its column.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ").Replace(text)
}
