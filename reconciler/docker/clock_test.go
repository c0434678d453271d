package docker

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
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

// A clock that jumps back, by an hour in winter on a badly set machine or by years when it is
// first set, must not make a good revision fail, nor what runs look as if it did not.
func TestClockThatWasSetBackKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	runs := func(started time.Time) container.InspectResponse {
		state := &container.State{Status: container.StateRunning, Running: true, StartedAt: started.Format(time.RFC3339Nano)}
		return container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{State: state}, Config: &container.Config{}}
	}
	ahead := runs(now.Add(time.Hour))
	if state, _ := judge(ahead, &spec.Service{}, now); state != drift.Running {
		t.Errorf("it is seen as %s", state)
	}
	at := moments{started: now.Add(-time.Second), begin: now.Add(-time.Second), now: now}
	if _, again, failure := assess(ahead, &spec.Service{}, at); failure != "" || again <= 0 || again > settleTime {
		t.Errorf("again in %s, failure %q", again, failure)
	}
	at.begin = now.Add(-settleTime)
	if reached, _, _ := assess(ahead, &spec.Service{}, at); reached != spec.Ready {
		t.Errorf("after the settle time it has reached %v", reached)
	}
	// One that was started just now is still looked at for a while.
	if state, _ := judge(runs(now.Add(-time.Second)), &spec.Service{}, now); state != drift.Starting {
		t.Errorf("it is seen as %s", state)
	}
}

func TestEventOfAClockThatWasSetIsTakenForOneOfNow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct{ ago, want time.Duration }{
		"just now":                     {10 * time.Millisecond, 10 * time.Millisecond},
		"a busy engine":                {5 * time.Second, 5 * time.Second},
		"clocks that are a little off": {-time.Second, -time.Second},
		"the clock went forward":       {48 * time.Hour, 0},
		"the clock went back":          {-48 * time.Hour, 0},
	} {
		if got := now.Sub(heardAt(now.Round(0).Add(-c.ago), now)); got != c.want {
			t.Errorf("%s: %s ago, expected %s", name, got, c.want)
		}
	}
}
