package docker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func healthy(s *spec.Service) { s.Image = enginetest.HealthySleeper }

func job(code string) func(*spec.Service) {
	return func(s *spec.Service) { s.Job, s.Restart, s.Command = true, "no", []string{"exit", code} }
}

func environment(pairs ...string) func(*spec.Service) {
	return func(s *spec.Service) {
		s.Environment = map[string]spec.Value{}
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			s.Environment[name] = spec.Plain(value)
		}
	}
}

func (w world) fails(s *spec.Service) *plan.Failure {
	w.Helper()
	err := w.converge(w.desired(s))
	failure := (*plan.Failure)(nil)
	if !errors.As(err, &failure) {
		w.Fatalf("got %v, want a failure", err)
	}
	return failure
}

func TestPhasesAreReachedInOrder(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one", healthy), w.service("job", job("0")))
		w.observe(want)
		if err := w.target.Apply(w.Context(), plan.Create{Want: want.Tiers[0].Resources[0]}, silent{}); err != nil {
			w.Fatal(err)
		}
		for name, last := range map[string]spec.Phase{"one": spec.Ready, "job": spec.Done} {
			var p progress
			if err := w.target.Apply(w.Context(), plan.Create{Want: want.Find(spec.InstanceRef(name, 1))}, &p); err != nil {
				w.Fatal(err)
			}
			if diff := cmp.Diff([]spec.Phase{spec.Created, spec.Started, last}, p.phases); diff != "" {
				w.Errorf("%s: %s", name, diff)
			}
		}
	})
}

func TestCreateWaitsForHealth(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one", healthy, environment("READY_AFTER=1200ms"), func(s *spec.Service) { s.Health = &spec.Health{Retries: 30} }))
		w.mustConverge(want)
		if f := w.observe(want).Found[spec.InstanceRef("one", 1)]; f.State != drift.Healthy {
			w.Errorf("state %s", f.State)
		}
	})
}

func TestUnhealthyIsAFailureBeforeTheTimeout(t *testing.T) {
	eachWorld(t, func(w world) {
		failure := w.fails(w.service("one", healthy, environment("READY_AFTER=never")))
		if !strings.Contains(failure.Reason, "health check") {
			w.Error(failure.Reason)
		}
	})
}

func TestContainerThatExitsIsAFailureAtOnce(t *testing.T) {
	eachWorld(t, func(w world) {
		failure := w.fails(w.service("one", environment("EXIT_AFTER=500ms", "EXIT_CODE=7"), func(s *spec.Service) { s.Restart = "no" }))
		if failure.Reason != "exited with code 7" {
			w.Error(failure.Reason)
		}
	})
}

// A busy engine may take longer over a start than a container has to run to be ready.
func TestContainerHasRunOnlySinceItsStartReturned(t *testing.T) {
	wrote := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := container.InspectResponse{ContainerJSONBase: &container.ContainerJSONBase{
		State: &container.State{Status: container.StateRunning, Running: true, StartedAt: wrote.Format(time.RFC3339Nano)},
	}}
	for name, one := range map[string]struct {
		started time.Time
		again   time.Duration
	}{
		"started slowly":      {wrote.Add(3 * time.Second), settleTime - time.Second},
		"running for longer":  {time.Time{}, 0},
		"started again since": {wrote.Add(-time.Hour), 0},
	} {
		reached, again, failure := assess(c, &spec.Service{}, moments{started: one.started, now: wrote.Add(4 * time.Second)})
		if again != one.again || (reached == spec.Ready) != (again == 0) || failure != "" {
			t.Errorf("%s: %v, again in %s, %q", name, reached, again, failure)
		}
	}
}

func TestContainerMayBeCalledAsItsServiceIs(t *testing.T) {
	eachWorld(t, func(w world) {
		name := w.project + "-db"
		want := w.desired(w.service(name, func(s *spec.Service) { s.Container = name }))
		w.mustConverge(want)
		w.mustBeInSync(want)
	})
}

func TestCrashLoopIsRecognisedEarly(t *testing.T) {
	eachWorld(t, func(w world) {
		failure := w.fails(w.service("one", environment("EXIT_AFTER=0s", "EXIT_CODE=7", "PRINT=oops"), func(s *spec.Service) { s.Restart = "always" }))
		if !strings.HasPrefix(failure.Reason, "exited with code 7, and again after each of") { // or the time of its tier was over
			w.Errorf("recognised late: %s", failure.Reason)
		}
		if len(failure.Log) == 0 || failure.Log[0] != "oops" {
			w.Errorf("log %q", failure.Log)
		}
	})
}

func TestFailedJobIsAFailure(t *testing.T) {
	eachWorld(t, func(w world) {
		if failure := w.fails(w.service("job", job("3"))); failure.Reason != "exited with code 3" {
			w.Error(failure.Reason)
		}
	})
}

func TestDoneJobIsKept(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("job", job("0")))
		w.mustConverge(want)
		if f := w.observe(want).Found[spec.InstanceRef("job", 1)]; f.State != drift.Done {
			w.Errorf("state %s", f.State)
		}
	})
}

func TestKilledContainerIsStartedAgain(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one", func(s *spec.Service) { s.Restart = "no" }))
		w.mustConverge(want)
		before := w.inspect(w.project + "-one-1")
		if err := w.engine.ContainerKill(w.Context(), before.ID, "KILL"); err != nil {
			w.Fatal(err)
		}
		w.mustConverge(want)
		if after := w.inspect(w.project + "-one-1"); after.ID != before.ID || !after.State.Running {
			w.Error("it was not started again")
		}
	})
}

func TestPausedContainerRunsAgain(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("one"))
		w.mustConverge(want)
		if err := w.engine.ContainerPause(w.Context(), w.project+"-one-1"); err != nil {
			w.Fatal(err)
		}
		w.mustConverge(want)
	})
}

func TestUpdatesHappenInPlace(t *testing.T) {
	eachWorld(t, func(w world) {
		more := &spec.Network{Key: "more", Name: w.project + "_more"}
		first := w.service("one", func(s *spec.Service) { s.Memory, s.NanoCPUs = 64<<20, 500_000_000 })
		w.mustConverge(w.desired(first))
		before := w.inspect(first.Container)
		second := w.service("one", func(s *spec.Service) {
			s.Memory, s.NanoCPUs, s.PidsLimit, s.Restart = 200<<20, 1_000_000_000, 50, "always"
			s.Container = w.project + "-other"
			s.Networks[0].Aliases = []string{"alias"}
			s.Networks = append(s.Networks, spec.Attachment{Network: "more", Name: more.Name, Aliases: []string{"x"}})
		})
		w.mustConverge(w.desired(more, second))
		if after := w.inspect(second.Container); after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
			w.Error("it was not changed in place")
		}
		third := w.service("one", func(s *spec.Service) {
			s.Memory, s.NanoCPUs, s.Restart = 100<<20, 1_000_000_000, "no"
			s.Networks = []spec.Attachment{{Network: "more", Name: more.Name}}
		})
		w.mustConverge(w.desired(more, third))
		if after := w.inspect(third.Container); after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
			w.Error("it was not changed in place")
		}
	})
}

func TestSeveralNetworksAreConnectedBeforeTheStart(t *testing.T) {
	eachWorld(t, func(w world) {
		subnet := enginetest.Subnet()
		a := &spec.Network{Key: "a", Name: w.project + "_a", Subnets: []spec.Subnet{{Subnet: subnet + ".0/24"}}}
		one := w.service("one", func(s *spec.Service) {
			s.Networks = append(s.Networks, spec.Attachment{Network: "a", Name: a.Name, Aliases: []string{"x"}, IPv4: subnet + ".9"})
		})
		w.mustConverge(w.desired(a, one))
		if got := w.inspect(one.Container).NetworkSettings.Networks[a.Name].IPAddress; got != subnet+".9" {
			w.Errorf("address %q", got)
		}
	})
}

func TestSharedNamespacesReadBackAsTheService(t *testing.T) {
	eachWorld(t, func(w world) {
		main := w.service("main", func(s *spec.Service) { s.IPC = "shareable" })
		side := w.service("side", func(s *spec.Service) {
			s.Networks, s.NetworkMode, s.PID, s.IPC = nil, "service:main", "service:main", "service:main"
			s.Depends = []spec.Dep{{Ref: main.Ref(), Until: spec.Started, Shares: true}}
		})
		w.mustConverge(w.desired(main, side))
		main.Environment = map[string]spec.Value{"A": spec.Plain("1")}
		w.mustConverge(w.desired(main, side))
	})
}

func TestContainerInTheNamespaceOfARestartedOneIsMadeAnew(t *testing.T) {
	eachWorld(t, func(w world) {
		main := w.service("main")
		side := w.service("side", func(s *spec.Service) {
			s.Networks, s.NetworkMode = nil, "service:main"
			s.Depends = []spec.Dep{{Ref: main.Ref(), Until: spec.Started, Shares: true}}
		})
		want := w.desired(main, side)
		w.mustConverge(want)
		if err := w.engine.ContainerRestart(w.Context(), main.Container, container.StopOptions{}); err != nil {
			w.Fatal(err)
		}
		d, _ := w.drift(want).Of(side.Ref())
		if diff := cmp.Diff([]string{"network_mode"}, fieldNames(d.Fields)); diff != "" {
			w.Error(diff)
		}
		w.mustConverge(want)
	})
}

func TestStaleContainerIsNotActedOn(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one")
		w.mustConverge(w.desired(one))
		have := w.observe(w.desired(one)).Found[one.Ref()]
		if err := w.engine.ContainerRemove(w.Context(), have.ID, container.RemoveOptions{Force: true}); err != nil {
			w.Fatal(err)
		}
		for _, c := range []plan.Change{plan.Start{Want: one, Have: have}, plan.Restart{Want: one, Have: have}, plan.Wait{Want: one, Have: have}, plan.Replace{Want: one, Have: have}, plan.Update{Want: one, Have: have}} {
			if err := w.target.Apply(w.Context(), c, silent{}); !errors.Is(err, plan.ErrStale) {
				w.Errorf("%s: got %v, want %v", c.Verb(), err, plan.ErrStale)
			}
		}
		if err := w.target.Apply(w.Context(), plan.Remove{Have: have}, silent{}); err != nil {
			w.Errorf("removing what is gone: %v", err)
		}
	})
}

func TestCreateTakesItsOwnEqualContainerForDone(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one")
		w.mustConverge(w.desired(one))
		if err := w.target.Apply(w.Context(), plan.Create{Want: one}, silent{}); err != nil {
			w.Error(err)
		}
		other := w.service("one", revision("2"))
		if err := w.target.Apply(w.Context(), plan.Create{Want: other}, silent{}); !errors.Is(err, plan.ErrStale) {
			w.Errorf("got %v, want %v", err, plan.ErrStale)
		}
	})
}

func TestStartIntervalIsRefusedWhereTheEngineDoesNotKnowIt(t *testing.T) {
	eachWorld(t, func(w world) {
		one := w.service("one", healthy, func(s *spec.Service) { s.Health = &spec.Health{StartInterval: time.Second} })
		err := w.converge(w.desired(one))
		switch old := w.target.supports(one) != nil; {
		case old && (err == nil || !strings.Contains(err.Error(), "start_interval")):
			w.Errorf("got %v, want a word about start_interval", err)
		case !old && err != nil:
			w.Error(err)
		}
	})
}

func TestServiceThatLeftTheSpecIsRemovedAndItsVolumesStay(t *testing.T) {
	eachWorld(t, func(w world) {
		gone := w.service("gone", func(s *spec.Service) {
			s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data"}}
		})
		w.mustConverge(w.desired(gone))
		volumes := anonymousVolumes(w.inspect(gone.Container))
		w.mustConverge(w.desired())
		if names := w.names(); len(names) > 0 {
			w.Errorf("still there: %v", names)
		}
		for _, name := range volumes {
			if _, err := w.engine.VolumeInspect(w.Context(), name); err != nil {
				w.Error(err)
			}
			if err := w.engine.VolumeRemove(w.Context(), name, true); err != nil {
				w.Error(err)
			}
		}
	})
}

func TestLogsGiveTheLastLines(t *testing.T) {
	eachWorld(t, func(w world) {
		for _, tty := range []bool{false, true} {
			one := w.service("one", environment("PRINT=a\nb\nc"), func(s *spec.Service) { s.TTY = tty })
			w.mustConverge(w.desired(one))
			lines, err := w.target.Logs(w.Context(), one.Container, 2)
			if err != nil {
				w.Fatal(err)
			}
			if diff := cmp.Diff([]string{"b", "c"}, lines); diff != "" {
				w.Errorf("tty %v: %s", tty, diff)
			}
		}
	})
}

func TestPartOfAVolumeIsMounted(t *testing.T) {
	eachWorld(t, func(w world) {
		// A volume that has a folder from the beginning: the engine's own.
		volume := &spec.Volume{Key: "etc", Name: w.project + "_etc", DriverOpts: map[string]string{"type": "none", "o": "bind", "device": "/etc"}}
		reads := w.service("reads", job("0"), func(s *spec.Service) {
			s.Command = []string{"holds", "/part/01autoremove", "APT"}
			s.Mounts = []spec.Mount{{Type: spec.MountVolume, Volume: "etc", Source: volume.Name, Target: "/part", ReadOnly: true, Subpath: "apt/apt.conf.d"}}
		})
		err := w.converge(w.desired(volume, reads))
		if versions.LessThan(w.engine.ClientVersion(), subpathVersion) {
			if err == nil || !strings.Contains(err.Error(), "volume.subpath needs a Docker engine with API 1.45") {
				w.Errorf("got %v, want a word about subpath", err)
			}
			return
		}
		if err != nil {
			w.Fatal(err)
		}
		if d := w.drift(w.desired(volume, reads)); !d.InSync() {
			w.Error(d)
		}
	})
}
