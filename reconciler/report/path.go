package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Waited is what a step waited for last, of all that had to come first in its stage.
type Waited struct {
	Ref   spec.Ref  `json:"ref"`
	Until string    `json:"until"` // the phase, as in "ready"
	At    time.Time `json:"at"`    // when it had come so far
}

// Path is the chain of steps that bounded a run, the first one first: each could only begin
// when the one before it had come far enough. Making any other step faster changes nothing.
type Path []Link

// Link is one step of a Path.
type Link struct {
	Tier string    `json:"tier"`
	Verb plan.Verb `json:"verb"`
	Ref  spec.Ref  `json:"ref"`
	// Idle is how long nothing of the chain went on before it began: a look, or other steps
	// that the engine was busy with.
	Idle time.Duration `json:"idle_ns"`
	// Took is its own time: until the next one could begin, or its end.
	Took time.Duration `json:"took_ns"`
}

// Took is the own time of all steps of the chain.
func (p Path) Took() time.Duration {
	var all time.Duration
	for _, link := range p {
		all += link.Took
	}
	return all
}

// String writes the chain in a line: "service/db 1.2s → service/web 3.4s".
func (p Path) String() string {
	var parts []string
	for _, link := range p {
		parts = append(parts, link.Ref.String()+" "+Duration(link.Took))
	}
	return strings.Join(parts, " → ")
}

// Path goes back from the step that ended last. It is empty for a run that did nothing.
func (r Report) Path() Path {
	var path Path
	i, until := r.endedLast(len(r.Steps))
	for i >= 0 {
		s := r.Steps[i]
		before, at := r.before(i)
		path = append(Path{{Tier: s.Tier, Verb: s.Verb, Ref: s.Ref, Idle: s.Began.Sub(at), Took: until.Sub(s.Began)}}, path...)
		i, until = before, at
	}
	return path
}

// endedLast is, of the steps before this one, the one that ended last, and when; -1 and the
// run's beginning if none had its turn.
func (r Report) endedLast(until int) (step int, at time.Time) {
	step, at = -1, r.At
	for i, s := range r.Steps[:until] {
		if end := s.Began.Add(s.Took); !s.Began.IsZero() && (step < 0 || end.After(at)) {
			step, at = i, end
		}
	}
	return step, at
}

// before is the step that one had to wait for, and when it had come far enough. What waits
// for nothing of its own stage waited for the stages before it, whose steps come earlier.
func (r Report) before(i int) (step int, at time.Time) {
	s, first := r.Steps[i], i
	for first > 0 && r.Steps[first-1].Tier == s.Tier {
		first--
	}
	if s.Waited != nil {
		for j := first; j < i; j++ {
			if r.Steps[j].Ref == s.Waited.Ref && !r.Steps[j].Began.IsZero() {
				return j, s.Waited.At
			}
		}
	}
	return r.endedLast(first)
}

// pathText says what bounded a run of several steps that came out well.
func (r Report) pathText() string {
	path := r.Path()
	if !r.Ready || len(path) < 2 {
		return ""
	}
	return fmt.Sprintf("  critical path %s of %s: %s\n", Duration(path.Took()), Duration(r.Took), path)
}

// Became is how something came to be as it is: how long it took, and what it waited for.
type Became struct {
	Run    int64         `json:"run"` // of the history
	At     time.Time     `json:"at"`  // when it was ready
	Took   time.Duration `json:"took_ns"`
	Waited time.Duration `json:"waited_ns"`     // from the run's beginning to its turn
	For    *spec.Ref     `json:"for,omitempty"` // what it waited for last; nil: only for the look
}

// Converged is the last run that brought services up, and what bounded it.
type Converged struct {
	Run  int64         `json:"run"`
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took_ns"`
	Path Path          `json:"path"`
}

// Remember adds what runs tell of how things came to be: given are those that did the last
// act on anything, newest first.
func (s *Status) Remember(runs []Past) {
	became := map[spec.Ref]*Became{}
	for _, run := range runs {
		for ref, one := range run.became() {
			if became[ref] == nil {
				became[ref] = one
			}
		}
		if s.Converged == nil {
			s.Converged = run.converged()
		}
	}
	for _, tier := range s.Tiers {
		for i := range tier.Resources {
			tier.Resources[i].Became = became[tier.Resources[i].Ref]
		}
	}
}

// became tells it of every service that the run brought up.
func (p Past) became() map[spec.Ref]*Became {
	all := map[spec.Ref]*Became{}
	for i, s := range p.Report.Steps {
		if !s.broughtUp() {
			continue
		}
		one := &Became{Run: p.ID, At: s.Began.Add(s.Took), Took: s.Took, Waited: s.Began.Sub(p.Report.At)}
		if before, _ := p.Report.before(i); before >= 0 {
			one.For = &p.Report.Steps[before].Ref
		}
		all[s.Ref] = one
	}
	return all
}

func (p Past) converged() *Converged {
	for _, s := range p.Report.Steps {
		if s.broughtUp() {
			return &Converged{Run: p.ID, At: p.Report.At, Took: p.Report.Took, Path: p.Report.Path()}
		}
	}
	return nil
}

// broughtUp tells of a service that runs, or has done its work, since this step.
func (s Step) broughtUp() bool {
	switch s.Verb {
	case plan.VerbCreate, plan.VerbReplace, plan.VerbStart, plan.VerbRestart:
		return s.Ref.Kind == spec.KindService && s.Outcome == Done && !s.Began.IsZero()
	}
	return false
}

// text says it in a few words, for a service or a job that is done.
func (b *Became) text(done bool) string {
	word := "ready"
	if done {
		word = "done"
	}
	text := word + " in " + Duration(b.Took)
	if b.For != nil {
		text += fmt.Sprintf(" after waiting %s for %s", Duration(b.Waited), b.For)
	}
	return text
}

func (c *Converged) text() string {
	return fmt.Sprintf("last brought up at %s UTC in %s (run %d); critical path %s: %s", when(c.At), Duration(c.Took), c.Run, Duration(c.Path.Took()), c.Path)
}
