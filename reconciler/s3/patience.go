package s3

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// answerTimeout is how long a store may take to answer one request, unless it says
	// otherwise.
	answerTimeout = 10 * time.Second
	// looksAtMost is how many times that a whole look at a store may take.
	looksAtMost = 2
	// shortPatience is how long a store that has been silent has for the first answer: looks
	// at what else there is are not to wait for it each time.
	shortPatience = time.Second
	// askAgain is after how long a store is asked again that says to ask later; each time it
	// is twice as long.
	askAgain = 200 * time.Millisecond
)

// patienceWith is how long a store may take for one answer.
func patienceWith(s *spec.Store) time.Duration { return cmp.Or(s.Timeout, answerTimeout) }

// patience is how long a look waits for a store's first answer.
func (t *Target) patience(s *spec.Store) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, silent := t.silent[s.Name]; silent {
		return min(shortPatience, patienceWith(s))
	}
	return patienceWith(s)
}

// heard takes note of how a store answered, and gives since when it does not.
func (t *Target) heard(s *spec.Store, err error) (silent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !late(err) {
		delete(t.silent, s.Name)
		return time.Time{}
	}
	if t.silent == nil {
		t.silent = map[string]time.Time{}
	}
	if t.silent[s.Name].IsZero() {
		t.silent[s.Name] = time.Now()
	}
	return t.silent[s.Name]
}

// late tells whether an error is that no answer came in time.
func late(err error) bool {
	return errors.Is(err, errTooLate) || errors.Is(err, context.DeadlineExceeded)
}

// again asks a store as often as it may be asked when it says to ask later.
func again[T any](ctx context.Context, retries int, ask func() (T, error)) (answer T, err error) {
	wait := askAgain
	for n := 0; ; n++ {
		answer, err = ask()
		if err == nil || n >= retries || !passing(err) || codeOf(err) == "" {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(wait):
			wait *= 2
		}
	}
}
