package reconciler

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// gate is a window that a test opens and closes.
type gate struct{ closed atomic.Bool }

func (g *gate) at(spec.Desired, time.Time) plan.Window { return plan.Window{Closed: g.closed.Load()} }

// windowed is a state that has windows, in tiers of one service each.
func windowed(revision string, services ...*spec.Service) spec.Desired {
	var tiers [][]*spec.Service
	for _, s := range services {
		tiers = append(tiers, []*spec.Service{s})
	}
	want := desired(revision, tiers...)
	want.Windows = []spec.Window{{}}
	return want
}

// startAt runs an agent whose window is the gate's. It notes the revisions whose files
// containers are to find.
func startAt(t *testing.T, w *world, g *gate, entered *[]string, want spec.Desired) *bench {
	return startWith(t, w, want, func(a *Agent) {
		a.Reconciler.Window = g.at
		a.Enter = func(_ context.Context, want spec.Desired, _ spec.Revision) error {
			*entered = slices.Compact(append(*entered, want.Revision.ID))
			return nil
		}
	})
}

func TestChangeWaitsForItsWindowAndHealsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		b := startAt(t, w, g, &entered, windowed("1", user("db", "one"), user("web", "one")))
		defer b.stop()
		g.closed.Store(true)
		b.load(windowed("2", user("db", "two"), user("web", "one"), user("new", "one")), nil)
		if diff := cmp.Diff(map[string]string{"db": "one", "web": "one", "new": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		for _, name := range []string{"db", "web"} {
			w.stop(ref(name))
			b.look("engine event")
			synctest.Wait()
			indexOf(t, b.did(), "start service/"+name)
		}
		if s, _, _ := b.agent.Standing(); s.good(spec.Revision{ID: "2"}) {
			t.Error("a revision that waits counts as good")
		}

		g.closed.Store(false)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]string{"db": "two", "web": "one", "new": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		if s, _, _ := b.agent.Standing(); !s.good(spec.Revision{ID: "2"}) {
			t.Error("the revision does not count as good")
		}
	})
}

func TestRemovalWaitsForItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		all := desired("1", []*spec.Service{user("db", "one"), user("web", "one")})
		all.Windows = []spec.Window{{}}
		b := startAt(t, w, g, &entered, all)
		defer b.stop()
		g.closed.Store(true)
		b.load(windowed("2", user("db", "one")), nil)
		if diff := cmp.Diff(map[string]string{"db": "one", "web": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		g.closed.Store(false)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]string{"db": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFilesStayThoseOfWhatRunsUntilTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		b := startAt(t, w, g, &entered, windowed("1", user("db", "one"), user("web", "one")))
		defer b.stop()
		g.closed.Store(true)
		b.load(windowed("2", user("db", "two"), user("web", "two")), nil)
		w.stop(ref("web"))
		b.look("engine event")
		synctest.Wait()
		if diff := cmp.Diff([]string{"1"}, entered); diff != "" {
			t.Error(diff)
		}
		g.closed.Store(false)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if diff := cmp.Diff([]string{"1", "2"}, entered); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRevisionThatFailsInItsWindowGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		w.apply[ref("web")] = failsFor("bad")
		b := startAt(t, w, g, &entered, windowed("1", user("db", "one"), user("web", "one")))
		defer b.stop()
		g.closed.Store(true)
		for _, revision := range []string{"2", "3", "4"} { // more than an agent keeps of those that were in force
			b.load(windowed(revision, user("db", revision), user("web", "bad")), nil)
			time.Sleep(3 * time.Hour)
			synctest.Wait()
		}
		if s, _, _ := b.agent.Standing(); len(s.Quarantined) > 0 || s.Enforced.ID != "4" {
			t.Errorf("it failed before it was tried: %+v", s)
		}
		g.closed.Store(false)
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]string{"db": "one", "web": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
		if s, _, _ := b.agent.Standing(); len(s.Quarantined) != 1 || s.Enforced.ID != "1" {
			t.Errorf("%+v", s)
		}
	})
}

func TestGoingBackWaitsForNoWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		w.apply[ref("web")] = func(ctx context.Context, c plan.Change, p plan.Progress) error {
			if _, replace := c.(plan.Replace); replace {
				g.closed.Store(true) // it ends while the change is under way
			}
			return failsFor("bad")(ctx, c, p)
		}
		b := startAt(t, w, g, &entered, windowed("1", user("db", "one"), user("web", "one")))
		defer b.stop()
		b.load(windowed("2", user("db", "two"), user("web", "bad")), nil)
		if diff := cmp.Diff(map[string]string{"db": "one", "web": "one"}, w.users()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRegistriesAreAskedOnceForARevisionThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, g, entered := newWorld(), &gate{}, []string{}
		b := startAt(t, w, g, &entered, windowed("1", user("db", "one")))
		defer b.stop()
		g.closed.Store(true)
		next := windowed("2", user("db", "two"))
		next.Tiers[0].Resources[0] = &spec.Image{Name: "i", Pull: spec.PullAlways}
		b.load(next, nil)
		time.Sleep(5*time.Hour + time.Minute)
		synctest.Wait()
		if pulls := count(b.did(), "pull image/i"); pulls != 1 {
			t.Errorf("asked %d times: %v", pulls, b.did())
		}
	})
}
