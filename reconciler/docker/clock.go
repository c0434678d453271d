package docker

import "time"

// aheadBy tells how far an engine's clock is ahead of ours, from what it said between
// the asking and the answer. It may have read its clock at any moment in between, so
// what the time that took explains is no difference.
func aheadBy(there, asked, answered time.Time) time.Duration {
	half := answered.Sub(asked) / 2
	ahead := there.Sub(asked.Add(half))
	if ahead.Abs() <= half {
		return 0
	}
	return ahead
}

// heardAt tells when something happened of which an event with a time of the engine's is heard
// now: on the clock that nobody sets. A time that is far off was written before one of the
// clocks was set, and says nothing.
func heardAt(written, now time.Time) time.Time {
	ago := now.Round(0).Sub(written)
	if ago < -clockStep || ago > lateEvent {
		return now
	}
	return now.Add(-ago)
}

// lateEvent is more than an engine takes to tell of something.
const lateEvent = time.Minute

// inFuture tells that a clock was set back since the engine wrote down a time: nothing is
// to be read from that, and nobody is to wait until it comes.
func inFuture(written, now time.Time) bool { return written.After(now.Add(clockStep)) }

// clockStep is more than two readings of clocks that agree can be apart.
const clockStep = 2 * time.Second
