package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// revision makes a service differ from another one in a way that replaces it.
func revision(text string) func(*spec.Service) {
	return func(s *spec.Service) {
		s.Environment = map[string]spec.Value{"REVISION": spec.Plain(text)}
	}
}

// broken makes a service that ends at once, and is not ready on a slow machine either.
func broken(s *spec.Service) {
	s.Image = enginetest.HealthySleeper
	s.Environment = map[string]spec.Value{"READY_AFTER": spec.Plain("never"), "PRINT": spec.Plain("cannot go on"), "EXIT_AFTER": spec.Plain("0s"), "EXIT_CODE": spec.Plain("3")}
}

func TestReplaceMakesANewContainerOfTheSameName(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", revision("1"))))
		before := w.inspect(w.project + "-one-1")
		w.mustConverge(w.desired(w.service("one", revision("2"))))
		after := w.inspect(w.project + "-one-1")
		if before.ID == after.ID {
			t.Error("the container is still the same")
		}
		if diff := cmp.Diff([]string{w.project + "-one-1"}, w.names()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFailedReplacementStartsTheOldContainerAgain(t *testing.T) {
	eachWorld(t, func(w world) {
		always := func(s *spec.Service) { s.Restart = "always" }
		w.mustConverge(w.desired(w.service("one", always)))
		before := w.inspect(w.project + "-one-1")

		err := w.converge(w.desired(w.service("one", always, broken)))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) {
			w.Fatalf("got %v, want a failure", err)
		}
		if !failure.RolledBack || !slices.Contains(failure.Log, "cannot go on") {
			w.Errorf("failure: %+v", failure)
		}
		after := w.inspect(w.project + "-one-1")
		if after.ID != before.ID || !after.State.Running {
			w.Errorf("container %s runs: %v, want %s", after.ID, after.State.Running, before.ID)
		}
		w.mustOnlySettle(w.desired(w.service("one", always)))
	})
}

func TestFailedStartOfAReplacementStartsTheOldContainerAgain(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one")))
		err := w.converge(w.desired(w.service("one", func(s *spec.Service) { s.Entrypoint = []string{"/no/such/program"} })))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.RolledBack {
			w.Fatalf("got %v, want a failure that was rolled back", err)
		}
		w.mustOnlySettle(w.desired(w.service("one")))
	})
}

// What the old container mounts has gone meanwhile, so that it cannot be started again either.
func TestGoingBackThatFailsIsSaidAndIsNoSuccess(t *testing.T) {
	eachWorld(t, func(w world) {
		dir := filepath.Join(w.TempDir(), "conf")
		if err := os.Mkdir(dir, 0o755); err != nil {
			w.Fatal(err)
		}
		mounts := func(s *spec.Service) { s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: dir, Target: "/conf"}} }
		w.mustConverge(w.desired(w.service("one", mounts)))
		if err := os.Remove(dir); err != nil {
			w.Fatal(err)
		}
		err := w.converge(w.desired(w.service("one", broken)))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || failure.RolledBack || !strings.Contains(failure.Kept, "going back to the container before it did not work") {
			w.Fatalf("got %+v, want a failure that says that going back did not work", err)
		}
		if d, _ := w.drift(w.desired(w.service("one", broken))).Of(spec.InstanceRef("one", 1)); d.Verdict == "" {
			w.Error("it counts as in sync")
		}
		w.mustConverge(w.desired(w.service("one")))
	})
}

func TestReplacementThatCannotBeMadeStopsNothing(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one")))
		before := w.inspect(w.project + "-one-1")
		if err := w.converge(w.desired(w.service("one", func(s *spec.Service) { s.Image = "flumen-test/none:1" }))); err == nil {
			w.Fatal("it was replaced by an image that is not there")
		}
		after := w.inspect(w.project + "-one-1")
		if after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
			w.Error("the old container was touched")
		}
	})
}

func TestNoRollbackKeepsTheOldContainerStopped(t *testing.T) {
	eachWorld(t, func(w world) {
		none := func(s *spec.Service) { s.NoRollback, s.Restart = true, "no" }
		w.mustConverge(w.desired(w.service("one", none)))
		err := w.converge(w.desired(w.service("one", none, broken)))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || failure.RolledBack || failure.Kept == "" {
			w.Fatalf("got %v, want a failure that says why there was no rollback", err)
		}
		if w.inspect(w.project + "-one-1.prev").State.Running {
			w.Error("the old container runs")
		}
	})
}

func TestNoRollbackIsForNewContainersThatRan(t *testing.T) {
	eachWorld(t, func(w world) {
		none := func(s *spec.Service) { s.NoRollback = true }
		w.mustConverge(w.desired(w.service("one", none)))
		err := w.converge(w.desired(w.service("one", none, func(s *spec.Service) { s.Entrypoint = []string{"/no/such/program"} })))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.RolledBack {
			w.Fatalf("got %v, want a failure that was rolled back", err)
		}
		w.mustOnlySettle(w.desired(w.service("one", none)))
	})
}

func TestAnonymousVolumesMoveToTheNewContainer(t *testing.T) {
	eachWorld(t, func(w world) {
		image := enginetest.Image(w, w.engine, "VOLUME /image")
		with := func(s *spec.Service) {
			s.Image = image
			s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data"}}
		}
		w.mustConverge(w.desired(w.service("one", with, revision("1"))))
		before := anonymousVolumes(w.inspect(w.project + "-one-1"))
		w.mustConverge(w.desired(w.service("one", with, revision("2"))))
		after := anonymousVolumes(w.inspect(w.project + "-one-1"))
		if diff := cmp.Diff(before, after); diff != "" || len(before) != 2 {
			w.Errorf("volumes (-before +after):\n%s", diff)
		}
	})
}

func TestRenamedServiceTakesOverFromTheOldOne(t *testing.T) {
	eachWorld(t, func(w world) {
		published := strconv.Itoa(enginetest.HostPort())
		port := func(s *spec.Service) {
			s.Ports = []spec.Port{{Target: 80, Protocol: "tcp", HostIP: "127.0.0.1", Published: published}}
		}
		w.mustConverge(w.desired(w.service("old", port)))
		w.mustConverge(w.desired(w.service("new", port)))
		if diff := cmp.Diff([]string{w.project + "-new-1"}, w.names()); diff != "" {
			w.Error(diff)
		}
		err := w.converge(w.desired(w.service("newest", port, broken)))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.RolledBack {
			w.Fatalf("got %v, want a failure that was rolled back", err)
		}
		w.mustOnlySettle(w.desired(w.service("new", port)))
	})
}

func TestFailedJobLeavesTheOldOneStopped(t *testing.T) {
	eachWorld(t, func(w world) {
		job := func(s *spec.Service) { s.Job, s.Restart, s.Command = true, "no", []string{"exit", "0"} }
		w.mustConverge(w.desired(w.service("job", job)))
		if err := w.converge(w.desired(w.service("job", job, func(s *spec.Service) { s.Command = []string{"exit", "4"} }))); err == nil {
			w.Fatal("a job that exited with 4 is a success")
		}
		w.mustBeInSync(w.desired(w.service("job", job)))
	})
}

func TestCancelledReplacementIsLeftForTheNextRun(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", revision("1"))))
		slow := w.service("one", func(s *spec.Service) {
			s.Image = enginetest.HealthySleeper
			s.Environment = map[string]spec.Value{"READY_AFTER": spec.Plain("4s")}
			s.Health = &spec.Health{Retries: 100}
		})
		want := w.desired(slow)
		have := w.observe(want).Found[slow.Ref()]
		ctx, cancel := context.WithCancel(w.Context())
		err := w.target.Apply(ctx, plan.Replace{Want: slow, Have: have}, whenStarted(cancel))
		if !errors.Is(err, context.Canceled) {
			w.Fatalf("got %v, want that it was cancelled", err)
		}
		if diff := cmp.Diff([]string{w.project + "-one-1", w.project + "-one-1.prev"}, w.names()); diff != "" {
			w.Error(diff)
		}
		w.mustConverge(want)
	})
}

// whenStarted calls a function once a container runs.
type whenStarted func()

func (f whenStarted) Reached(phase spec.Phase) {
	if phase == spec.Started {
		f()
	}
}
func (whenStarted) Doing(string, int64, int64) {}
func (whenStarted) Left(string)                {}

func TestTimeoutRollsBack(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one")))
		never := w.service("one", func(s *spec.Service) {
			s.Image = enginetest.HealthySleeper
			s.Environment = map[string]spec.Value{"READY_AFTER": spec.Plain("never")}
			s.Health = &spec.Health{Retries: 1000, Interval: 2 * time.Second}
		})
		have := w.observe(w.desired(never)).Found[never.Ref()]
		// Long enough for a busy engine to start it.
		ctx, cancel := context.WithTimeoutCause(w.Context(), 30*time.Second, errors.New("not within the 30s of its tier"))
		defer cancel()
		err := w.target.Apply(ctx, plan.Replace{Want: never, Have: have}, silent{})
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.RolledBack {
			w.Fatalf("got %v, want a failure that was rolled back", err)
		}
		if !strings.Contains(failure.Reason, "not healthy yet: not within the 30s of its tier") {
			w.Errorf("it does not say whose time was up: %s", failure.Reason)
		}
		w.mustOnlySettle(w.desired(w.service("one")))
	})
}

func TestForeignContainerInTheWayOfAReplacementIsNotTouched(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", revision("1"))))
		name := w.project + "-one-1" + nextSuffix
		w.stranger(name)
		if err := w.converge(w.desired(w.service("one", revision("2")))); err == nil {
			w.Error("it was replaced over a foreign container")
		}
		w.inspect(name)
		w.mustBeInSync(w.desired(w.service("one", revision("1"))))
	})
}

func TestLeftoverNextIsFoundAsAnExtra(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", revision("1"))
		w.mustConverge(w.desired(one))
		w.breakOff(w.service("one", revision("2")), "made")
		d, ok := w.drift(w.desired(one)).Of(spec.Ref{Kind: spec.KindService, Name: "one.next"})
		if !ok || d.Verdict != drift.Extra {
			w.Errorf("found as %v", d.Verdict)
		}
	})
}

// stranger makes a container that is nobody's.
func (w world) stranger(name string) {
	w.Helper()
	if _, err := w.engine.ContainerCreate(w.Context(), &container.Config{Image: enginetest.Sleeper}, nil, nil, nil, name); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = w.engine.ContainerRemove(context.Background(), name, container.RemoveOptions{Force: true})
	})
}

func TestForeignPrevIsNoticedBeforeAnythingStops(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", revision("1"))))
		before := w.inspect(w.project + "-one-1")
		w.stranger(w.project + "-one-1" + prevSuffix)
		if err := w.converge(w.desired(w.service("one", revision("2")))); err == nil {
			w.Error("it was replaced over a foreign container")
		}
		if after := w.inspect(w.project + "-one-1"); after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
			w.Error("the old container was touched")
		}
	})
}

func TestServiceWithTheNameOfALeftoverIsNotRemoved(t *testing.T) {
	eachWorld(t, func(w world) {
		other := w.service("other", func(s *spec.Service) { s.Container = w.project + "-one-1" + nextSuffix })
		w.mustConverge(w.desired(w.service("one", revision("1")), other))
		if err := w.converge(w.desired(w.service("one", revision("2")), other)); err == nil {
			w.Error("it was replaced over another service")
		}
		if !w.inspect(other.Container).State.Running {
			w.Error("the other service was stopped")
		}
	})
}

func TestRestartPolicyOutlivesAReplacementThatCannotBeMade(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, step := range []string{"policy", "stopped"} {
			w.Run(step, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, w.engine)
				always := func(s *spec.Service) { s.Restart = "always" }
				w.mustConverge(w.desired(w.service("one", always)))
				w.breakOff(w.service("one", always, revision("2")), step)
				if err := w.converge(w.desired(w.service("one", always, func(s *spec.Service) { s.Image = "flumen-test/none:1" }))); err == nil {
					t.Fatal("it was replaced by an image that is not there")
				}
				if c := w.inspect(w.project + "-one-1"); c.HostConfig.RestartPolicy.Name != "always" || !c.State.Running {
					t.Errorf("policy %q, runs: %v", c.HostConfig.RestartPolicy.Name, c.State.Running)
				}
			})
		}
	})
}

func TestReplacementWhoseNetworkIsGoneAtItsStartIsRolledBack(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.service("one", revision("1"))))
		before := w.inspect(w.project + "-one-1")
		w.target.engine = startNotFound{w.engine, before.ID}
		err := w.converge(w.desired(w.service("one", revision("2"))))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.RolledBack {
			w.Fatalf("got %v, want a failure that was rolled back", err)
		}
	})
}

// startNotFound is an engine that does not find something a container needs, for all
// but one of them.
type startNotFound struct {
	client.APIClient
	but string
}

func (e startNotFound) ContainerStart(ctx context.Context, id string, o container.StartOptions) error {
	if id == e.but {
		return e.APIClient.ContainerStart(ctx, id, o)
	}
	return fmt.Errorf("network: %w", cerrdefs.ErrNotFound)
}

func TestWaitForWhatRunsSaysThatItStarted(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one")
		w.mustConverge(w.desired(one))
		have := w.observe(w.desired(one)).Found[one.Ref()]
		var p progress
		if err := w.target.Apply(w.Context(), plan.Wait{Want: one, Have: have}, &p); err != nil {
			w.Fatal(err)
		}
		if diff := cmp.Diff([]spec.Phase{spec.Started, spec.Ready}, p.phases); diff != "" {
			w.Error(diff)
		}
	})
}
