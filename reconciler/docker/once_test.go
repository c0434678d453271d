package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

// once is a service that containers are made of for one thing each.
func (w world) once(edits ...func(*spec.Service)) *spec.Service {
	return w.service("tool", append([]func(*spec.Service){func(s *spec.Service) {
		s.Container, s.Memory = w.project+"-tool-run", 64<<20
	}}, edits...)...)
}

// job is something for a one-off container to do, by an owner.
func (w world) job(owner string, s *spec.Service, command ...string) Once {
	return Once{Project: w.project, Service: s, Command: command, Owner: owner, About: "s3://" + w.project + "/table", Lasts: time.Hour}
}

// onces are the one-off containers of the project.
func (w world) onces() []container.Summary {
	w.Helper()
	of := ofProject(w.project)
	of.Add("label", composeOneOff+"=True")
	all, err := w.engine.ContainerList(w.Context(), container.ListOptions{All: true, Filters: of})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func TestOneOffContainerDoesOneThingAndIsGone(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		tool := w.once(func(s *spec.Service) {
			s.Environment = map[string]spec.Value{"PRINT": spec.Plain("key hunter22"), "SECRET_KEY": spec.Sensitive("hunter22"), "EXIT_AFTER": spec.Plain("10ms"), "EXIT_CODE": spec.Plain("3")}
			s.Files = []spec.File{{Target: "/etc/tool/conf", Content: spec.Plain("said so"), Mode: 0o400}}
			s.Health = &spec.Health{Test: []string{"CMD", "/sleeper", "health"}}
		})
		e, err := w.target.RunOnce(w.Context(), w.job("me", tool, "cat", "/etc/tool/conf"))
		if err != nil {
			w.Fatal(err)
		}
		if e.Code != 3 || len(e.Lines) != 2 || e.Lines[0] != "***" || !strings.Contains(e.Lines[1], "said so") {
			w.Errorf("%+v", e)
		}
		if left := w.onces(); len(left) != 0 {
			w.Errorf("left behind: %v", left)
		}
	})
}

func TestOneOffContainerIsAsItsServiceAndIsNotTakenForIt(t *testing.T) {
	eachWorld(t, func(w world) {
		service := w.service("tool") // of the same name, to be taken for it
		want := w.desired(service)
		w.mustConverge(want)
		ctx, cancel := context.WithCancelCause(w.Context())
		enough := errors.New("enough")
		var ran container.InspectResponse
		go func() {
			defer cancel(enough)
			for w.Context().Err() == nil {
				all, err := w.engine.ContainerList(w.Context(), container.ListOptions{Filters: ofProject(w.project)})
				i := slices.IndexFunc(all, func(c container.Summary) bool { return nameOf(c) == w.project+"-tool-run" })
				if err == nil && i >= 0 {
					ran, _ = w.engine.ContainerInspect(w.Context(), all[i].ID)
					if d := w.drift(want); len(d) > 0 {
						w.Errorf("while it runs: %v", d)
					}
					return
				}
			}
		}()
		began := time.Now()
		e, err := w.target.RunOnce(ctx, w.job("me", w.once()))
		if !errors.Is(err, enough) || e.Code == -1 {
			w.Errorf("%+v %v after %s", e, err, time.Since(began))
		}
		if ran.ContainerJSONBase == nil {
			w.Fatal("it was not seen")
		}
		if ran.HostConfig.Memory != 64<<20 || ran.NetworkSettings.Networks[w.project+"_default"] == nil || ran.HostConfig.RestartPolicy.Name != "no" {
			w.Errorf("%+v", ran.HostConfig)
		}
		if left := w.onces(); len(left) != 0 {
			w.Errorf("left behind: %v", left)
		}
	})
}

// left makes a container as a process does that is killed then.
func (w world) left(o Once, starts bool) (id string) {
	w.Helper()
	id, err := w.target.makeOnce(w.Context(), o)
	if err == nil && starts {
		err = w.engine.ContainerStart(w.Context(), id, container.StartOptions{})
	}
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func TestOneOffContainersThatACrashLeftBehindAreRemoved(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		for name, c := range map[string]struct {
			edit func(*spec.Service)
			runs bool // it was started
			ends bool
			want LeftOnce
		}{
			"it runs": {func(*spec.Service) {}, true, false, LeftOnce{Ran: true}},
			"it has ended": {func(s *spec.Service) {
				s.Environment = map[string]spec.Value{"EXIT_AFTER": spec.Plain("1ms"), "EXIT_CODE": spec.Plain("3")}
			}, true, true, LeftOnce{Code: 3}},
			"it was never started": {func(*spec.Service) {}, false, false, LeftOnce{Code: -1}},
		} {
			o := w.job("me", w.once(c.edit))
			id := w.left(o, c.runs)
			if c.ends {
				ended, broken := w.engine.ContainerWait(w.Context(), id, container.WaitConditionNotRunning)
				select {
				case <-ended:
				case err := <-broken:
					w.Fatal(err)
				}
			}
			ended, err := w.target.RemoveOnces(w.Context(), w.project, "me")
			c.want.Container, c.want.About = o.Service.Container, o.About
			if c.want.Ran && len(ended) == 1 {
				c.want.Code = ended[0].Code // of the signal
			}
			if err != nil || len(ended) != 1 || ended[0] != c.want || len(w.onces()) != 0 {
				w.Errorf("%s: %+v %v %v", name, ended, err, w.onces())
			}
		}
		w.left(w.job("me", w.once()), true)
		if e, err := w.target.RunOnce(w.Context(), w.job("me", w.exits())); err != nil || e.Code != 0 || len(w.onces()) != 0 {
			w.Errorf("%+v %v %v", e, err, w.onces())
		}
	})
}

// exits is such a service whose container ends at once.
func (w world) exits() *spec.Service {
	return w.once(func(s *spec.Service) { s.Environment = map[string]spec.Value{"EXIT_AFTER": spec.Plain("1ms")} })
}

// mustBeBusy expects that a container of somebody else keeps another one from being made, and is left
// as it is.
func (w world) mustBeBusy(o Once, id, says string) {
	w.Helper()
	o.Begin = func() error { w.Errorf("%s: it has begun", says); return nil }
	before := w.inspect(id).State
	_, err := w.target.RunOnce(w.Context(), o)
	busy := OnceBusy{}
	if !errors.As(err, &busy) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "docker rm -f "+busy.Container) {
		w.Errorf("%v, want %q", err, says)
	}
	if after := w.inspect(id).State; after.Status != before.Status || after.StartedAt != before.StartedAt {
		w.Errorf("%s: %s since %s, then %s since %s", says, before.Status, before.StartedAt, after.Status, after.StartedAt)
	}
}

func TestOneOffContainerOfAnotherOwnerIsLeftAlone(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		for _, starts := range []bool{true, false} { // it is about to be
			id := w.left(w.job("another", w.once()), starts)
			w.mustBeBusy(w.job("me", w.exits()), id, "which another flumen-agent made from the machine")
			other := w.job("me", w.exits()) // one at a time of the service, whatever they are about
			other.About = "s3://" + w.project + "/other"
			w.mustBeBusy(other, id, "is at it")
			if ended, err := w.target.RemoveOnces(w.Context(), w.project, "me"); err != nil || len(ended) != 0 || len(w.onces()) != 1 {
				w.Errorf("%v %v %v", ended, err, w.onces())
			}
			if ended, err := w.target.RemoveOnces(w.Context(), w.project, "another"); err != nil || len(ended) != 1 {
				w.Errorf("%v %v", ended, err)
			}
		}
	})
}

func TestOneOffContainersAboutTheSameRunOneAtATimeInAllProjects(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		theirs := w.job("another", w.once())
		theirs.Project = enginetest.Project(w.T, w.engine)
		copied := *theirs.Service
		copied.Container = theirs.Project + "-tool-run"
		theirs.Service = &copied
		id := w.left(theirs, true)
		w.mustBeBusy(w.job("me", w.exits()), id, "for another project")
		other := w.job("me", w.exits())
		other.About = "s3://" + w.project + "/other"
		if e, err := w.target.RunOnce(w.Context(), other); err != nil || e.Code != 0 {
			w.Errorf("about something else: %+v %v", e, err)
		}
		if err := w.engine.ContainerStop(w.Context(), id, container.StopOptions{}); err != nil {
			w.Fatal(err)
		}
		if e, err := w.target.RunOnce(w.Context(), w.job("me", w.exits())); err != nil || e.Code != 0 {
			w.Errorf("when theirs has ended: %+v %v", e, err)
		}
		w.inspect(id) // it is theirs to remove
	})
}

func TestOneOffContainerThatIsThereForTooLongWasLeftBehind(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		long := w.job("another", w.once())
		long.Lasts = -onceSpare - 10*time.Second // it should have ended before it was made
		w.left(long, true)
		if e, err := w.target.RunOnce(w.Context(), w.job("me", w.exits())); err != nil || e.Code != 0 || len(w.onces()) != 0 {
			w.Errorf("%+v %v %v", e, err, w.onces())
		}
	})
}

// Two that come at the same time do not both run: neither within a project, where the engine gives the
// name to one, nor of two projects.
func TestOfOneOffContainersThatAreMadeAtOnceOneRunsAtMost(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired())
		story := w.story(w.job("", w.once()).About)
		for round := range 6 {
			var all sync.WaitGroup
			var ran atomic.Int32
			for i := range 4 {
				o := w.job(fmt.Sprint("owner ", i), w.exits())
				if round%2 == 1 { // as those of other projects are
					o.Service.Container += fmt.Sprint("-", i)
					o.Project += fmt.Sprint("-", i)
				}
				all.Go(func() {
					_, err := w.target.RunOnce(w.Context(), o)
					busy := OnceBusy{}
					switch {
					case err == nil:
						ran.Add(1)
					case !errors.As(err, &busy):
						w.Error(err)
					}
				})
			}
			all.Wait()
			if round%2 == 0 && ran.Load() == 0 {
				w.Error("the engine gave the name to none")
			}
		}
		last := w.job("the last", w.exits())
		if e, err := w.target.RunOnce(w.Context(), last); err != nil || e.Code != 0 || len(w.onces()) != 0 {
			w.Errorf("afterwards: %+v %v %v", e, err, w.onces())
		}
		running := ""
		for _, m := range story(last.Owner) {
			owner := m.Actor.Attributes[labelMadeBy]
			switch {
			case m.Action == events.ActionStart && running != "":
				w.Errorf("%s is started while %s runs", owner, running)
			case m.Action == events.ActionStart:
				running = owner
			case m.Action == events.ActionDie && owner == running:
				running = ""
			}
		}
	})
}

// story hears what the engine tells of containers about something. It gives all of it up to the removal
// of one of an owner's.
func (w world) story(about string) (upto func(owner string) []events.Message) {
	of := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)), filters.Arg("label", labelActsOn+"="+about))
	heard, broken := w.engine.Events(w.Context(), events.ListOptions{Filters: of})
	var all []events.Message
	over, done := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(done)
		last := ""
		for {
			select {
			case m := <-heard:
				all = append(all, m)
			case last = <-over:
			case err := <-broken:
				w.Error(err)
				return
			}
			if last != "" && slices.ContainsFunc(all, func(m events.Message) bool {
				return m.Action == events.ActionDestroy && m.Actor.Attributes[labelMadeBy] == last
			}) {
				return
			}
		}
	}()
	return func(owner string) []events.Message {
		over <- owner
		<-done
		return all
	}
}

func TestOneOffContainerWantsItsImage(t *testing.T) {
	eachWorld(t, func(w world) {
		_, err := w.target.RunOnce(w.Context(), w.job("me", w.once(func(s *spec.Service) { s.Image = "flumen-test/none:1" })))
		if err == nil || !strings.Contains(err.Error(), "image flumen-test/none:1 of service tool is not there: flumen-agent apply gets it") {
			w.Error(err)
		}
	})
}
