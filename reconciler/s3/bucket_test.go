package s3

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func testMadeBucketIsMarked(w *world) {
	b := w.bucket()
	b.Versioning = spec.VersioningEnabled
	want := w.desired(b)
	w.must(want, b, drift.Missing)
	for range 2 { // there already is success
		w.mustApply(plan.Create{Want: b})
		w.must(want, b, "")
	}
	w.mustHaveTags(b, map[string]string{spec.OwnerTag: want.Project})
}

func testAdopted(w *world) {
	plain, tagged := w.bucket(), w.bucket()
	w.byHand(plain, nil)
	w.byHand(tagged, map[string]string{"team": "data"})
	want := w.desired(plain, tagged)
	w.must(want, plain, "")
	w.mustApply(plan.Create{Want: plain})
	w.mustApply(plan.Create{Want: tagged})
	w.mustHaveTags(plain, map[string]string{})
	w.mustHaveTags(tagged, map[string]string{"team": "data"})
	w.must(want, plain, "")
}

func testForeign(w *world) {
	b := w.bucket()
	b.Versioning = spec.VersioningEnabled
	w.byHand(b, map[string]string{spec.OwnerTag: "other"})
	d := w.must(w.desired(b), b, drift.Foreign)
	for _, c := range []plan.Change{plan.Create{Want: b}, plan.Update{Want: b, Have: *d.Have}} {
		if err := w.apply(c); err == nil || !strings.Contains(err.Error(), "belongs to the project other") {
			w.Errorf("%s: %v", c.Verb(), err)
		}
	}
	if v, err := w.hand.GetBucketVersioning(w.Context(), b.Name); err != nil || v.Status != "" {
		w.Errorf("it was touched: %v %v", v, err)
	}
}

func testLeft(w *world) {
	b, stays, other := w.bucket(), w.bucket(), w.bucket()
	w.observe(w.desired(b, stays))
	w.mustApply(plan.Create{Want: b})
	w.mustApply(plan.Create{Want: stays})
	w.byHand(other, map[string]string{spec.OwnerTag: "other"})
	w.must(w.desired(stays), b, drift.Extra)

	// Another bucket of that name in the spec: they are told apart.
	named := *stays
	named.Key = b.Name
	have := w.observe(w.desired(&named))
	if f := have.Found[spec.Ref{Kind: spec.KindBucket, Name: "minio/" + b.Name}]; !f.Owned || have.Found[named.Ref()].ID != "minio/"+stays.Name {
		w.Errorf("%+v", have.Found)
	}
}

func testVersioning(w *world) {
	b := w.bucket()
	w.observe(w.desired(b))
	w.mustApply(plan.Create{Want: b})
	if err := w.hand.EnableVersioning(w.Context(), b.Name); err != nil {
		w.Fatal(err)
	}
	w.must(w.desired(b), b, "") // nobody declares it

	suspended := *b
	suspended.Versioning = spec.VersioningSuspended
	want := w.desired(&suspended)
	d := w.must(want, b, drift.Changed)
	w.mustApply(plan.Update{Want: &suspended, Have: *d.Have, Fields: d.Fields})
	w.must(want, b, "")
}

func testRemovedByHand(w *world) {
	b := w.bucket()
	b.Versioning = spec.VersioningEnabled
	want := w.desired(b)
	w.observe(want)
	w.mustApply(plan.Create{Want: b})
	found := w.observe(want).Found[b.Ref()]
	if err := w.hand.RemoveBucket(w.Context(), b.Name); err != nil {
		w.Fatal(err)
	}
	w.must(want, b, drift.Missing)
	if err := w.apply(plan.Update{Want: b, Have: found}); !errors.Is(err, plan.ErrStale) {
		w.Errorf("update of what is gone: %v, want ErrStale", err)
	}
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")
}

func testWrongKeys(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	for says, wrong := range map[string]func(*spec.Store){
		"does not know the access key: check stores.minio.access_key": func(s *spec.Store) { s.AccessKey = spec.Plain("nobody") },
		"refuses the secret key: check stores.minio.secret_key":       func(s *spec.Store) { s.SecretKey = spec.Sensitive("wrong-password") },
		"does not speak TLS":   func(s *spec.Store) { s.Secure = true },
		"cannot be reached at": func(s *spec.Store) { s.Endpoint = "127.0.0.1:1" },
	} {
		store := *w.store
		wrong(&store)
		astray := *b
		astray.Store = &store
		want := w.desired(&astray)
		want.Stores = []*spec.Store{&store}
		if d := w.must(want, b, drift.Unseen); !strings.Contains(d.Reason, says) {
			w.Errorf("%q, want %q", d.Reason, says)
		}
	}
}

func testNotReady(w *world) {
	b := w.bucket()
	want := w.desired(b)
	var calls atomic.Int32
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, _ *http.Request) bool {
		early := calls.Add(1) <= 3
		if early {
			refuse(rw, http.StatusServiceUnavailable, "XMinioServerNotInitialized", "Server not initialized, please try again.")
		}
		return early
	})
	if d := w.must(want, b, drift.Pending); !strings.Contains(d.Reason, "Server not initialized") {
		w.Errorf("%q", d.Reason)
	}
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")
}

func testService(w *world) {
	b := w.bucket()
	store := *w.store
	addresses := []string{"127.0.0.1:1", store.Endpoint}
	store.Service, store.Port, store.Endpoint = "my_minio", 9000, ""
	b.Store = &store
	b.Depends = []spec.Dep{{Ref: spec.InstanceRef("my_minio", 1), Until: spec.Ready}}
	want := w.desired(b)
	want.Stores = []*spec.Store{&store}
	w.must(want, b, drift.Pending) // it does not run
	if blind := w.observe(want).Blind; len(blind) > 0 {
		w.Errorf("what cannot be known is no failure to look: %v", blind)
	}
	w.target.locate = func(_ context.Context, project, service string, port uint16) ([]string, error) {
		if project != want.Project || service != "my_minio" || port != 9000 {
			w.Errorf("asked for %s %s %d", project, service, port)
		}
		return addresses, nil
	}
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")
}

func testTLS(w *world) {
	b := w.bucket()
	ca := w.through((*httptest.Server).StartTLS, func(http.ResponseWriter, *http.Request) bool { return false })
	w.store.Secure = true
	want := w.desired(b)
	if d := w.must(want, b, drift.Unseen); !strings.Contains(d.Reason, "not trusted") || !strings.Contains(d.Reason, "stores.minio.ca_file") {
		w.Errorf("%q", d.Reason)
	}
	w.store.CA = ca
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")

	// A service has a certificate for the name by which others know it.
	address := w.store.Endpoint
	w.target.locate = func(context.Context, string, string, uint16) ([]string, error) { return []string{address}, nil }
	w.store.Service, w.store.Endpoint = "example.com", "" // which is what a test server has
	w.must(want, b, "")
	w.store.Service = "minio"
	if d := w.must(want, b, drift.Unseen); !strings.Contains(d.Reason, "valid for example.com") {
		w.Errorf("%q", d.Reason)
	}
}
