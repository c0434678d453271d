// Package schedule says when a drift check is due, and does it then. It is the door to the
// cron library: five fields, or words as in @daily and @every 15m, and in front of them a
// time zone, as in CRON_TZ=Europe/Berlin.
//
// A check that was missed, because the machine slept or the agent was not there, is made up
// for once. Checks never overlap.
package schedule

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// awake is how often the time is looked at: a clock that was set, or a machine that slept,
// is noticed within that.
const awake = time.Minute

// Schedule says when something is due. The zero value never is.
type Schedule struct {
	text  string
	spec  cron.Schedule
	later time.Duration // than the text says
}

// Parse reads a schedule. An empty text gives one that is never due.
func Parse(text string) (s Schedule, err error) {
	if strings.TrimSpace(text) == "" {
		return Schedule{}, nil
	}
	// The library takes a text apart before it looks at it, and some bad ones break it.
	defer func() {
		if recover() != nil {
			s, err = Schedule{}, complaint(text, "it cannot be read")
		}
	}()
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return Schedule{}, complaint(text, err.Error())
	}
	s = Schedule{text: text, spec: parsed}
	if _, ok := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); !ok {
		return Schedule{}, complaint(text, "there is no such day")
	}
	return s, nil
}

func complaint(text, why string) error {
	return fmt.Errorf("%q is not a schedule: %s; write minute, hour, day, month and weekday, as in \"*/15 * * * *\", or @hourly, @daily, @every 15m", text, why)
}

func (s Schedule) String() string { return s.text }

// Next is when it is due after a time. A schedule that never is gives false.
func (s Schedule) Next(after time.Time) (time.Time, bool) {
	if s.spec == nil {
		return time.Time{}, false
	}
	next := s.spec.Next(after.Add(-s.later))
	if next.IsZero() {
		return next, false
	}
	return next.Add(s.later), true
}

const (
	// spreadMost is how much later a schedule may become, at most, and spreadPart which part of the time between
	// two of its times: enough that several do not begin at once, and too little to matter.
	spreadMost, spreadPart = 10 * time.Minute, 10
	// spreadTimes is how many of its times are looked at for the shortest time between two.
	spreadTimes = 32
)

// Spread is the same schedule somewhat later, always by as much for the same name: several with the same
// text, of different names, are not due in the same second. Without a name it is as it was.
func (s Schedule) Spread(name string) Schedule {
	if s.spec == nil || name == "" {
		return s
	}
	s.later = 0
	most := spreadMost
	at, _ := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	for range spreadTimes {
		next, ok := s.Next(at)
		if !ok {
			break
		}
		most, at = min(most, next.Sub(at)/spreadPart), next
	}
	if most = most.Truncate(time.Second); most > 0 {
		h := fnv.New64a()
		h.Write([]byte(name))
		s.later = time.Duration(h.Sum64()%uint64(most/time.Second)) * time.Second
	}
	return s
}

// Due tells whether it was due since a time, and not only in the future. What has never
// been done is due.
func (s Schedule) Due(last, now time.Time) bool {
	if s.spec == nil {
		return false
	}
	if last.IsZero() || last.After(now.Add(awake)) { // the clock was set back
		return true
	}
	next, ok := s.Next(last)
	return ok && !next.After(now)
}

// Run does something whenever a schedule is due, until ctx ends. The schedule is asked for
// each time, since it may change; before tells when it was done before Run was called. Run
// returns when what is under way has ended.
func Run(ctx context.Context, current func() Schedule, before func() time.Time, do func(ctx context.Context, at time.Time)) {
	var last time.Time
	for ctx.Err() == nil {
		s, now := current(), time.Now().Round(0)
		if last.IsZero() {
			last = before()
		}
		if s.Due(last, now) {
			last = now
			do(ctx, now)
			continue
		}
		wait := awake
		if next, ok := s.Next(now); ok {
			wait = min(wait, next.Sub(now))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}
