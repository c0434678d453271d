package file

import (
	"context"
	"time"
)

// patience is how many settle times a burst may last: a file that is written all the
// time must not keep the rest from being seen.
const patience = 5

// debounce makes one signal of a burst: it signals once nothing has come in for the
// settle time, or the burst has lasted too long. It returns when ctx is done.
func debounce(ctx context.Context, in <-chan struct{}, settle time.Duration, signal func()) {
	var quiet <-chan time.Time // nil between two bursts
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-in:
			now := time.Now()
			if quiet == nil {
				last = now.Add(patience * settle)
			}
			quiet = time.After(min(settle, last.Sub(now)))
		case <-quiet:
			quiet = nil
			signal()
		}
	}
}

// poke leaves a message in a channel of capacity one, unless there is one already.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
