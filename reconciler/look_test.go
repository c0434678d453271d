package reconciler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// hanging is a Target for buckets that takes its time to look.
type hanging struct {
	stores
	takes time.Duration
}

func (h *hanging) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	select {
	case <-time.After(h.takes):
	case <-ctx.Done():
		return drift.Observed{}, ctx.Err()
	}
	if h.takes > late {
		return drift.Observed{Blind: map[spec.Ref]string{{Kind: spec.KindBucket, Name: "lake"}: "does not answer in time"}}, nil
	}
	return h.stores.Observe(ctx, want)
}

// withLake is a state with a service, a bucket, and a service in a tier above.
func withLake() spec.Desired {
	want := desired("1", []*spec.Service{service("db")}, []*spec.Service{service("web")})
	want.Stores = []*spec.Store{{Name: "s"}}
	want.Tiers[0].Resources = append(want.Tiers[0].Resources, &spec.Bucket{Key: "lake", Store: want.Stores[0]})
	return want
}

func TestStoreThatHangsDoesNotKeepServicesDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), &hanging{stores: stores{newWorld()}}
		want := withLake()
		b := startWith(t, w, want, func(a *Agent) { a.Reconciler.Targets = []Target{w, s} })
		defer b.stop()
		s.takes = 10 * time.Second
		for _, name := range []string{"db", "web"} {
			w.stop(ref(name))
		}
		began := time.Now()
		b.look("engine event")
		synctest.Wait()
		time.Sleep(late)
		synctest.Wait()
		if diff := cmp.Diff([]string{"create service/db", "create service/web", "start service/db", "start service/web"}, w.did()); diff != "" {
			t.Errorf("%s after the event: %s", time.Since(began), diff)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		last := b.reports[len(b.reports)-1]
		if len(last.Steps) != 2 || len(last.Held) != 1 || last.Held[0].Rule != "unseen" || last.Ready {
			t.Errorf("%+v", last)
		}
	})
}

func TestNewStateWaitsForALateStoreBeforeItIsActedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := newWorld(), &hanging{stores{newWorld()}, 10 * time.Second}
		rep := make(chan report.Report, 1)
		go func() {
			rep <- (&Reconciler{Targets: []Target{w, s}}).Converge(t.Context(), withLake(), Options{Refresh: true})
		}()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if did := w.did(); len(did) > 0 {
			t.Errorf("did %v", did)
		}
		r := <-rep
		// The rest goes on: only what is behind the bucket's gate waits.
		if diff := cmp.Diff([]string{"create service/db"}, w.did()); diff != "" {
			t.Error(diff)
		}
		if len(r.Held) != 2 {
			t.Errorf("%+v", r.Held)
		}
	})
}
