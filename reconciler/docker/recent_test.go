package docker

import (
	"context"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// glance compares at a glance.
func (w world) glance(want spec.Desired) drift.Drift {
	w.Helper()
	have, err := w.target.Glance(w.Context(), want)
	if err != nil {
		w.Fatal(err)
	}
	return drift.Compare(want, have)
}

// kept are the containers that a glance would not inspect.
func (w world) kept() int {
	w.target.recent.mu.Lock()
	defer w.target.recent.mu.Unlock()
	return len(w.target.recent.seen)
}

// heardOf converges, and looks until what it sees is kept, with the engine's events heard.
func (w world) heardOf(want spec.Desired) (end func()) {
	w.Helper()
	w.mustConverge(want)
	ctx, cancel := context.WithCancel(w.Context())
	events, _ := w.target.Events(ctx, w.project)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range events {
		}
	}()
	end = func() { cancel(); <-over }
	w.Cleanup(end)
	w.soon("what is seen is kept", func() bool { w.mustBeInSync(want); return w.kept() == 2 })
	return end
}

// soon waits until something is so.
func (w world) soon(what string, is func() bool) {
	w.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			w.Fatalf("never: %s", what)
		}
	}
}

func TestGlanceSeesWhatTheEngineTells(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two := w.service("one", func(s *spec.Service) { s.Memory = 64 << 20 }), w.service("two")
		want := w.desired(one, two)
		for name, byHand := range map[string]func() error{
			"limit": func() error {
				_, err := w.engine.ContainerUpdate(w.Context(), one.Container, container.UpdateConfig{Resources: container.Resources{Memory: 32 << 20, MemorySwap: 64 << 20}})
				return err
			},
			"name": func() error { return w.engine.ContainerRename(w.Context(), one.Container, one.Container+"-other") },
			"network": func() error {
				return w.engine.NetworkDisconnect(w.Context(), w.project+"_default", one.Container, true)
			},
			"pause": func() error { return w.engine.ContainerPause(w.Context(), one.Container) },
			"removal": func() error {
				return w.engine.ContainerRemove(w.Context(), one.Container, container.RemoveOptions{Force: true})
			},
		} {
			end := w.heardOf(want)
			if d := w.glance(want); !d.InSync() {
				w.Errorf("%s: before, a glance sees %v", name, d)
			}
			if err := byHand(); err != nil {
				w.Fatal(err)
			}
			w.soon("a glance sees it: "+name, func() bool { _, differs := w.glance(want).Of(one.Ref()); return differs })
			end()
		}
	})
}

// An engine that does not say what it should: somebody changes a limit, and no event comes.
func TestChangeWithoutAnEventIsSeenByALookInFull(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two := w.service("one", func(s *spec.Service) { s.Memory = 64 << 20 }), w.service("two")
		want := w.desired(one, two)
		w.mustConverge(want)
		defer w.target.recent.listen()() // and nothing is heard
		w.soon("what is seen is kept", func() bool { w.mustBeInSync(want); return w.kept() == 2 })
		limit := container.UpdateConfig{Resources: container.Resources{Memory: 32 << 20, MemorySwap: 64 << 20}}
		if _, err := w.engine.ContainerUpdate(w.Context(), one.Container, limit); err != nil {
			w.Fatal(err)
		}
		if d := w.glance(want); !d.InSync() {
			w.Errorf("a glance inspects what nothing was told of: %v", d)
		}
		if _, differs := w.drift(want).Of(one.Ref()); !differs {
			w.Error("a look in full does not see it")
		}
		if _, differs := w.glance(want).Of(one.Ref()); !differs {
			w.Error("a glance takes what was seen before the look in full")
		}
	})
}

func TestNothingSeenBeforeIsTrustedWithoutEventsOrAfterAnAct(t *testing.T) {
	eachWorld(t, func(w world) {
		one, two := w.service("one"), w.service("two")
		want := w.desired(one, two)
		w.mustConverge(want)
		w.mustBeInSync(want)
		if w.kept() != 0 {
			w.Error("kept without events")
		}
		w.heardOf(want)
		w.mustConverge(w.desired(one, w.service("two", revision("2"))))
		w.heardOf(want)()
		if w.kept() != 0 {
			w.Error("kept though no events are heard any more")
		}
	})
}

func TestOnlyWhatWasSeenWhileEventsAreHeardIsKept(t *testing.T) {
	t.Parallel()
	listing := container.Summary{ID: "1", Names: []string{"/p-one-1"}, State: "running", Status: "Up 5 minutes (healthy)"}
	empty := container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{}}
	var r recent
	defer r.listen()()
	r.from = time.Now().Add(-time.Hour)
	keeps := func(at time.Time) bool {
		r.keep(r.turn(), map[string]glimpse{"1": newGlimpse(at, listing, empty)})
		_, ok := r.of(listing)
		return ok
	}
	if keeps(time.Now().Add(-2 * time.Hour)) {
		t.Error("it was seen before events were heard")
	}
	if !keeps(time.Now()) {
		t.Error("it is new, and not kept")
	}
	turn := r.turn()
	r.forget()
	if r.keep(turn, map[string]glimpse{"1": newGlimpse(time.Now(), listing, empty)}); len(r.seen) > 0 {
		t.Error("something may have changed while it was inspected")
	}
}

func TestListOfContainersShowsWhatChangesButTime(t *testing.T) {
	t.Parallel()
	change := func(edit func(*container.Summary)) string {
		c := container.Summary{
			ID: "1", Names: []string{"/p-one-1"}, ImageID: "sha256:1", State: "running", Status: "Up 5 minutes (healthy)",
			NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{"p_default": {NetworkID: "n", IPAddress: "10.0.0.2"}}},
		}
		edit(&c)
		return outside(c)
	}
	before := change(func(*container.Summary) {})
	if change(func(c *container.Summary) { c.Status = "Up 2 hours (healthy)" }) != before {
		t.Error("time counts")
	}
	for name, edit := range map[string]func(*container.Summary){
		"health":  func(c *container.Summary) { c.Status = "Up 5 minutes (unhealthy)" },
		"state":   func(c *container.Summary) { c.State = "paused" },
		"name":    func(c *container.Summary) { c.Names = []string{"/other"} },
		"image":   func(c *container.Summary) { c.ImageID = "sha256:2" },
		"network": func(c *container.Summary) { c.NetworkSettings.Networks = nil },
		"address": func(c *container.Summary) { c.NetworkSettings.Networks["p_default"].IPAddress = "10.0.0.3" },
	} {
		if change(edit) == before {
			t.Errorf("%s does not count", name)
		}
	}
}
