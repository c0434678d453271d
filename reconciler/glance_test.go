package reconciler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// teller is a world that can be looked at by a glance, and says how it was looked at.
type teller struct {
	*world
	looks []string // guarded by the world's mu
}

func (t *teller) looked(how string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looks = append(t.looks, how)
}

// taken gives how it was looked at since it was asked last.
func (t *teller) taken() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	looks := t.looks
	t.looks = nil
	return looks
}

func (t *teller) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	t.looked("look")
	return t.world.Observe(ctx, want)
}

func (t *teller) Glance(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	t.looked("glance")
	return t.world.Observe(ctx, want)
}

// An agent that has nothing to do only glances, once per interval; for every other reason, and
// before it acts, it looks.
func TestOnlyAnAgentThatIsCalmGlances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &teller{world: newWorld()}
		b := startWith(t, w.world, desired("1", []*spec.Service{service("db")}), func(a *Agent) { a.Reconciler.Targets, a.Interval = []Target{w}, time.Minute })
		defer b.stop()
		after := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			if diff := cmp.Diff(want, w.taken()); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		after("start", "look", "look")
		time.Sleep(time.Minute)
		after("the first interval", "look") // the run before has done something
		time.Sleep(time.Minute)
		after("the second interval", "glance")
		b.look("service/db: was updated")
		after("an event", "look")
		time.Sleep(time.Minute)
		w.stop(ref("db"))
		w.taken()
		time.Sleep(time.Minute)
		after("what a glance sees amiss", "glance", "look", "look")
		indexOf(t, b.did(), "start service/db")
	})
}

// deaf is a world that does not tell of changes, though it should: a glance shows what was seen
// by the last look.
type deaf struct {
	*world
	seen drift.Observed
}

func (d *deaf) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	var err error
	d.seen, err = d.world.Observe(ctx, want)
	return d.seen, err
}

func (d *deaf) Glance(context.Context, spec.Desired) (drift.Observed, error) { return d.seen, nil }

func TestChangeThatNobodyTellsOfIsFoundWithinTenMinutesOrTheInterval(t *testing.T) {
	for interval, most := range map[time.Duration]time.Duration{
		10 * time.Second: 10 * time.Minute, time.Minute: 10 * time.Minute, 4 * time.Minute: 10 * time.Minute,
		7 * time.Minute: 10 * time.Minute, 10 * time.Minute: 10 * time.Minute, time.Hour: time.Hour,
	} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				b := startWith(t, w, desired("1", []*spec.Service{service("db")}), func(a *Agent) {
					a.Reconciler.Targets, a.Interval = []Target{&deaf{world: w}}, interval
				})
				defer b.stop()
				for i := range 20 { // at different moments between two looks
					time.Sleep(time.Duration(i) * 37 * time.Second)
					synctest.Wait()
					acts := len(b.did())
					w.stop(ref("db"))
					time.Sleep(most)
					synctest.Wait()
					if len(b.did()) == acts {
						t.Fatalf("not found after %s", most)
					}
				}
			})
		})
	}
}
