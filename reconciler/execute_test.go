package reconciler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func outcomes(rep report.Report) map[string]report.Outcome {
	all := map[string]report.Outcome{}
	for _, s := range rep.Steps {
		all[s.Ref.String()] = s.Outcome
	}
	return all
}

func TestStepBeginsWhenItsPrerequisiteHasReachedThePhaseItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		mayFinish := make(chan struct{})
		w.apply[ref("db")] = func(_ context.Context, _ plan.Change, p plan.Progress) error {
			p.Reached(spec.Started)
			<-mayFinish
			return nil
		}
		want := desired("1", []*spec.Service{
			service("db"),
			service("follower", spec.Dep{Ref: ref("db"), Until: spec.Started}),
			service("client", spec.Dep{Ref: ref("db"), Until: spec.Ready}),
		})
		done := make(chan report.Report)
		go func() {
			done <- (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), want, Options{})
		}()
		synctest.Wait()
		if got := strings.Join(w.did(), " "); !strings.Contains(got, "follower") || strings.Contains(got, "client") {
			t.Errorf("while db is started and not ready, begun: %s", got)
		}
		close(mayFinish)
		if rep := <-done; !rep.Ready {
			t.Errorf("not ready: %+v", rep)
		}
	})
}

func TestFailedStepSkipsItsDependentsAndLaterTiersButNotItsNeighbours(t *testing.T) {
	w := newWorld()
	w.apply[ref("db")] = fails
	want := desired("1",
		[]*spec.Service{service("cache"), service("db"), service("web", spec.Dep{Ref: ref("db"), Until: spec.Ready})},
		[]*spec.Service{service("later")})
	rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), want, Options{})
	expected := map[string]report.Outcome{
		"service/cache": report.Done, "service/db": report.RolledBack, "service/web": report.Skipped, "service/later": report.Skipped,
	}
	if diff := cmp.Diff(expected, outcomes(rep)); diff != "" {
		t.Error(diff)
	}
	if rep.Ready || rep.Err() == nil {
		t.Errorf("ready %v, error %v", rep.Ready, rep.Err())
	}
}

func TestReportHasTheLogOfWhatFailed(t *testing.T) {
	w := newWorld()
	w.apply[ref("db")] = fails
	rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), desired("1", []*spec.Service{service("db")}), Options{})
	if diff := cmp.Diff([]string{"no such table"}, rep.Steps[0].Log); diff != "" {
		t.Error(diff)
	}
}

func TestTierThatDoesNotBecomeReadyInTimeFailsAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.apply[ref("slow")] = never
		began := time.Now()
		rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), desired("1", []*spec.Service{service("slow")}), Options{})
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %s, the tier's timeout is a minute", took)
		}
		if err := rep.Err(); err == nil || !strings.Contains(err.Error(), "tier a was not ready within its timeout of 1m0s") {
			t.Error(err)
		}
	})
}

func TestServicesThatAreWaitedForDoNotKeepOthersFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var services []*spec.Service
		for i := range 3 * actsAtOnce {
			s := service("s" + string(rune('a'+i)))
			w.apply[s.Ref()] = never
			services = append(services, s)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan report.Report)
		go func() { done <- (&Reconciler{Targets: []Target{w}}).Converge(ctx, desired("1", services), Options{}) }()
		synctest.Wait()
		if begun := len(w.did()); begun != len(services) {
			t.Errorf("%d of %d services begun", begun, len(services))
		}
		cancel()
		<-done
	})
}

func TestActsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		release := make(chan struct{})
		var services []*spec.Service
		for i := range 3 * actsAtOnce {
			s := service("s" + string(rune('a'+i)))
			w.apply[s.Ref()] = func(context.Context, plan.Change, plan.Progress) error { <-release; return nil }
			services = append(services, s)
		}
		done := make(chan report.Report)
		go func() {
			done <- (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), desired("1", services), Options{})
		}()
		synctest.Wait()
		if begun := len(w.did()); begun != actsAtOnce {
			t.Errorf("%d acts at once, the bound is %d", begun, actsAtOnce)
		}
		close(release)
		<-done
	})
}

func TestBucketsOfAStoreThatHangsTakeNoTurnFromServicesAndOtherStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), &stores{newWorld()}
		want := desired("1", []*spec.Service{service("db")})
		hanging, other := &spec.Store{Name: "hanging"}, &spec.Store{Name: "other"}
		for i := range 2 * actsAtOnce {
			b := &spec.Bucket{Key: "a" + string(rune('a'+i)), Store: hanging}
			s.apply[b.Ref()] = func(ctx context.Context, _ plan.Change, _ plan.Progress) error { <-ctx.Done(); return ctx.Err() }
			want.Tiers[0].Resources = append(want.Tiers[0].Resources, b)
		}
		last := &spec.Bucket{Key: "zz", Store: other}
		want.Tiers[0].Resources = append(want.Tiers[0].Resources, last)
		rep := (&Reconciler{Targets: []Target{w, s}}).Converge(t.Context(), want, Options{})
		if got := outcomes(rep); got["service/db"] != report.Done || got["bucket/zz"] != report.Done || got["bucket/aa"] == report.Done {
			t.Errorf("%v", got)
		}
	})
}

func TestImageThatCannotBeHadStopsNothingAndStillStartsWhatIsDown(t *testing.T) {
	w := newWorld()
	old, down := service("old"), service("down")
	w.found[old.Ref()] = running(old)
	w.found[down.Ref()] = running(down)
	w.found[ref("gone")] = running(service("gone"))
	w.stop(down.Ref())
	changed := service("old")
	changed.User = "1000"
	want := desired("2", []*spec.Service{changed, down, service("new")})
	want.Tiers[0].Resources[0] = &spec.Image{Name: "missing"}
	w.apply[spec.Ref{Kind: spec.KindImage, Name: "missing"}] = func(context.Context, plan.Change, plan.Progress) error {
		return errors.New("no such image in the registry")
	}
	rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), want, Options{})
	if diff := cmp.Diff([]string{"pull image/missing", "start service/down"}, w.did()); diff != "" {
		t.Error(diff)
	}
	if rep.Err() == nil {
		t.Error("the run succeeded without its image")
	}
}

func TestRunThatFindsNothingToDoLooksOnce(t *testing.T) {
	w := newWorld()
	w.found[ref("db")] = running(service("db"))
	rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), desired("1", []*spec.Service{service("db")}), Options{})
	if w.observe != 1 || !rep.Ready || len(rep.Steps) != 0 {
		t.Errorf("looked %d times; report %+v", w.observe, rep)
	}
}

func TestReportSaysWhichNewContentAContainerThatWasBroughtBackReads(t *testing.T) {
	w := newWorld()
	w.apply[ref("web")] = fails
	old, changed := service("web"), service("web")
	old.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/srv/app.conf", Target: "/etc/app.conf", Digest: "sha256:a"}}
	changed.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/srv/app.conf", Target: "/etc/app.conf", Digest: "sha256:b"}}
	w.found[old.Ref()] = running(old)
	rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), desired("2", []*spec.Service{changed}), Options{})
	if got := rep.Steps[0].Error; !strings.Contains(got, "runs again, with the new content of /srv/app.conf") {
		t.Error(got)
	}
}

func TestReportSaysWhatEachStepWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for name, takes := range map[string]time.Duration{"db": 3 * time.Second, "cache": time.Second, "web": 2 * time.Second, "top": time.Second} {
			w.apply[ref(name)] = func(_ context.Context, _ plan.Change, p plan.Progress) error {
				time.Sleep(takes / 2)
				p.Reached(spec.Started)
				time.Sleep(takes / 2)
				return nil
			}
		}
		want := desired("1", []*spec.Service{
			service("cache"),
			service("db", spec.Dep{Ref: ref("cache"), Until: spec.Started}),
			service("web", spec.Dep{Ref: ref("cache"), Until: spec.Ready}, spec.Dep{Ref: ref("db"), Until: spec.Ready}),
		}, []*spec.Service{service("top")})
		rep := (&Reconciler{Targets: []Target{w}}).Converge(t.Context(), want, Options{})
		if got, want := rep.Path().String(), "service/cache 500ms → service/db 3.0s → service/web 2.0s → service/top 1.0s"; got != want || rep.Took != 6500*time.Millisecond {
			t.Errorf("the path is %s of %s, want %s", got, rep.Took, want)
		}
	})
}
