package s3

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// fault is what happens at one request of a run.
type fault struct {
	name string
	// instead is done in the place of the request, after it reached the store if late says so:
	// its answer is lost then. What only reads is left alone by a late one: for the store it is
	// as if it had never come, which the others show.
	instead func(rw http.ResponseWriter, kill func())
	late    bool
}

var faults = []fault{
	{"killed before", func(_ http.ResponseWriter, kill func()) { kill(); panic(http.ErrAbortHandler) }, false},
	{"killed after", func(_ http.ResponseWriter, kill func()) { kill(); panic(http.ErrAbortHandler) }, true},
	{"connection cut", func(http.ResponseWriter, func()) { panic(http.ErrAbortHandler) }, false},
	{"answer lost", func(http.ResponseWriter, func()) { panic(http.ErrAbortHandler) }, true},
	{"refused", func(rw http.ResponseWriter, _ func()) {
		refuse(rw, http.StatusForbidden, "AccessDenied", "for once")
	}, false},
	{"throttled", func(rw http.ResponseWriter, _ func()) {
		refuse(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	}, false},
}

// testInterrupted has each request of a run go wrong in each way, and runs again.
func testInterrupted(w *world) {
	for _, one := range faults {
		w.Run(one.name, func(t *testing.T) {
			t.Parallel()
			alone(newWorld(t, w.store.Endpoint)).interrupt(one)
		})
	}
}

// alone gives a world the key of a user that sees no buckets but those of this world, so that
// no run takes requests for those of other tests.
func alone(w *world) *world {
	w.Helper()
	w.prefix = strings.ToLower(rand.Text()[:10]) + "-"
	a := w.user(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::` + w.prefix + `*"]}]}`)
	w.observe(w.wanting(a))
	w.mustApply(plan.Create{Want: a})
	w.store.AccessKey, w.store.SecretKey = spec.Plain(a.User), a.Secret
	return w
}

func (w *world) interrupt(one fault) {
	f, least := &faulty{fault: one}, 15
	if one.late {
		least = 5
	}
	w.target.again = 10 * time.Millisecond
	w.faulty(f)
	n := 1
	for ; f.at(n, func(ctx context.Context) { w.runTwice(ctx, f) }); n++ {
		if w.Failed() {
			w.Fatalf("at request %d", n)
		}
	}
	if n <= least {
		w.Errorf("a run has only %d requests that can go wrong so", n-1)
	}
}

// runTwice runs with a fault and without. There is a bucket to make, one to change, and one to
// remove with what is in it.
func (w *world) runTwice(ctx context.Context, f *faulty) {
	w.Helper()
	fresh, changed, gone := w.bucket(), w.bucket(), w.bucket()
	fresh.Versioning, fresh.Tags = spec.VersioningEnabled, map[string]string{"team": "data"}
	f.rest(func() {
		w.byHand(changed, nil)
		w.byHand(gone, map[string]string{spec.OwnerTag: w.desired().Project})
		w.mustPut(gone, "a")
		w.mustPut(gone, "b")
	})
	changed.Versioning = spec.VersioningSuspended
	want := w.desired(fresh, changed)
	want.Consents = []spec.Consent{{Remove: gone.Ref(), Until: time.Now().Add(time.Hour), WithContents: true}}
	r := reconciler.Reconciler{Targets: []reconciler.Target{w.target}}
	r.Converge(ctx, want, reconciler.Options{})
	f.rest(func() {
		w.mustSettle()
		w.mustConverge(want)
		w.mustBeGone(gone)
		tags := map[string]string{"team": "data", spec.OwnerTag: want.Project}
		w.mustHaveTags(fresh, tags)
		for _, b := range []*spec.Bucket{fresh, changed} {
			if err := w.hand.RemoveBucket(w.Context(), b.Name); err != nil {
				w.Error(err)
			}
		}
	})
}

// mustSettle waits until the store is through with requests that nobody waits for any more. Until
// then it may list a bucket that it says is not there, since it makes one and takes it back.
func (w *world) mustSettle() {
	w.Helper()
	all := func() error {
		buckets, err := w.hand.ListBuckets(w.Context())
		for _, b := range buckets {
			if strings.HasPrefix(b.Name, w.prefix) && err == nil {
				_, err = w.hand.GetBucketVersioning(w.Context(), b.Name)
			}
		}
		return err
	}
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := all()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			w.Fatalf("the store does not settle: %v", err)
		}
	}
}

// mustConverge runs, and expects that all is well then, and that nothing is left to do.
func (w *world) mustConverge(want spec.Desired) {
	w.Helper()
	r := reconciler.Reconciler{Targets: []reconciler.Target{w.target}}
	if rep := r.Converge(w.Context(), want, reconciler.Options{}); !rep.Ready || rep.Err() != nil {
		w.Errorf("the run: ready %t, %v, held %v", rep.Ready, rep.Err(), rep.Held)
	}
	p, d, err := r.Plan(w.Context(), want, reconciler.Options{})
	if err != nil || !p.Empty() || len(p.Held) > 0 || len(d) > 0 {
		w.Errorf("another run has something to do: %+v %v, held %v", d, err, p.Held)
	}
}

// faulty is a proxy in which one request goes wrong.
type faulty struct {
	left    atomic.Int64 // requests until then
	fault   fault
	kill    atomic.Pointer[context.CancelFunc]
	resting atomic.Bool
}

// at has the n-th request of do go wrong, and tells whether there was one.
func (f *faulty) at(n int, do func(context.Context)) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.kill.Store(&cancel)
	f.left.Store(int64(n))
	do(ctx)
	return f.left.Load() <= 0
}

// rest has nothing go wrong meanwhile.
func (f *faulty) rest(do func()) {
	f.resting.Store(true)
	defer f.resting.Store(false)
	do()
}

func (w *world) faulty(f *faulty) {
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if f.resting.Load() || f.fault.late && reads || f.left.Add(-1) != 0 {
			return false
		}
		if f.fault.late {
			w.pass(r)
		}
		f.fault.instead(rw, func() { (*f.kill.Load())() })
		return true
	})
}

// pass has a request reach the store, whose answer nobody hears.
func (w *world) pass(r *http.Request) {
	w.proxy.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
}
