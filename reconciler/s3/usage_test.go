package s3

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// asksForUsage tells of a request whether it asks how much buckets hold.
func asksForUsage(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/datausageinfo") }

// countUsage counts how often the store is asked how much its buckets hold.
func (w *world) countUsage(answer func(http.ResponseWriter, *http.Request) bool) *atomic.Int32 {
	var asked atomic.Int32
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		if !asksForUsage(r) {
			return false
		}
		asked.Add(1)
		return answer(rw, r)
	})
	return &asked
}

// made is a bucket of the spec that is there.
func (w *world) made() (spec.Desired, *spec.Bucket) {
	w.Helper()
	b := w.bucket()
	want := w.desired(b)
	w.must(want, b, drift.Missing)
	w.mustApply(plan.Create{Want: b})
	return want, b
}

func testUsageIsAskedForOnceInAWhile(w *world) {
	asked := w.countUsage(func(http.ResponseWriter, *http.Request) bool { return false })
	want, b := w.made()
	for range 3 {
		w.must(want, b, "")
	}
	if n := asked.Load(); n != 1 {
		w.Errorf("the store was asked %d times in four looks", n)
	}
	w.target = New(nil)
	w.must(want, b, "")
	if n := asked.Load(); n != 2 {
		w.Errorf("a process that begins has asked %d times", n-1)
	}
}

// testUsageIsNotForThisKey looks with the key of a user that may do everything with buckets,
// and ask the server itself nothing.
func testUsageIsNotForThisKey(w *world) {
	user := w.user(reads)
	by := w.admin()
	w.ok(by.setUser(w.Context(), user.User, "the-first-secret"))
	w.ok(by.attach(w.Context(), user.User, "readwrite"))
	w.store.AccessKey, w.store.SecretKey = spec.Plain(user.User), spec.Sensitive("the-first-secret")
	status := make(chan int, 1)
	w.countUsage(func(rw http.ResponseWriter, r *http.Request) bool {
		recorded := httptest.NewRecorder()
		w.proxy.ServeHTTP(recorded, r.WithContext(context.WithoutCancel(r.Context()))) // the looks wait no longer than a second
		status <- recorded.Code
		rw.WriteHeader(recorded.Code)
		return true
	})
	want, b := w.made()
	w.must(want, b, "")
	if code := <-status; code != http.StatusForbidden {
		w.Errorf("it answered %d", code)
	}
	if u := w.observe(want).Found[b.Ref()].Usage; u != nil {
		w.Errorf("it holds %s", u)
	}
}

func testUsageThatHangs(w *world) {
	asked := w.countUsage(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	w.store.Timeout = 10 * time.Minute
	began := time.Now()
	want, b := w.made()
	w.must(want, b, "")
	if took := time.Since(began); took > w.store.Timeout/2 {
		w.Errorf("looks took %s", took)
	}
	if n := asked.Load(); n != 1 {
		w.Errorf("what hung was asked %d times", n)
	}
}

func testUsageIsNonsense(w *world) {
	w.countUsage(func(rw http.ResponseWriter, _ *http.Request) bool {
		_, _ = rw.Write([]byte(`<html>{"lastUpdate": 1}`))
		return true
	})
	want, b := w.made()
	w.must(want, b, "")
}

// testUsageElsewhere looks at a server that is known to have nothing like it.
func testUsageElsewhere(w *world) {
	asked := w.countUsage(func(http.ResponseWriter, *http.Request) bool { return false })
	want, b := w.made()
	w.must(want, b, "")
	if found := w.observe(want).Found[b.Ref()]; found.Usage != nil || asked.Load() > 0 {
		w.Errorf("it was asked %d times, and holds %s", asked.Load(), found.Usage)
	}
}

func TestUsageIsOfTheBucketThatWasCounted(t *testing.T) {
	t.Parallel()
	counted := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	u := usage{at: counted, buckets: map[string]drift.Usage{"lake": {Objects: 3, At: counted}, "empty": {At: counted}}}
	for what, c := range map[string]struct {
		bucket  minio.BucketInfo
		objects int64 // negative: nobody knows
	}{
		"one that was counted":          {minio.BucketInfo{Name: "lake", CreationDate: counted.Add(-time.Hour)}, 3},
		"one that is empty":             {minio.BucketInfo{Name: "empty", CreationDate: counted}, 0},
		"one that was not counted":      {minio.BucketInfo{Name: "new", CreationDate: counted.Add(-time.Hour)}, -1},
		"another one that had its name": {minio.BucketInfo{Name: "lake", CreationDate: counted.Add(time.Second)}, -1},
	} {
		got := u.of(c.bucket)
		if known := got != nil; known != (c.objects >= 0) || known && got.Objects != c.objects {
			t.Errorf("%s: %v", what, got)
		}
	}
}
