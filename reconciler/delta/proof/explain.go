package proof

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Watch has a replay note what the log says about one file.
type Watch struct {
	Key      string // relative to the root
	Mentions []Mention
}

// Mention is one place in the log that names a file, or may name it.
type Mention struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at,omitzero"` // zero when nobody knows
	Says    string    `json:"says"`
	As      string    `json:"as,omitempty"` // how it is spelled there, unless like the file
}

// The things that a log says of a file.
const (
	saysAdded        = "added"
	saysRemoved      = "removed"
	saysChange       = "written as change data"
	saysIn           = "in the checkpoint"
	saysRemembered   = "removed, as the checkpoint remembers"
	saysVectorSuffix = ", as a deletion vector"
)

// hear notes a mention of the watched file, if it is one.
func (w *Watch) hear(version int64, at time.Time, says, raw string, p Path, v vectorFile) {
	if w == nil {
		return
	}
	base := path.Base(w.Key)
	vector := v.relative == w.Key || v.uuid != "" && slices.Contains(uuids(base), v.uuid) || v.away != nil && v.away.means(w.Key, base)
	switch {
	case p.means(w.Key, base):
	case vector:
		says += saysVectorSuffix
	default:
		return
	}
	m := Mention{version, at, says, raw}
	if raw == w.Key || vector {
		m.As = ""
	}
	w.Mentions = append(w.Mentions, m)
}

// means tells whether the path can mean a file of the table.
func (p Path) means(key, base string) bool {
	return p.Key == key || slices.Contains(p.Others, key) || p.Base != "" && p.Base == base
}

// Explanation says of one file whether it may go, and why.
type Explanation struct {
	File    string    `json:"file"`
	Table   string    `json:"table,omitempty"` // its name
	Place   string    `json:"place,omitempty"` // of the table; "": no table that was found has it
	Version int64     `json:"version"`
	Policy  string    `json:"policy,omitempty"`
	Keep    string    `json:"keep,omitempty"`
	Cutoff  time.Time `json:"cutoff,omitzero"`

	Listed  bool      `json:"listed"` // it is there
	Size    int64     `json:"size"`
	Written time.Time `json:"written,omitzero"`
	Class   string    `json:"class,omitempty"`

	Goes     bool      `json:"goes"`
	Why      string    `json:"why"`
	History  []Mention `json:"history,omitempty"`  // oldest first
	Findings []Finding `json:"findings,omitempty"` // what keeps files of the table
}

// classNames are those of classes in reports.
var classNames = map[Class]string{
	Live: "live", Window: "kept for older versions", Young: "written lately", Dead: "removed", Orphan: "orphan", Change: "old change data",
	Unproven: "unproven", Anomaly: "anomaly", Foreign: "foreign", Hidden: "hidden", Nested: "of another table", Marker: "empty key of a folder", Waiting: "orphan seen too lately",
}

// String is the class as reports have it.
func (c Class) String() string { return classNames[c] }

// Explain says why a file is what it was judged to be, as far as its table's log tells.
func (s *State) Explain(c Class) string {
	cutoff := day(s.Cutoff)
	switch c {
	case Live:
		return "the newest version has it"
	case Window:
		return s.explainWindow()
	case Young:
		return fmt.Sprintf("no version has it, and it was not written before %s: it may belong to a commit that is still being made", day(s.youngest))
	case Dead:
		return fmt.Sprintf("it was removed before the cutoff, %s, no version has it since, and every commit since then is held", cutoff)
	case Orphan:
		return fmt.Sprintf("no version since the cutoff, %s, has it, and every commit since then is held; it was written before that", cutoff)
	case Waiting:
		return fmt.Sprintf("no version since the cutoff, %s, has it, but the lists of this agent have not shown it for %s yet: its age by the store alone is no proof", cutoff, spec.Span(s.Rule.MinAge))
	case Change:
		return fmt.Sprintf("it is change data of a version before the cutoff, %s", cutoff)
	case Unproven:
		if !s.covered {
			return fmt.Sprintf("no version that is known has it, but the log does not reach back to the cutoff, %s: a version that was cleaned up may have had it", cutoff)
		}
		return "the log names it, and not in a way that proves it dead"
	case Anomaly:
		return "it was added and never removed, and the newest version does not have it: something is wrong with the log"
	case Foreign:
		return "no writer of Delta gives its files such a name"
	case Hidden:
		return "readers of the table never see it: a part of its path begins with _ or a dot"
	case Nested:
		return "it lies in the folder of another table"
	case Marker:
		return "it is an empty key that stands for a folder"
	}
	panic(fmt.Sprintf("class %d", c))
}

// explainWindow says what keeps a file that is not live.
func (s *State) explainWindow() string {
	for _, m := range s.Watch.Mentions {
		if removal := m.Says == saysRemoved || m.Says == saysRemembered; !removal {
			continue
		}
		switch {
		case !m.At.Before(s.Cutoff):
			return fmt.Sprintf("version %d removed it on %s, which is not before the cutoff, %s: versions older than that stay readable", m.Version, day(m.At), day(s.Cutoff))
		case s.pinned >= 0:
			return fmt.Sprintf("%s version %d, and it was removed after that, or may have been", s.pinnedBy, s.pinned)
		}
	}
	if s.pinned >= 0 {
		return fmt.Sprintf("%s version %d, which may have it", s.pinnedBy, s.pinned)
	}
	return "a version that stays readable has it, or may have it"
}

// Judged puts in what became of the watched file in a finished plan: of its table, of the class
// of the file, and whether the plan lets it go.
func (e *Explanation) Judged(t Table, c Class, why string, goes, mayGo bool) {
	e.Class, e.Why, e.Goes = c.String(), why, goes
	for _, f := range t.Findings {
		if f.Effect != EffectNote {
			e.Findings = append(e.Findings, f)
		}
	}
	switch {
	case goes:
	case !mayGo && (c == Orphan || c == Change || c == Foreign || c == Dead):
		e.Why += "; but the rule keeps such files"
	case mayGo && len(e.Findings) > 0:
		e.Why += "; but what was found about the table keeps all its files"
	case mayGo:
		e.Why += "; but another table uses it, as a shallow clone does"
	}
}

// Text writes the explanation for people.
func (e Explanation) Text(w io.Writer, paint plan.Paint) {
	verdict := "stays"
	if e.Goes {
		verdict = "may go"
	}
	fmt.Fprintf(w, "%s %s: %s\n", paint.On(plan.Bold, e.File), verdict, e.Why)
	if e.Place == "" {
		return
	}
	called := e.Place
	if e.Table != "" {
		called = e.Table + ", " + e.Place
	}
	line := func(format string, args ...any) { fmt.Fprintf(w, "    "+format+"\n", args...) }
	line("table %s, version %d", called, e.Version)
	line("rule %s", e.Policy)
	if !e.Cutoff.IsZero() {
		line("kept for %s: what left the table before %s may go", e.Keep, e.Cutoff.UTC().Format(time.RFC3339))
	}
	if e.Listed {
		line("%s, written %s", spec.RoughSize(e.Size), e.Written.UTC().Format(time.RFC3339))
	}
	for _, m := range e.History {
		line("%s", m)
	}
	for _, f := range e.Findings {
		line("%s: %s", paint.On(f.Effect.colour(), string(f.Kind)), f.Says)
	}
}

// String is "version 12, 2026-10-23: added".
func (m Mention) String() string {
	text := Version{m.Version, m.At}.String()
	if m.As != "" {
		return fmt.Sprintf("version %s: %s, spelled %s", text, m.Says, m.As)
	}
	return fmt.Sprintf("version %s: %s", text, m.Says)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// FileOf is the place of a file as reports write it, whatever its scheme is called.
func FileOf(text string) string {
	for _, scheme := range []string{"s3a://", "s3n://", "S3://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return "s3://" + rest
		}
	}
	return text
}
