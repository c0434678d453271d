package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// bench is an agent at work on a world, inside a bubble of simulated time.
type bench struct {
	*world
	agent *Agent
	look  func(string)

	mu      sync.Mutex
	want    spec.Desired
	err     error
	reports []report.Report
	stop    func()
}

// start runs an agent that looks once an hour by itself.
func start(t *testing.T, w *world, want spec.Desired) *bench {
	return startWith(t, w, want, func(*Agent) {})
}

// startWith lets a test set up the agent first.
func startWith(t *testing.T, w *world, want spec.Desired, setUp func(*Agent)) *bench {
	b := &bench{world: w, want: want}
	ready := make(chan struct{})
	b.agent = &Agent{
		Reconciler: &Reconciler{Targets: []Target{w}},
		Interval:   time.Hour,
		Log:        slog.New(slog.DiscardHandler),
		Load: func(context.Context) (spec.Desired, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.want, b.err
		},
		Triggers: []func(context.Context, func(string)){func(ctx context.Context, look func(string)) {
			b.look = look
			close(ready)
			<-ctx.Done()
		}},
		Reported: func(r report.Report) { b.mu.Lock(); b.reports = append(b.reports, r); b.mu.Unlock() },
	}
	setUp(b.agent)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { b.agent.Run(ctx); close(over) }()
	b.stop = func() { cancel(); <-over }
	<-ready
	synctest.Wait()
	return b
}

// load changes what the agent's loader gives, and has it look.
func (b *bench) load(want spec.Desired, err error) {
	b.mu.Lock()
	b.want, b.err = want, err
	b.mu.Unlock()
	b.look("test")
	synctest.Wait()
}

func TestAgentBringsBackWhatWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.world.stop(ref("db"))
		b.look("engine event")
		synctest.Wait()
		if diff := cmp.Diff([]string{"create service/db", "start service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAgentLooksOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.world.stop(ref("db"))
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"create service/db", "start service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSpecThatDoesNotLoadLeavesTheLastOneInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.world.stop(ref("db"))
		b.load(spec.Desired{}, errors.New("flumen.yaml:3:1: unknown key"))
		if diff := cmp.Diff([]string{"create service/db", "start service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNewerRevisionEndsTheWaitingOfTheRunInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("broken")] = never
		b := start(t, w, desired("1", []*spec.Service{service("broken")}))
		defer b.stop()
		began := time.Now()
		b.load(desired("2", []*spec.Service{service("fixed")}), nil)
		if took := time.Since(began); took != 0 {
			t.Errorf("the fix waited %s", took)
		}
		indexOf(t, b.did(), "create service/fixed")
	})
}

func TestReasonThatComesDuringARunIsLookedAtAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("slow")] = never
		b := start(t, w, desired("1", []*spec.Service{service("slow"), service("db")}))
		defer b.stop()
		b.world.stop(ref("db"))
		b.look("engine event")
		time.Sleep(61 * time.Second) // past the tier's timeout, which ends the first run
		synctest.Wait()
		indexOf(t, b.did(), "start service/db")
	})
}

func TestWhatFailedIsNotTriedAgainBeforeItsBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("db")] = fails
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.look("engine event")
		synctest.Wait()
		if tries := len(b.did()); tries != 1 {
			t.Errorf("%d tries at once", tries)
		}
		time.Sleep(12*time.Second + time.Millisecond) // firstRetry and a fifth
		synctest.Wait()
		if tries := len(b.did()); tries != 2 {
			t.Errorf("%d tries after the backoff", tries)
		}
	})
}

func TestWhatFailedIsTriedAtOnceWhenTheSpecChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("db")] = fails
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		b.load(desired("2", []*spec.Service{service("db")}), nil)
		if tries := len(b.did()); tries != 2 {
			t.Errorf("%d tries", tries)
		}
	})
}

func TestTierAboveOneThatWaitsForItsBackoffIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("db")] = fails
		old := service("db")
		old.User = "before"
		w.found[ref("db")] = running(old)
		b := start(t, w, desired("1", []*spec.Service{service("db")}, []*spec.Service{service("web")}))
		defer b.stop()
		b.look("interval")
		synctest.Wait()
		if diff := cmp.Diff([]string{"replace service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAgentThatDoesNotHealChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		b := &bench{world: w}
		agent := &Agent{
			Reconciler: &Reconciler{Targets: []Target{w}}, Interval: time.Hour, NoHeal: true,
			Log:      slog.New(slog.DiscardHandler),
			Load:     func(context.Context) (spec.Desired, error) { return desired("1", []*spec.Service{service("db")}), nil },
			Reported: func(r report.Report) { b.reports = append(b.reports, r) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { agent.Run(ctx); close(over) }()
		synctest.Wait()
		cancel()
		<-over
		if len(w.did()) != 0 || len(b.reports) != 1 || len(b.reports[0].After) != 1 {
			t.Errorf("did %q, reports %+v", w.did(), b.reports)
		}
	})
}

func TestBurstOfReasonsIsOneMoreRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, release := newWorld(), make(chan struct{})
		w.apply[ref("db")] = func(context.Context, plan.Change, plan.Progress) error { <-release; return nil }
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		for range 50 {
			b.look("file changed")
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		if runs := len(b.reports); runs != 2 {
			t.Errorf("%d runs", runs)
		}
	})
}

// hoarder is a world that remembers what it was asked to keep.
type hoarder struct {
	*world
	kept [][]string
}

func (h *hoarder) PruneImages(_ context.Context, _ string, keep []spec.ImageKey) ([]string, error) {
	var builds []string
	for _, key := range keep {
		builds = append(builds, key.Build)
	}
	h.kept = append(h.kept, builds)
	return nil, nil
}

// built is a revision that builds an image of its own.
func built(revision string, services ...*spec.Service) spec.Desired {
	want := desired(revision, services)
	want.Tiers[0].Resources[0].(*spec.Image).Build = &spec.Build{Digest: revision}
	return want
}

func TestImagesOfTheCurrentAndTheLastGoodRevisionAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), built("1", service("db")))
		defer b.stop()
		h := &hoarder{world: b.world}
		b.agent.Reconciler.Targets = []Target{h}
		b.load(built("2", service("db")), nil)
		b.look("engine event")
		synctest.Wait()
		b.world.apply[ref("broken")] = fails
		b.load(built("3", service("db"), service("broken")), nil)
		b.load(built("4", service("db")), nil)
		if diff := cmp.Diff([][]string{{"2", "1"}, {"4", "2"}}, h.kept); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAgentRestsAfterAFailureThatMendedItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("late")] = func(ctx context.Context, c plan.Change, p plan.Progress) error {
			w.mu.Lock()
			w.found[c.Ref()] = running(service("late")) // after the tier's timeout it is healthy after all
			w.mu.Unlock()
			return fails(ctx, c, p)
		}
		b := start(t, w, desired("1", []*spec.Service{service("late")}))
		defer b.stop()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if runs := len(b.reports); runs > 4 {
			t.Errorf("%d runs in ten minutes with nothing to do", runs)
		}
	})
}

func TestRevisionThatFailedAtFirstIsStillFollowedInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		old := service("web")
		w.found[old.Ref()] = running(old)
		moved := w.found[old.Ref()]
		moved.Fields = service("web").Fields()
		moved.Fields["image"] = spec.Plain("i (sha256:0123, moved)")
		w.found[old.Ref()] = moved
		w.apply[ref("db")] = fails
		b := start(t, w, desired("1", []*spec.Service{service("db")}, []*spec.Service{service("web")}))
		defer b.stop()
		w.mu.Lock()
		delete(w.apply, ref("db"))
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		indexOf(t, b.did(), "replace service/web")
	})
}

func TestStepThatIsDoneAndDiffersAllTheSameWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		stubborn := running(service("db"))
		stubborn.Fields = service("other").Fields()
		w.found[ref("db")] = stubborn
		w.apply[ref("db")] = func(context.Context, plan.Change, plan.Progress) error { return nil }
		b := start(t, w, desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		keep := func() { w.mu.Lock(); w.found[ref("db")] = stubborn; w.mu.Unlock() }
		for range 20 {
			keep()
			b.look("engine event")
			synctest.Wait()
		}
		if tries := len(b.did()); tries > 2 {
			t.Errorf("replaced %d times in a row", tries)
		}
	})
}

func TestServiceThatDiesAgainAndAgainIsNotStartedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newWorld(), desired("1", []*spec.Service{service("db")}))
		defer b.stop()
		for range 50 {
			b.world.stop(ref("db"))
			b.look("engine event")
			synctest.Wait()
			time.Sleep(3 * time.Second)
		}
		if starts := len(b.did()) - 1; starts < 3 || starts > 8 {
			t.Errorf("started %d times in 150 seconds", starts)
		}
	})
}

func TestServiceThatWritesItsOwnMountedFileIsNotMadeAnewWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writing := func(digest string) *spec.Service {
			s := service("acme")
			s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/srv/acme.json", Target: "/acme.json", Digest: digest}}
			return s
		}
		b := start(t, newWorld(), desired("0", []*spec.Service{writing("0")}))
		defer b.stop()
		for i := range 50 {
			revision := string(rune('A' + i))
			b.load(desired(revision, []*spec.Service{writing(revision)}), nil)
			time.Sleep(time.Second)
		}
		if replaces := len(b.did()) - 1; replaces < 2 || replaces > 6 {
			t.Errorf("made anew %d times in 50 seconds", replaces)
		}
	})
}

func TestWhatDiesWhileARunWaitsIsBroughtBackBesideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("slow")] = never
		b := start(t, w, desired("1", []*spec.Service{service("db")}, []*spec.Service{service("slow")}))
		defer b.stop()
		b.world.stop(ref("db"))
		began := time.Now()
		b.look("engine event")
		synctest.Wait()
		indexOf(t, b.did(), "start service/db")
		if waited := time.Since(began); waited > 0 {
			t.Errorf("it waited %s", waited)
		}
	})
}

func TestAgentGoesOnWithTheNewestStateThatCanBeHadAndSaysWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		gone := errors.New("the repository cannot be reached")
		b := startWith(t, w, desired("1", []*spec.Service{service("db")}), func(a *Agent) {
			load := a.Load
			a.Load = func(ctx context.Context) (spec.Desired, error) {
				want, err := load(ctx)
				return want, errors.Join(err, gone)
			}
		})
		defer b.stop()
		b.world.stop(ref("db"))
		b.look("engine event")
		synctest.Wait()
		if diff := cmp.Diff([]string{"create service/db", "start service/db"}, b.did()); diff != "" {
			t.Error(diff)
		}
		if s, _, _ := b.agent.Standing(); s.Trouble != gone.Error() {
			t.Errorf("trouble %q", s.Trouble)
		}
		since := time.Now()
		time.Sleep(3 * time.Hour)
		b.load(desired("1", []*spec.Service{service("db")}), errors.New("and it does not load"))
		if s, _, _ := b.agent.Standing(); !s.TroubleSince.Equal(since) {
			t.Errorf("in trouble since %s, expected %s", s.TroubleSince, since)
		}
		gone = nil
		b.load(desired("2", []*spec.Service{service("db"), service("web")}), nil)
		if s, _, _ := b.agent.Standing(); s.Trouble != "" || !s.TroubleSince.IsZero() || s.Wanted.ID != "2" {
			t.Errorf("%+v", s)
		}
	})
}

func TestFilesAreEnteredWithTheRevisionToGoBackTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var entered []string
		w := newWorld()
		w.apply[ref("web")] = failsFor("bad")
		b := startWith(t, w, desired("1", []*spec.Service{user("web", "good")}), func(a *Agent) {
			a.Enter = func(_ context.Context, want spec.Desired, good spec.Revision) error {
				entered = append(entered, want.Revision.ID+" good "+good.ID)
				return nil
			}
		})
		defer b.stop()
		b.load(desired("2", []*spec.Service{user("web", "bad")}), nil)
		if diff := cmp.Diff([]string{"1 good ", "2 good 1", "1 good 1"}, entered); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNothingIsDoneWhenItsFilesCannotBeEntered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startWith(t, newWorld(), desired("1", []*spec.Service{service("db")}), func(a *Agent) {
			a.Enter = func(context.Context, spec.Desired, spec.Revision) error { return errors.New("the disk is full") }
		})
		defer b.stop()
		if did := b.did(); len(did) != 0 {
			t.Errorf("did %q", did)
		}
		if len(b.reports) == 0 || b.reports[0].Fault != "the disk is full" {
			t.Errorf("%+v", b.reports)
		}
	})
}
