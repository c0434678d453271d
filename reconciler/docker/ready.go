package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// settleTime is how long a container without a health check has to run until it
	// counts as ready: long enough for a wrong flag or a missing file to end it.
	settleTime = 2 * time.Second
	// inspectEvery is the backstop for an event that was lost. It is slow because an
	// inspect waits for the lock that a busy engine's health checks hold.
	inspectEvery = 5 * time.Second
	// The engine starts a container that exited again after 100 ms, 200 ms, 400 ms and
	// so on, until it has run for ten seconds. Three such starts are no accident.
	loopRestarts = 3
	loopRun      = 10 * time.Second
	// lateSubscription is how far back events are asked for, so that none falls between
	// the asking and the first look.
	lateSubscription = time.Second
)

// wait looks at a container until it is ready, or done if it is a job. A container that
// will not be is told by a *plan.Failure, early where it can be known. started is when
// starting it returned, if it was started for this.
func (t *Target) wait(ctx context.Context, s *spec.Service, id string, started time.Time, p plan.Progress) error {
	begin := time.Now()
	p.Doing(waitingFor(s), 0, 0)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	engine, err := t.engineFacts(ctx)
	if err != nil {
		return err
	}
	changed, broken := t.engine.Events(watching, events.ListOptions{
		Since:   engineTime(begin.Add(engine.ahead - lateSubscription)),
		Filters: readinessEvents(id),
	})
	backstop := time.NewTicker(inspectEvery)
	defer backstop.Stop()
	if !started.IsZero() {
		started = started.Add(engine.ahead)
	}
	for {
		c, err := t.engine.ContainerInspect(ctx, id)
		if err != nil {
			return ended(ctx, s, begin, stale(err))
		}
		reached, again, failure := assess(c, s, moments{started, begin.Add(engine.ahead), time.Now().Add(engine.ahead)})
		if failure != "" {
			return &plan.Failure{Ref: s.Ref(), Reason: failure}
		}
		if reached != 0 {
			p.Reached(reached)
			return nil
		}
		select {
		case <-ctx.Done():
			return ended(ctx, s, begin, ctx.Err())
		case <-changed:
		case <-broken:
			changed, broken = nil, nil // the backstop goes on
		case <-backstop.C:
		case <-after(again):
		}
	}
}

// after is time.After, where zero is never.
func after(d time.Duration) <-chan time.Time {
	if d == 0 {
		return nil
	}
	return time.After(d)
}

// ended tells why waiting ended: the time that it may take is up, or else err.
func ended(ctx context.Context, s *spec.Service, begin time.Time, err error) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	what := "healthy"
	if s.Job {
		what = "done"
	}
	if cause := context.Cause(ctx); cause != ctx.Err() { // whose time it was, and how much of it
		return &plan.Failure{Ref: s.Ref(), Reason: fmt.Sprintf("not %s yet: %v", what, cause)}
	}
	return &plan.Failure{Ref: s.Ref(), Reason: fmt.Sprintf("not %s within %s", what, time.Since(begin).Round(time.Second))}
}

func engineTime(at time.Time) string {
	return fmt.Sprintf("%d.%09d", at.Unix(), at.Nanosecond())
}

func readinessEvents(id string) filters.Args {
	f := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("container", id))
	for _, action := range []events.Action{events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionHealthStatus} {
		f.Add("event", string(action))
	}
	return f
}

func waitingFor(s *spec.Service) string {
	switch {
	case s.Job:
		return "waiting for the job to end"
	case s.Health == nil:
		return "waiting until it runs steadily"
	default:
		return "waiting for health"
	}
}

// moments are what readiness is judged by, in the engine's time. An engine writes down
// that a container started before it starts it, which takes seconds where much is going
// on: one that was started for this wait has run only since starting it returned.
type moments struct {
	started time.Time // zero: it was running already
	begin   time.Time // of the wait
	now     time.Time
}

// ran is for how long a container has run, at least.
func (m moments) ran(c container.InspectResponse) time.Duration {
	since := startedAt(c)
	switch {
	case inFuture(since, m.now):
		since = m.begin
	case m.started.After(since):
		since = m.started
	}
	return m.now.Sub(since)
}

// assess tells which phase a container has come to, or why it never will, or else when
// to look again if nothing happens (zero: only when something does).
func assess(c container.InspectResponse, s *spec.Service, at moments) (reached spec.Phase, again time.Duration, failure string) {
	switch c.State.Status {
	case container.StateRestarting:
		return 0, 0, looping(c)
	case container.StateExited, container.StateDead:
		if s.Job && c.State.ExitCode == 0 {
			return spec.Done, 0, ""
		}
		return 0, 0, exit(c)
	case container.StateRunning:
		if s.Job {
			return 0, 0, ""
		}
		return assessRunning(c, at)
	}
	return 0, 0, ""
}

func assessRunning(c container.InspectResponse, at moments) (spec.Phase, time.Duration, string) {
	if h := c.State.Health; h != nil && h.Status != container.NoHealthcheck {
		switch {
		case h.Status == container.Healthy:
			return spec.Ready, 0, ""
		case h.Status == container.Unhealthy && checkedSince(h, at.begin):
			return 0, 0, "its health check fails" + lastCheck(h)
		}
		return 0, 0, ""
	}
	if rest := settling(c) - at.ran(c); rest > 0 {
		return 0, rest, ""
	}
	return spec.Ready, 0, ""
}

// settling is how long a container without a health check has to run. One that the engine
// had to start again is believed only after the time after which the engine believes it.
func settling(c container.InspectResponse) time.Duration {
	if c.RestartCount > 0 {
		return loopRun
	}
	return settleTime
}

// checkedSince tells whether a health check has run: what it said before, of a container
// that was paused for one, is not to be held against it.
func checkedSince(h *container.Health, begin time.Time) bool {
	return len(h.Log) > 0 && h.Log[len(h.Log)-1].End.After(begin)
}

// looping tells that a container is restarted over and over; one that is restarted once
// may yet come up.
func looping(c container.InspectResponse) string {
	ran := parseTime(c.State.FinishedAt).Sub(startedAt(c))
	if c.RestartCount < loopRestarts || ran > loopRun {
		return ""
	}
	return fmt.Sprintf("%s, and again after each of %d restarts", exit(c), c.RestartCount)
}

func exit(c container.InspectResponse) string {
	s := fmt.Sprintf("exited with code %d", c.State.ExitCode)
	if c.State.OOMKilled {
		s += ", out of memory"
	}
	if c.State.Error != "" {
		s += ": " + c.State.Error
	}
	return s
}

// lastCheck gives the first line that the last health check wrote.
func lastCheck(h *container.Health) string {
	if len(h.Log) == 0 {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(h.Log[len(h.Log)-1].Output), "\n")
	const most = 200
	if line == "" {
		return ""
	}
	return ": " + line[:min(len(line), most)]
}
