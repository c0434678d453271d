package reconciler

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// firstRetry is long enough for a person to read the error and fix the spec
	// before the same is tried again.
	firstRetry = 10 * time.Second
	// lookAgain is for what changed under our hands: nothing is wrong with it.
	lookAgain = time.Second
	// lastRetry bounds how long something that has come right by itself waits.
	lastRetry = 5 * time.Minute
)

// backoff remembers what failed at one revision and when it may be tried again.
type backoff struct {
	revision string
	failed   map[spec.Ref]failure
}

type failure struct {
	times int
	next  time.Time
}

// at forgets everything when the revision is another one: new content is a new try.
func (b *backoff) at(revision string) {
	if b.revision != revision {
		b.revision, b.failed = revision, map[spec.Ref]failure{}
	}
}

// note takes the outcome of a run into account.
func (b *backoff) note(steps []report.Step, now time.Time) {
	for _, s := range steps {
		switch s.Outcome {
		case report.Done:
			delete(b.failed, s.Ref)
		case report.Failed, report.RolledBack:
			f := b.failed[s.Ref]
			f.times++
			f.next = now.Add(delay(f.times))
			b.failed[s.Ref] = f
		case report.Stale:
			f := b.failed[s.Ref]
			f.times++
			f.next = now.Add(lookAgain)
			b.failed[s.Ref] = f
		}
	}
}

// delay doubles with each failure, up to lastRetry, give or take a fifth: agents that
// failed together do not come back together.
func delay(times int) time.Duration {
	d := min(firstRetry<<min(times-1, 10), lastRetry)
	return d - d/5 + rand.N(2*d/5)
}

// rule holds what failed and may not be tried again yet.
func (b *backoff) rule(now time.Time) plan.Rule {
	failed := maps.Clone(b.failed) // the rule is used while b goes on
	return plan.Rule{Name: plan.RuleBackoff, Holds: func(s plan.Step) string {
		f, ok := failed[s.Change.Ref()]
		if !ok || !now.Before(f.next) {
			return ""
		}
		return fmt.Sprintf("failed %s at this revision; tried again in %s, when the spec changes, or with: flumen-agent apply",
			times(f.times), f.next.Sub(now).Round(time.Second))
	}}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// next is the earliest time at which something may be tried again.
func (b *backoff) next() (time.Time, bool) {
	var first time.Time
	for _, f := range b.failed {
		if first.IsZero() || f.next.Before(first) {
			first = f.next
		}
	}
	return first, !first.IsZero()
}
