package schedule

import (
	"time"

	"github.com/robfig/cron/v3"
)

const (
	// meetsYears is how far it is looked ahead, which is as far as the library looks for one time: what comes
	// on the 29th of February comes in it.
	meetsYears = 5
	// meetsSteps is how many times of it are looked at, of those that come first after a window has begun where
	// none is open: what has not met by then does not come to pass by itself.
	meetsSteps = 5000
)

// Meets tells whether the schedule is due while windows are open, at some time of the years after a time. A
// schedule of intervals (@every) meets them: when it is due depends on when it was done.
func (s Schedule) Meets(ws Windows, from time.Time) bool {
	if s.spec == nil {
		return false
	}
	if _, interval := s.spec.(cron.ConstantDelaySchedule); interval {
		return true
	}
	end := from.AddDate(meetsYears, 0, 0)
	for range meetsSteps {
		at, ok := s.Next(from)
		if !ok || at.After(end) {
			return false
		}
		o, _ := ws.at(at)
		if !o.Closed {
			return true
		}
		if from = at; o.By < 0 {
			if from, ok = ws.nextAllowed(at); !ok {
				return false
			}
			from = from.Add(-1) // it may be due as it begins
		}
	}
	return false
}

// nextAllowed is when the first window that allows begins after a time.
func (ws Windows) nextAllowed(after time.Time) (first time.Time, ok bool) {
	for _, w := range ws {
		if w.deny {
			continue
		}
		if next, comes := w.begins.Next(after); comes && (!ok || next.Before(first)) {
			first, ok = next, true
		}
	}
	return first, ok
}

// Later is how much later than its text says it is due: see Spread.
func (s Schedule) Later() time.Duration { return s.later }
