package plan

import (
	"fmt"
	"io"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Paint colours a text for a terminal, or gives it back as it is. The zero value
// paints nothing.
type Paint bool

// The colours, as terminals number them.
const (
	Bold   = "1"
	Dim    = "2"
	Red    = "31"
	Green  = "32"
	Yellow = "33"
	Blue   = "36"
)

// On gives the text in a colour.
func (p Paint) On(colour, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// signs are the mark and the colour of each verb.
var signs = map[Verb]struct{ mark, colour string }{
	VerbPull:    {"+", Green},
	VerbBuild:   {"+", Green},
	VerbCreate:  {"+", Green},
	VerbUpdate:  {"~", Yellow},
	VerbReplace: {"±", Yellow},
	VerbStart:   {">", Green},
	VerbRestart: {">", Yellow},
	VerbWait:    {".", Blue},
	VerbRemove:  {"-", Red},
}

// Text writes the plan for people: what will be done in which order and why, which
// attributes change from what to what, and what is held.
func (p Plan) Text(w io.Writer, paint Paint) {
	if p.Empty() && len(p.Held) == 0 {
		fmt.Fprintf(w, "Nothing to do: %s is as revision %s says.\n", p.Project, p.Revision.Short())
		return
	}
	fmt.Fprintf(w, "Plan for %s at revision %s\n", paint.On(Bold, p.Project), p.Revision.Short())
	for _, stage := range p.Stages {
		fmt.Fprintf(w, "\n  %s\n", paint.On(Bold, stageTitle(stage.Tier)))
		for _, step := range stage.Steps {
			step.text(w, paint)
		}
	}
	p.heldText(w, paint)
	fmt.Fprintf(w, "\n%s\n", p.Summary())
}

func stageTitle(name string) string {
	switch name {
	case StageImages:
		return "images"
	case StagePrepare:
		return "made ready ahead"
	case StageRemove:
		return "removed last"
	}
	return "tier " + name
}

func (s Step) text(w io.Writer, paint Paint) {
	verb := s.Change.Verb()
	sign := signs[verb]
	name := s.Change.Ref().String()
	if r, ok := s.Change.(Replace); ok && r.Have.Ref != r.Ref() {
		name += " in the place of " + r.Have.Ref.String()
	}
	fmt.Fprintf(w, "    %s %s %s\n", paint.On(sign.colour, sign.mark), paint.On(sign.colour, pad(string(verb), 8)),
		pad(name, 32)+" "+paint.On(Dim, s.Reason()))
	UsageText(w, s.Usage(), "          ", paint)
	FieldsText(w, s.Fields, "          ", paint)
}

// UsageText writes a line that says how much something holds, if that is known.
func UsageText(w io.Writer, u *drift.Usage, indent string, paint Paint) {
	if u != nil {
		fmt.Fprintf(w, "%sholds %s\n", indent, paint.On(Bold, u.String()))
	}
}

// FieldsText writes one line for each field: its name, what is, what should be.
func FieldsText(w io.Writer, fields []drift.Field, indent string, paint Paint) {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.Name))
	}
	for _, f := range fields {
		have, want := shown(f.Have), shown(f.Want)
		if have == want && f.Have.IsSensitive() {
			have, want = spec.Masked, spec.Masked+" (another value)"
		}
		fmt.Fprintf(w, "%s%s  %s → %s\n", indent, pad(f.Name, width), paint.On(Red, have), paint.On(Green, want))
	}
}

func shown(v spec.Value) string {
	if v.IsZero() {
		return "(none)"
	}
	if v.String() == "" {
		return `""`
	}
	return v.String()
}

func (p Plan) heldText(w io.Writer, paint Paint) {
	if len(p.Held) == 0 {
		return
	}
	fmt.Fprintf(w, "\n  %s\n", paint.On(Bold, "held: nothing is done about these"))
	for _, h := range p.Held {
		fmt.Fprintf(w, "    %s %s %s\n", paint.On(Yellow, "!"), pad(h.Ref.String(), 32), paint.On(Dim, "rule "+h.Rule+": ")+h.Reason)
		UsageText(w, h.Usage, "          ", paint)
		FieldsText(w, h.Fields, "          ", paint)
	}
}

// Summary counts the steps by verb: "2 to create, 1 to replace, 1 held."
func (p Plan) Summary() string {
	counts := map[Verb]int{}
	for _, s := range p.Steps() {
		counts[s.Change.Verb()]++
	}
	var parts []string
	for _, v := range []Verb{VerbPull, VerbBuild, VerbCreate, VerbUpdate, VerbReplace, VerbStart, VerbRestart, VerbWait, VerbRemove} {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, infinitive(v)))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing to do")
	}
	if n := len(p.Held); n > 0 {
		parts = append(parts, fmt.Sprintf("%d held", n))
	}
	return strings.Join(parts, ", ") + "."
}

func infinitive(v Verb) string {
	if v == VerbWait {
		return "wait for"
	}
	return string(v)
}

func pad(s string, width int) string {
	if n := len([]rune(s)); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}
