package docker

import (
	"errors"
	"strconv"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// breakOff leaves the engine as a run does that is killed in the middle of a
// replacement: at the steps that tests name.
func (w world) breakOff(s *spec.Service, after string) {
	w.Helper()
	w.breakOffFrom(s, s, after)
}

// breakOffFrom does the same where a service takes over from another one.
func (w world) breakOffFrom(from, s *spec.Service, after string) {
	w.Helper()
	ctx := w.Context()
	have := w.observe(w.desired(s)).Found[from.Ref()]
	old := newHandover(w.inspect(have.ID), w.desired(s))
	id, err := w.target.make(ctx, s, s.Container+nextSuffix, old)
	if err != nil {
		w.Fatal(err)
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"made", func() error { return nil }},
		{"policy", func() error {
			return w.target.setPolicy(ctx, old.id, container.RestartPolicy{Name: container.RestartPolicyDisabled})
		}},
		{"stopped", func() error { return w.engine.ContainerStop(ctx, old.id, container.StopOptions{}) }},
		{"out of the way", func() error { return w.engine.ContainerRename(ctx, old.id, old.name+prevSuffix) }},
		{"in place", func() error { return w.engine.ContainerRename(ctx, id, s.Container) }},
		{"started", func() error { return w.engine.ContainerStart(ctx, id, container.StartOptions{}) }},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			w.Fatal(err)
		}
		if step.name == after {
			return
		}
	}
}

// brokenOff is shared out among the engines, as calls are after which the agent is killed: what is left is
// the same on each.
var brokenOff = []string{"made", "policy", "stopped", "out of the way", "in place", "started"}

func TestReplacementBrokenOffAnywhereIsFinished(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, step := range enginetest.Share(w, w.engine, brokenOff) {
			w.Run(step, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				w.mustConverge(w.desired(w.service("one", revision("1"))))
				w.breakOff(w.service("one", revision("2")), step)
				w.mustConverge(w.desired(w.service("one", revision("2"))))
				if diff := cmp.Diff([]string{w.project + "-one-1"}, w.names()); diff != "" {
					w.Error(diff)
				}
			})
		}
	})
}

func TestReplacementBrokenOffAnywhereCanBeTakenBack(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, step := range enginetest.Share(w, w.engine, brokenOff) {
			w.Run(step, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				always := func(s *spec.Service) { s.Restart = "always" }
				w.mustConverge(w.desired(w.service("one", always, revision("1"))))
				w.breakOff(w.service("one", always, revision("2")), step)
				w.mustConverge(w.desired(w.service("one", always, revision("1"))))
				if diff := cmp.Diff([]string{w.project + "-one-1"}, w.names()); diff != "" {
					w.Error(diff)
				}
			})
		}
	})
}

func TestReplacementBrokenOffIsRolledBackWhenItFails(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, step := range enginetest.Share(w, w.engine, brokenOff) {
			w.Run(step, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				always := func(s *spec.Service) { s.Restart = "always" }
				w.mustConverge(w.desired(w.service("one", always, revision("1"))))
				before := w.inspect(w.project + "-one-1")
				w.breakOff(w.service("one", always, broken), step)
				err := w.converge(w.desired(w.service("one", always, broken)))
				failure := (*plan.Failure)(nil)
				if !errors.As(err, &failure) || !failure.RolledBack {
					t.Fatalf("got %v, want a failure that was rolled back", err)
				}
				after := w.inspect(w.project + "-one-1")
				if after.ID != before.ID || after.HostConfig.RestartPolicy.Name != "always" {
					t.Errorf("runs %s with policy %q, want %s with always", after.ID, after.HostConfig.RestartPolicy.Name, before.ID)
				}
			})
		}
	})
}

func TestRenamedServiceBrokenOffAnywhereTakesOver(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, step := range enginetest.Share(w, w.engine, []string{"stopped", "out of the way", "in place"}) {
			w.Run(step, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				published := strconv.Itoa(enginetest.HostPort())
				with := func(s *spec.Service) {
					s.Ports = []spec.Port{{Target: 80, Protocol: "tcp", HostIP: "127.0.0.1", Published: published}}
					s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data"}}
				}
				w.mustConverge(w.desired(w.service("old", with)))
				before := anonymousVolumes(w.inspect(w.project + "-old-1"))
				w.breakOffFrom(w.service("old", with), w.service("new", with), step)
				w.mustConverge(w.desired(w.service("new", with)))
				if diff := cmp.Diff([]string{w.project + "-new-1"}, w.names()); diff != "" {
					w.Error(diff)
				}
				if diff := cmp.Diff(before, anonymousVolumes(w.inspect(w.project+"-new-1"))); diff != "" {
					w.Errorf("volumes (-before +after):\n%s", diff)
				}
			})
		}
	})
}
