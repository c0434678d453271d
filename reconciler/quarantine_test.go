package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// user is a service as one revision has it.
func user(name, user string) *spec.Service {
	s := service(name)
	s.User, s.Restart = user, "always"
	return s
}

// failsFor makes a service fail in each revision that gives it this user.
func failsFor(bad string) func(context.Context, plan.Change, plan.Progress) error {
	return func(ctx context.Context, c plan.Change, p plan.Progress) error {
		if replace, ok := c.(plan.Replace); ok && replace.Want.(*spec.Service).User == bad {
			return fails(ctx, c, p)
		}
		return nil
	}
}

// users tells as which user each service runs.
func (w *world) users() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for ref, f := range w.found {
		all[ref.Name] = f.Fields["user"].String()
	}
	return all
}

func TestRevisionThatFailsGivesWayToTheLastGoodOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		b := start(t, w, desired("1", []*spec.Service{user("db", "one")}, []*spec.Service{user("web", "one")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("db", "two")}, []*spec.Service{user("web", "bad")}), nil)
		if diff := cmp.Diff(map[string]string{"db": "one", "web": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		s, enforced, _ := b.agent.Standing()
		if s.Wanted.ID != "2" || s.Enforced.ID != "1" || enforced.Revision.ID != "1" || !strings.Contains(s.Why, "exited with code 3") {
			t.Errorf("%+v", s)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if tries := count(b.did(), "replace service/web"); tries != 1 {
			t.Errorf("the failed revision was tried %d times", tries)
		}
		w.stop(ref("db"))
		b.look("engine event")
		synctest.Wait()
		indexOf(t, b.did(), "start service/db")
	})
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

func TestNewRevisionEndsAQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		b := start(t, w, desired("1", []*spec.Service{user("web", "one")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("web", "bad")}), nil)
		b.load(desired("3", []*spec.Service{user("web", "three")}), nil)
		s, _, _ := b.agent.Standing()
		if s.Enforced.ID != "3" || s.Why != "" || w.users()["web"] != "three" {
			t.Errorf("%+v, %v", s, w.users())
		}
	})
}

func TestServiceWithoutRollbackStaysAtTheFailedRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		migrated := user("db", "two")
		migrated.NoRollback = true
		b := start(t, w, desired("1", []*spec.Service{user("db", "one")}, []*spec.Service{user("web", "one")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{migrated}, []*spec.Service{user("web", "bad")}), nil)
		if diff := cmp.Diff(map[string]string{"db": "two", "web": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		last := b.reports[len(b.reports)-1]
		if len(last.Held) != 1 || last.Held[0].Rule != plan.RuleRollback {
			t.Errorf("held: %+v", last.Held)
		}
	})
}

func TestImageThatCannotBeHadIsNoFaultOfTheRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := start(t, w, desired("1", []*spec.Service{user("web", "one")}))
		defer b.stop()
		w.mu.Lock()
		w.apply[spec.Ref{Kind: spec.KindImage, Name: "i"}] = func(context.Context, plan.Change, plan.Progress) error { return errors.New("the registry is down") }
		w.mu.Unlock()
		b.load(desired("2", []*spec.Service{user("web", "two")}), nil)
		if s, _, _ := b.agent.Standing(); s.Enforced.ID != "2" || len(s.Quarantined) > 0 {
			t.Errorf("%+v", s)
		}
		w.mu.Lock()
		delete(w.apply, spec.Ref{Kind: spec.KindImage, Name: "i"})
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.users()["web"] != "two" {
			t.Errorf("it was not tried again: %v", w.users())
		}
	})
}

// Its neighbour failed, and the files they mount went back: web is not why, and is not made
// to wait for it.
func TestNeighbourOfWhatFailedIsNotToBlame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("zoo")] = failsFor("bad")
		w.apply[ref("web")] = func(_ context.Context, c plan.Change, _ plan.Progress) error {
			if replace, ok := c.(plan.Replace); ok && replace.Want.(*spec.Service).User == "two" {
				return &plan.Failure{Ref: c.Ref(), Reason: "the files went back", RolledBack: true, CalledOff: true}
			}
			return nil
		}
		b := start(t, w, desired("1", []*spec.Service{user("web", "one"), user("zoo", "one")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("web", "two"), user("zoo", "bad")}), nil)
		s, _, _ := b.agent.Standing()
		if s.Enforced.ID != "1" || !strings.Contains(s.Why, "service/zoo") || len(s.Retries) != 0 {
			t.Errorf("%+v", s)
		}
		var outcome report.Outcome
		for _, step := range b.reports[1].Steps {
			if step.Ref == ref("web") {
				outcome = step.Outcome
			}
		}
		if outcome != report.CalledOff || b.reports[1].Failures() != 1 {
			t.Errorf("%+v", b.reports[1].Steps)
		}
	})
}

func TestEngineThatIsOutOfSortsIsNoFaultOfTheRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := start(t, w, desired("1", []*spec.Service{user("web", "one")}))
		defer b.stop()
		tries := 0
		w.apply[ref("web")] = func(context.Context, plan.Change, plan.Progress) error {
			if tries++; tries == 1 {
				return errors.New("connection reset by peer")
			}
			return nil
		}
		b.load(desired("2", []*spec.Service{user("web", "two")}), nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s, _, _ := b.agent.Standing(); s.Enforced.ID != "2" || w.users()["web"] != "two" {
			t.Errorf("%+v, %v", s, w.users())
		}
	})
}

func TestFirstRevisionThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("db")] = fails
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if s, _, _ := b.agent.Standing(); len(s.Quarantined) > 0 || len(b.did()) < 2 {
			t.Errorf("%+v, did %q", s, b.did())
		}
	})
}

func TestWhatDiesOverAndOverBecomesDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		for range 6 * 60 * 6 {
			b.world.stop(ref("db"))
			b.look("engine event")
			synctest.Wait()
			time.Sleep(10 * time.Second)
		}
		if starts := len(b.did()) - 1; starts > 20 {
			t.Errorf("started %d times in six hours", starts)
		}
		s, _, _ := b.agent.Standing()
		if len(s.Retries) != 1 || !s.Retries[0].Degraded() {
			t.Errorf("%+v", s.Retries)
		}
	})
}

// remembering gives agents one memory, as those of one machine have it.
func remembering(t *testing.T) func(context.Context, string) (*state.Store, error) {
	path := filepath.Join(t.TempDir(), "state.db")
	return func(ctx context.Context, _ string) (*state.Store, error) {
		s, _, err := state.Open(ctx, path, state.Options{})
		return s, err
	}
}

func TestAgentThatIsToldToEndRemembersItsLastRun(t *testing.T) {
	memory, err := remembering(t)(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	a := &Agent{Log: slog.New(slog.DiscardHandler), memory: memory}
	a.keep(ended, report.Report{Project: "p", Steps: []report.Step{{Ref: ref("db")}}, Ready: true})
	runs, err := memory.Runs(t.Context(), 10)
	if err != nil || len(runs) != 1 || a.unkept != "" {
		t.Errorf("%+v, %v, %s", runs, err, a.unkept)
	}
}

func TestNewAgentKnowsWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, memory := newWorld(), remembering(t)
		w.apply[ref("web")] = failsFor("bad")
		good, bad := desired("1", []*spec.Service{user("web", "one")}), desired("2", []*spec.Service{user("web", "bad")})
		first := startWith(t, w, good, func(a *Agent) { a.Memory = memory })
		first.load(bad, nil)
		first.stop()
		w.stop(ref("web"))
		second := startWith(t, w, bad, func(a *Agent) { a.Memory = memory })
		defer second.stop()
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries := count(w.did(), "replace service/web"); tries != 1 {
			t.Errorf("the failed revision was tried %d times", tries)
		}
		indexOf(t, w.did(), "start service/web")
		if s, _, _ := second.agent.Standing(); s.Why == "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestNewAgentGoesBackToARevisionThatCanBeRecalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, memory := newWorld(), remembering(t)
		w.apply[ref("web")] = failsFor("bad")
		good, bad := desired("1", []*spec.Service{user("web", "one")}), desired("2", []*spec.Service{user("web", "bad")})
		first := startWith(t, w, good, func(a *Agent) { a.Memory = memory })
		first.load(bad, nil)
		first.stop()
		w.mu.Lock()
		w.found[ref("web")] = running(user("web", "by hand"))
		w.mu.Unlock()
		second := startWith(t, w, bad, func(a *Agent) {
			a.Memory = memory
			a.Recall = func(context.Context, spec.Revision) (spec.Desired, error) { return good, nil }
		})
		defer second.stop()
		if w.users()["web"] != "one" {
			t.Errorf("%v", w.users())
		}
	})
}

// ask asks the agent for something, as another process does, and gives its answer.
func (b *bench) ask(t *testing.T, memory *state.Store, verb string, ask Ask) Answer {
	t.Helper()
	id, err := memory.Ask(t.Context(), verb, ask)
	if err != nil {
		t.Fatal(err)
	}
	var answer Answer
	if err := memory.Await(t.Context(), id, &answer, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	return answer
}

// asked is an agent whose memory another process has open, too.
func asked(t *testing.T, w *world, want spec.Desired) (*bench, *state.Store) {
	open := remembering(t)
	b := startWith(t, w, want, func(a *Agent) { a.Memory = open })
	memory, err := open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return b, memory
}

func TestPausedAgentChangesNothingUntilThePauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b, memory := asked(t, w, desired("1", []*spec.Service{service("db")}))
		defer memory.Close()
		defer b.stop()
		answer := b.ask(t, memory, AskPause, Ask{Until: time.Now().Add(2 * time.Hour), Reason: "moving house"})
		if !strings.Contains(answer.Said, "moving house") {
			t.Errorf("%+v", answer)
		}
		w.stop(ref("db"))
		b.look("engine event")
		time.Sleep(time.Hour)
		if starts := count(w.did(), "start service/db"); starts != 0 {
			t.Error("it was started during the pause")
		}
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		indexOf(t, w.did(), "start service/db")
	})
}

func TestApplyAsksTheAgentToTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		b, memory := asked(t, w, desired("1", []*spec.Service{user("web", "one")}))
		defer memory.Close()
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("web", "bad")}), nil)
		w.mu.Lock()
		delete(w.apply, ref("web")) // what it needed is there by now
		w.mu.Unlock()
		answer := b.ask(t, memory, AskApply, Ask{Revision: "2"})
		if answer.Report == nil || !answer.Report.Ready || w.users()["web"] != "bad" {
			t.Errorf("%+v, %v", answer, w.users())
		}
	})
}

func TestApplyOfAnotherSpecIsRefusedByTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, memory := asked(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer memory.Close()
		defer b.stop()
		if answer := b.ask(t, memory, AskApply, Ask{Revision: "2"}); !strings.Contains(answer.Error, "another one") {
			t.Errorf("%+v", answer)
		}
	})
}

func TestRollbackPinsAnEarlierRevisionUntilAnotherIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b, memory := asked(t, w, desired("1", []*spec.Service{user("web", "one")}))
		defer memory.Close()
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("web", "two")}), nil)
		if answer := b.ask(t, memory, AskRollback, Ask{}); answer.Error != "" || w.users()["web"] != "one" {
			t.Errorf("%+v, %v", answer, w.users())
		}
		time.Sleep(20 * time.Minute)
		if w.users()["web"] != "one" {
			t.Error("it did not stay")
		}
		b.load(desired("3", []*spec.Service{user("web", "three")}), nil)
		if w.users()["web"] != "three" {
			t.Errorf("%v", w.users())
		}
	})
}

func TestRollbackGoesToTheRevisionThatIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, open := newWorld(), remembering(t)
		first := desired("aa1", []*spec.Service{user("web", "one")})
		b := startWith(t, w, first, func(a *Agent) {
			a.Memory = open
			a.Recall = func(context.Context, spec.Revision) (spec.Desired, error) { return first, nil }
		})
		defer b.stop()
		memory, err := open(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer memory.Close()
		b.load(desired("bb2", []*spec.Service{user("web", "two")}), nil)
		b.load(desired("cc3", []*spec.Service{user("web", "three")}), nil)
		if answer := b.ask(t, memory, AskRollback, Ask{Revision: "dd"}); !strings.Contains(answer.Error, "no revision dd has become ready") {
			t.Errorf("%+v", answer)
		}
		if answer := b.ask(t, memory, AskRollback, Ask{Revision: "aa"}); answer.Error != "" || w.users()["web"] != "one" {
			t.Errorf("%+v, %v", answer, w.users())
		}
		if s, _, _ := b.agent.Standing(); s.Pin == nil || s.Pin.Revision.ID != "aa1" {
			t.Errorf("%+v", s.Pin)
		}
	})
}

func TestAgentThatDoesNotHoldTheProjectOnlyLooksUntilItDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, ended := newWorld(), make(chan struct{})
		b := startWith(t, w, desired("1", []*spec.Service{service("db")}), func(a *Agent) {
			a.Hold = func(context.Context, string) (string, error) {
				select {
				case <-ended:
					return "", nil
				default:
					return "process 7 has it", nil
				}
			}
		})
		defer b.stop()
		if len(w.did()) > 0 || len(b.reports) != 1 {
			t.Errorf("did %q", w.did())
		}
		close(ended)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		indexOf(t, w.did(), "create service/db")
	})
}
