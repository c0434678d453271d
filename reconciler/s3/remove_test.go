package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func testRemoved(w *world) {
	b := w.bucket()
	remove := w.left(b)
	w.mustPass(remove)
	for range 2 { // gone already is success
		w.mustApply(remove)
		w.mustBeGone(b)
	}
}

// testEmptied has more than one page of objects, with older versions and marks of deletion.
func testEmptied(w *world) {
	b := w.bucket()
	b.Versioning = spec.VersioningEnabled
	remove := w.left(b)
	const objects = 1100
	var puts errgroup.Group
	puts.SetLimit(16)
	for i := range objects {
		puts.Go(func() error { return w.put(b, fmt.Sprintf("part/%d", i)) })
	}
	if err := puts.Wait(); err != nil {
		w.Fatal(err)
	}
	w.mustPut(b, "part/0")
	if err := w.hand.RemoveObject(w.Context(), b.Name, "part/1", minio.RemoveObjectOptions{}); err != nil {
		w.Fatal(err)
	}
	w.mustRefuse(remove, "it is not empty")
	remove.WithContents = true
	w.mustPass(remove)
	told := &listener{}
	if err := w.target.Apply(w.Context(), remove, told); err != nil {
		w.Fatal(err)
	}
	w.mustBeGone(b)
	if told.most != objects+2 {
		w.Errorf("%d of %d deletions told", told.most, objects+2)
	}
}

func testTableKept(w *world) {
	for _, key := range []string{"_delta_log/00000000000000000000.json", "warehouse/bronze.db/orders/_delta_log/00000000000000000000.json"} {
		b := w.bucket()
		b.Versioning = spec.VersioningEnabled
		remove := w.left(b)
		remove.WithContents = true
		w.mustPut(b, "data/part-0.parquet")
		w.mustPut(b, key)
		w.mustRefuse(remove, "it holds a Delta table")
		// Deleted, it can still be brought back.
		if err := w.hand.RemoveObject(w.Context(), b.Name, key, minio.RemoveObjectOptions{}); err != nil {
			w.Fatal(err)
		}
		w.mustRefuse(remove, "it holds a Delta table")
		w.mustHold(b, "data/part-0.parquet")
	}
	b := w.bucket() // what only looks like it
	remove := w.left(b)
	remove.WithContents = true
	w.mustPut(b, "my_delta_log/x")
	w.mustPut(b, "a/_delta_logs/x")
	w.mustApply(remove)
	w.mustBeGone(b)
}

func testLockedKept(w *world) {
	b := w.bucket()
	if err := w.hand.MakeBucket(w.Context(), b.Name, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		w.Fatal(err)
	}
	w.mark(b, map[string]string{spec.OwnerTag: w.desired(b).Project})
	remove := w.left(b)
	remove.WithContents = true
	w.mustPut(b, "held")
	w.mustRefuse(remove, "it has object lock and is not empty")
	w.mustHold(b, "held")
}

func testOthersKept(w *world) {
	b := w.bucket()
	remove := w.left(b)
	for _, marks := range []map[string]string{{"team": "data"}, {spec.OwnerTag: "other"}} {
		w.mark(b, marks)
		if err := w.apply(remove); !errors.Is(err, plan.ErrStale) {
			w.Errorf("with tags %v: %v, want ErrStale", marks, err)
		}
	}
	if err := w.hand.RemoveBucketTagging(w.Context(), b.Name); err != nil {
		w.Fatal(err)
	}
	if err := w.apply(remove); !errors.Is(err, plan.ErrStale) {
		w.Errorf("without tags: %v, want ErrStale", err)
	}
	if there, err := w.hand.BucketExists(w.Context(), b.Name); !there || err != nil {
		w.Errorf("it is gone: %v", err)
	}
}

// testNoTags has a server that does not know the tags of buckets: nothing there is ever ours to
// remove.
func testNoTags(w *world) {
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		none := r.URL.Query().Has("tagging")
		if none {
			refuse(rw, http.StatusNotImplemented, minio.NotImplemented, "no tags here")
		}
		return none
	})
	b := w.bucket()
	want := w.desired(b)
	d := w.must(want, b, drift.Missing)
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")
	for _, f := range w.observe(w.desired()).Found {
		w.Errorf("it is listed when it has left the spec: %+v", f)
	}
	remove := plan.Remove{Have: drift.Found{Ref: d.Ref, ID: w.store.Name + "/" + b.Name, Owned: true}, WithContents: true}
	if err := w.apply(remove); !errors.Is(err, plan.ErrStale) {
		w.Errorf("%v, want ErrStale", err)
	}
	if there, err := w.hand.BucketExists(w.Context(), b.Name); !there || err != nil {
		w.Errorf("it is gone: %v", err)
	}
}

// testTableMeanwhile has a table made when the bucket has been looked through.
func testTableMeanwhile(w *world) {
	b := w.bucket()
	remove := w.left(b)
	remove.WithContents = true
	w.mustPut(b, "z")
	var lists atomic.Int32
	var once sync.Once
	w.through((*httptest.Server).Start, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("versions") && lists.Add(1) > 1 {
			once.Do(func() { w.mustPut(b, "t/_delta_log/00000000000000000000.json") })
		}
		return false
	})
	w.observe(w.desired())
	if err := w.apply(remove); err == nil || !strings.Contains(err.Error(), "has just made a Delta table") {
		w.Errorf("%v", err)
	}
	w.mustHold(b, "t/_delta_log/00000000000000000000.json")
}

// left gives the removal of a bucket that the agent made, or that is there and marked, and that
// the spec does not name any more.
func (w *world) left(b *spec.Bucket) plan.Remove {
	w.Helper()
	want := w.desired(b)
	w.observe(want)
	w.mustApply(plan.Create{Want: b})
	d, _ := drift.Compare(w.desired(), w.observe(w.desired())).Of(b.Ref())
	if d.Verdict != drift.Extra {
		w.Fatalf("%s is %q, want extra", b.Ref(), d.Verdict)
	}
	return plan.Remove{Have: *d.Have}
}

// mustPass expects nothing in the way of a change.
func (w *world) mustPass(c plan.Change) {
	w.Helper()
	if all := w.check(c); len(all) > 0 {
		w.Errorf("%+v", all)
	}
}

// mustRefuse expects that a removal is held, and that it does not go through either.
func (w *world) mustRefuse(c plan.Change, says string) {
	w.Helper()
	all := w.check(c)
	if len(all) != 1 || all[0].Rule != plan.RuleData || !strings.Contains(all[0].Reason, says) {
		w.Errorf("held by %+v, want %q", all, says)
	}
	if err := w.apply(c); err == nil || !strings.Contains(err.Error(), says) {
		w.Errorf("%v, want %q", err, says)
	}
}

func (w *world) check(c plan.Change) []plan.Obstacle {
	return w.target.Check(w.Context(), plan.Plan{Project: w.desired().Project, Stages: []plan.Stage{{Steps: []plan.Step{{Change: c}}}}})
}

func (w *world) put(b *spec.Bucket, key string) error {
	_, err := w.hand.PutObject(w.Context(), b.Name, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
	return err
}

func (w *world) mustPut(b *spec.Bucket, key string) {
	w.Helper()
	if err := w.put(b, key); err != nil {
		w.Fatal(err)
	}
}

func (w *world) mustHold(b *spec.Bucket, key string) {
	w.Helper()
	if _, err := w.hand.StatObject(w.Context(), b.Name, key, minio.StatObjectOptions{}); err != nil {
		w.Errorf("%s: %v", key, err)
	}
}

func (w *world) mustBeGone(b *spec.Bucket) {
	w.Helper()
	if there, err := w.hand.BucketExists(w.Context(), b.Name); there || err != nil {
		tags, tagless := w.hand.GetBucketTagging(w.Context(), b.Name)
		listed, unlisted := w.hand.ListBuckets(w.Context())
		w.Errorf("%s is there: %t, %v; its tags %v, %v; all there are: %v, %v", b.Name, there, err, tags, tagless, listed, unlisted)
	}
}

// listener remembers how far something was told to be.
type listener struct {
	nobody
	most int64
}

func (l *listener) Doing(_ string, done, _ int64) { l.most = max(l.most, done) }
