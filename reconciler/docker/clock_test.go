package docker

import (
	"testing"
	"time"
)

func TestSlowAnswerIsNoClockDifference(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		there, took, want time.Duration
	}{
		"read at once, answered late":        {0, 10 * time.Second, 0},
		"read late, answered at once":        {10 * time.Second, 10 * time.Second, 0},
		"read in the middle":                 {5 * time.Second, 10 * time.Second, 0},
		"ahead by more than the answer took": {61 * time.Second, 2 * time.Second, time.Minute},
		"behind":                             {-59 * time.Second, 2 * time.Second, -time.Minute},
		"ahead, answered at once":            {time.Second, 0, time.Second},
	} {
		if got := aheadBy(asked.Add(c.there), asked, asked.Add(c.took)); got != c.want {
			t.Errorf("%s: ahead by %s, expected %s", name, got, c.want)
		}
	}
}
