package reconciler

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
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
	// What has failed degradedAfter times in a row has had some twenty minutes. It is
	// degraded: tried once per degradedRetry, until the spec changes or a person says
	// apply.
	degradedAfter = 8
	degradedRetry = time.Hour
	// What is mended over and over, each time within flapWindow of the last, is not
	// mended: after freeMends in a row it waits like what failed.
	flapWindow = time.Minute
	freeMends  = 2
)

// backoff remembers what failed, or had to be mended too often, and when it may be
// tried again. It belongs to one goroutine.
type backoff struct {
	revision string
	failed   map[spec.Ref]failure
	mended   map[mending]failure
}

// failure is how often in a row something went wrong and when it may be tried again.
type failure struct {
	times int
	next  time.Time
	last  time.Time // when it was mended last
}

// mending is one way in which a thing is mended: started again, or made anew for a
// file that changed. The second outlives a revision, for the file is part of it.
type mending struct {
	ref   spec.Ref
	files bool
}

// at forgets failures when the revision is another one: new content is a new try.
func (b *backoff) at(revision string) {
	if b.revision == revision {
		return
	}
	b.revision, b.failed = revision, map[spec.Ref]failure{}
	if b.mended == nil {
		b.mended = map[mending]failure{}
	}
	maps.DeleteFunc(b.mended, func(m mending, _ failure) bool { return !m.files })
}

// note takes the outcome of a run into account.
func (b *backoff) note(rep report.Report, now time.Time) {
	for _, s := range rep.Steps {
		f := b.failed[s.Ref]
		f.times++
		switch s.Outcome {
		case report.Done:
			if d, differs := rep.After.Of(s.Ref); differs && d.Verdict == drift.Changed {
				f.next = now.Add(delay(f.times)) // it was done, and is not so all the same
				b.failed[s.Ref] = f
				continue
			}
			delete(b.failed, s.Ref)
			b.noteMending(s, now)
		case report.Failed, report.RolledBack:
			f.next = now.Add(delay(f.times))
			b.failed[s.Ref] = f
		case report.Stale:
			f.next = now.Add(min(lookAgain<<min(f.times-1, 10), lastRetry))
			b.failed[s.Ref] = f
		}
	}
}

func (b *backoff) noteMending(s report.Step, now time.Time) {
	m, ok := mendingOf(s.Ref, s.Verb, s.Fields)
	if !ok {
		return
	}
	f := b.mended[m]
	if now.Sub(f.last) > flapWindow+max(f.next.Sub(f.last), 0) {
		f = failure{}
	}
	f.times++
	f.last = now
	if f.times > freeMends {
		f.next = now.Add(delay(f.times - freeMends))
	}
	b.mended[m] = f
}

// mendingOf tells what kind of mending a step is, if it is one.
func mendingOf(ref spec.Ref, verb plan.Verb, fields []drift.Field) (mending, bool) {
	switch verb {
	case plan.VerbStart, plan.VerbRestart:
		return mending{ref: ref}, true
	case plan.VerbReplace:
		for _, f := range fields {
			if !strings.HasPrefix(f.Name, "file.") {
				return mending{}, false
			}
		}
		return mending{ref: ref, files: true}, len(fields) > 0
	}
	return mending{}, false
}

// delay doubles with each failure, up to lastRetry, give or take a fifth: agents that
// failed together do not come back together.
func delay(times int) time.Duration {
	d := min(firstRetry<<min(times-1, 10), lastRetry)
	if times >= degradedAfter {
		d = degradedRetry
	}
	return d - d/5 + rand.N(2*d/5)
}

// rule holds what may not be tried again yet.
func (b *backoff) rule(now time.Time) plan.Rule {
	failed, mended := maps.Clone(b.failed), maps.Clone(b.mended) // the rule is used while b goes on
	return plan.Rule{Name: plan.RuleBackoff, Holds: func(s plan.Step) string {
		ref := s.Change.Ref()
		if f := failed[ref]; now.Before(f.next) {
			return fmt.Sprintf("%sfailed %s at this revision; tried again in %s, when the spec changes, or with: flumen-agent apply",
				degraded(f.times), times(f.times), f.next.Sub(now).Round(time.Second))
		}
		m, _ := mendingOf(ref, s.Change.Verb(), s.Fields)
		f := mended[m]
		switch {
		case !now.Before(f.next):
			return ""
		case m.files:
			return fmt.Sprintf("was made anew %s in a row for a file that changed; if the container writes it itself, mount it read-only or say x-flumen.on_config_change: none; next time in %s",
				times(f.times), f.next.Sub(now).Round(time.Second))
		default:
			return fmt.Sprintf("%shad to be started %s in a row; next time in %s, or with: flumen-agent apply",
				degraded(f.times-freeMends), times(f.times), f.next.Sub(now).Round(time.Second))
		}
	}}
}

func degraded(times int) string {
	if times < degradedAfter {
		return ""
	}
	return "degraded: it "
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// next is the earliest time after ran, when the last run began, at which something may
// be tried again. What had its time by then needs no run of its own.
func (b *backoff) next(ran time.Time) (first time.Time, ok bool) {
	consider := func(f failure) {
		if f.next.After(ran) && (!ok || f.next.Before(first)) {
			first, ok = f.next, true
		}
	}
	for _, f := range b.failed {
		consider(f)
	}
	for _, f := range b.mended {
		consider(f)
	}
	return first, ok
}

// Retry is what is remembered of something that failed, or had to be mended again and
// again.
type Retry struct {
	Ref    spec.Ref  `json:"ref"`
	Mended bool      `json:"mended,omitempty"` // it was, and did not last; else it failed
	Files  bool      `json:"files,omitempty"`  // it was made anew for a file that changed
	Times  int       `json:"times"`
	Next   time.Time `json:"next"`
	Last   time.Time `json:"last,omitzero"`
}

// Degraded tells whether it is only tried from time to time.
func (r Retry) Degraded() bool {
	if r.Mended {
		return r.Times-freeMends >= degradedAfter
	}
	return r.Times >= degradedAfter
}

// remembered is what is to outlive the agent, in order.
func (b *backoff) remembered() []Retry {
	var all []Retry
	for ref, f := range b.failed {
		all = append(all, Retry{Ref: ref, Times: f.times, Next: f.next.Round(0), Last: f.last.Round(0)})
	}
	for m, f := range b.mended {
		all = append(all, Retry{Ref: m.ref, Mended: true, Files: m.files, Times: f.times, Next: f.next.Round(0), Last: f.last.Round(0)})
	}
	slices.SortFunc(all, func(a, b Retry) int {
		return cmp.Or(a.Ref.Compare(b.Ref), compareBools(a.Mended, b.Mended), compareBools(a.Files, b.Files))
	})
	return all
}

// recall takes up what an earlier agent remembered of a revision. A clock that has jumped
// keeps nothing waiting for longer than it would ever wait.
func (b *backoff) recall(revision string, all []Retry, now time.Time) {
	b.at(revision)
	longest := now.Add(degradedRetry + degradedRetry/5)
	for _, r := range all {
		if r.Next.After(longest) {
			r.Next = longest
		}
		f := failure{times: r.Times, next: r.Next, last: r.Last}
		if r.Mended {
			b.mended[mending{r.Ref, r.Files}] = f
		} else {
			b.failed[r.Ref] = f
		}
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
