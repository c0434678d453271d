package docker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// patience is how long a test waits for what an engine tells: longer than a busy machine takes.
const patience = 10 * time.Minute

// listen collects the project's events until the test ends, once the stream is known to
// be there. They are heard of at once, as by an agent, whatever the test is at.
func (w world) listen() <-chan Event {
	w.Helper()
	told, errs := w.target.Events(w.Context(), w.project)
	events := make(chan Event, 10_000)
	go func() {
		for e := range told {
			events <- e
		}
	}()
	// The engine tells nothing of the subscription, but what happens after it.
	canary := w.service("canary", func(s *spec.Service) { s.Networks, s.NetworkMode = nil, "none" })
	w.byCompose(canary, nil)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Ref == canary.Ref() && strings.HasSuffix(e.What, "was removed") {
				return events
			}
		case err := <-errs:
			w.Fatal(err)
		case <-tick.C:
			_ = w.engine.ContainerRemove(w.Context(), canary.Container, container.RemoveOptions{Force: true})
			w.byCompose(canary, nil)
		case <-deadline:
			w.Fatal("no event came")
		}
	}
}

// next gives the first event about ref.
func (w world) next(events <-chan Event, ref spec.Ref) Event {
	w.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-events:
			if e.Ref == ref {
				return e
			}
		case <-deadline:
			w.Fatalf("no event about %s", ref)
		}
	}
}

func TestEventsTellWhatOthersDoAndNotWhatTheAgentDoes(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", func(s *spec.Service) { s.Restart = "no" })
		want := w.desired(one)
		w.observe(want)
		events := w.listen()
		w.mustConverge(want)
		w.mustConverge(w.desired(w.service("one", func(s *spec.Service) { s.Restart = "no" }, revision("2"))))
		w.mustConverge(want)
		if err := w.engine.ContainerKill(w.Context(), one.Container, "KILL"); err != nil {
			w.Fatal(err)
		}
		// The first that is heard of it is its end: nothing of three converges came before.
		if e := w.next(events, one.Ref()); e.What != "exited with code 137" && e.What != "was disconnected from network "+w.project+"_default" {
			w.Errorf("heard of %q first", e.What)
		}
	})
}

func TestEventsTellOfNetworks(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"))
		w.mustConverge(want)
		events := w.listen()
		if err := w.engine.NetworkDisconnect(w.Context(), w.project+"_default", w.project+"-one-1", true); err != nil {
			w.Fatal(err)
		}
		if e := w.next(events, spec.InstanceRef("one", 1)); e.What != "was disconnected from network "+w.project+"_default" {
			w.Errorf("heard that it %s", e.What)
		}
		have := w.observe(want)
		if d, _ := drift.Compare(want, have).Of(spec.InstanceRef("one", 1)); d.Verdict != drift.Changed {
			w.Errorf("verdict %q", d.Verdict)
		}
		w.mustConverge(want)
	})
}

func TestEventsOfOneThingAreToldTogether(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", func(s *spec.Service) { s.Restart = "no" })
		w.mustConverge(w.desired(one))
		w.observe(w.desired(one))
		events := w.listen()
		for range 20 {
			w.mustConverge(w.desired(one))
			if err := w.engine.ContainerRemove(w.Context(), one.Container, container.RemoveOptions{Force: true}); err != nil {
				w.Fatal(err)
			}
			var before Event
			e := w.next(events, one.Ref())
			for ; !strings.HasSuffix(e.What, "was removed"); e = w.next(events, one.Ref()) {
				before = e
			}
			if e.What == "exited with code 137, then was removed" {
				return
			}
			if took := e.At.Sub(before.At); took <= together {
				w.Fatalf("heard that it %s, %s after it %s", e.What, took, before.What)
			}
		}
		w.Fatal("the engine took too long each time")
	})
}

// What ends on its own tells with which code, and whether for want of memory.
func TestEventsTellWhatAThingDiedOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	one, net := spec.InstanceRef("one", 1), map[string]string{"name": "p_default"}
	type told struct {
		action     events.Action
		attributes map[string]string
		after      time.Duration
		want       string
	}
	s := story{}
	for i, e := range []told{
		{events.ActionDisconnect, net, 0, "was disconnected from network p_default"},
		{events.ActionDie, map[string]string{"exitCode": "3"}, 20 * time.Millisecond, "exited with code 3"},
		{events.ActionDisconnect, net, 150 * time.Millisecond, "exited with code 3"}, // of 20.10
		{events.ActionStart, nil, 100 * time.Millisecond, "exited with code 3, then was started"},
		{events.ActionOOM, nil, time.Minute, "ran out of memory"},
		{events.ActionDisconnect, net, 0, "was disconnected from network p_default"},
		{events.ActionDie, map[string]string{"exitCode": "137"}, 0, "exited with code 137, out of memory"},
		{events.ActionDie, map[string]string{"exitCode": "137"}, time.Minute, "exited with code 137"},
		{events.ActionOOM, nil, time.Millisecond, "exited with code 137, out of memory"},
		{events.ActionDestroy, nil, time.Second, "exited with code 137, out of memory, then was removed"},
		{"health_status: unhealthy", nil, time.Hour, "became unhealthy"},
		{events.ActionPause, nil, time.Hour, "was paused"},
		{events.ActionUnPause, nil, time.Second, "was paused, then was unpaused"},
		{events.ActionUpdate, nil, time.Second, "was paused, then was unpaused, then was updated"},
		{events.ActionRename, nil, time.Second, "was unpaused, then was updated, then was renamed"},
		{events.ActionRename, nil, time.Second, "was unpaused, then was updated, then was renamed"},
	} {
		at = at.Add(e.after)
		m := events.Message{Action: e.action, Actor: events.Actor{Attributes: e.attributes}}
		if got := s.tell(one, m, at); got != e.want {
			t.Errorf("%d: %q, expected %q", i, got, e.want)
		}
	}
}

func TestEventsEndWithTheContext(t *testing.T) {
	eachWorld(t, func(w world) {
		ctx, cancel := context.WithCancel(w.Context())
		events, errs := w.target.Events(ctx, w.project)
		cancel()
		for range events {
			w.Error("an event of an empty project")
		}
		if err := <-errs; err != nil {
			w.Error(err)
		}
	})
}

func TestProgressOfAFailedApplyIsNoEventEither(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", broken, func(s *spec.Service) { s.Restart = "no" })
		want := w.desired(one)
		w.observe(want)
		events := w.listen()
		_ = w.converge(want)
		w.mustConverge(w.desired(w.service("two")))
		if err := w.target.Apply(w.Context(), plan.Remove{Have: w.observe(w.desired()).Found[spec.InstanceRef("two", 1)]}, silent{}); err != nil {
			w.Fatal(err)
		}
		w.byCompose(w.service("three"), nil)
		for {
			select {
			case e := <-events:
				if e.Ref.Name == "three" {
					return
				}
				if e.Ref.Kind == spec.KindService && e.Ref.Name != "canary" {
					w.Errorf("heard of %s: %s", e.Ref, e.What)
				}
			case <-time.After(patience):
				w.Fatal("heard nothing")
			}
		}
	})
}
