package s3

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	reads  = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::lake/*", "arn:aws:s3:::lake"]}]}`
	writes = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::lake/*"]}]}`
)

// user is one with a name that no other test has.
func (w *world) user(policy string) *spec.Access {
	w.Helper()
	p, err := spec.ParsePolicy(policy)
	if err != nil {
		w.Fatal(err)
	}
	return &spec.Access{User: w.bucket().Name, Secret: spec.Sensitive("the-first-secret"), Policy: p, Store: w.store}
}

// wanting is the test's project with these users.
func (w *world) wanting(users ...*spec.Access) spec.Desired {
	want := w.desired()
	for _, a := range users {
		a.Owner = want.Project
		want.Tiers[0].Resources = append(want.Tiers[0].Resources, a)
	}
	return want
}

// admin is a connection as the administrator of the store, to do things by hand.
func (w *world) admin() *connection {
	w.Helper()
	c, err := w.target.connect(w.Context(), "by hand", w.store)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(c.close)
	return c
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// differs expects a user to differ so, in these fields, and nothing else to.
func (w *world) differs(want spec.Desired, a *spec.Access, verdict drift.Verdict, fields ...string) drift.Difference {
	w.Helper()
	d := drift.Compare(want, w.observe(want))
	one, _ := d.Of(a.Ref())
	var names []string
	for _, f := range one.Fields {
		names = append(names, f.Name)
	}
	if one.Verdict != verdict || len(d) > 1 || strings.Join(names, " ") != strings.Join(fields, " ") {
		w.Fatalf("%s is %q in %v, want %q in %v: %+v", a.Ref(), one.Verdict, names, verdict, fields, d)
	}
	return one
}

// client does what a user does, with a secret.
func (w *world) client(a *spec.Access, secret string) *minio.Client {
	w.Helper()
	client, err := minio.New(w.store.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(a.User, secret, "")})
	w.ok(err)
	return client
}

func testUserMade(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	a := w.user(strings.ReplaceAll(reads, "lake", b.Name))
	want := w.wanting(a)
	w.differs(want, a, drift.Missing)
	for range 2 { // there already is success
		w.mustApply(plan.Create{Want: a})
		w.differs(want, a, "")
	}
	user := w.client(a, "the-first-secret")
	if _, err := user.StatObject(w.Context(), b.Name, "none", minio.StatObjectOptions{}); codeOf(err) != minio.NoSuchKey {
		w.Errorf("it cannot read: %v", err)
	}
	if _, err := user.PutObject(w.Context(), b.Name, "x", strings.NewReader("x"), 1, minio.PutObjectOptions{}); codeOf(err) != minio.AccessDenied {
		w.Errorf("it can write: %v", err)
	}
}

// testUserRepaired changes each field behind the agent's back.
func testUserRepaired(w *world) {
	a := w.user(reads)
	want := w.wanting(a)
	w.observe(want)
	w.mustApply(plan.Create{Want: a})
	by, ctx := w.admin(), w.Context()
	for _, c := range []struct {
		fields []string
		harm   func() error
	}{
		{[]string{"secret"}, func() error { return by.setUser(ctx, a.User, "another-secret") }},
		{[]string{"enabled"}, func() error {
			_, err := by.admin(ctx, http.MethodPut, "set-user-status", url.Values{"accessKey": {a.User}, "status": {"disabled"}}, nil)
			return err
		}},
		{[]string{"policy"}, func() error { return by.setPolicy(ctx, mark{true, want.Project, a.User}.String(), writes) }},
		{[]string{"policy"}, func() error { return by.attach(ctx, a.User, "readwrite") }},
		{[]string{"policy"}, func() error { return by.attach(ctx, a.User, mark{true, want.Project, a.User}.String()+",readwrite") }},
		{[]string{"policy"}, func() error { return by.attach(ctx, a.User, "") }},
	} {
		w.ok(c.harm())
		d := w.differs(want, a, drift.Changed, c.fields...)
		w.mustApply(plan.Update{Want: a, Have: *d.Have, Fields: d.Fields})
		w.differs(want, a, "")
	}
	w.ok(by.removeUser(ctx, a.User))
	d := w.differs(want, a, drift.Missing)
	if err := w.apply(plan.Update{Want: a, Have: drift.Found{Ref: a.Ref(), ID: by.id(a.User)}}); !errors.Is(err, plan.ErrStale) {
		w.Errorf("update of one that is gone: %v", err)
	}
	w.mustApply(plan.Create{Want: d.Want})
	w.differs(want, a, "")
}

func testUserTakesAnotherSecretAndPolicy(w *world) {
	a := w.user(reads)
	want := w.wanting(a)
	w.observe(want)
	w.mustApply(plan.Create{Want: a})
	next := w.user(writes)
	next.User, next.Secret = a.User, spec.Sensitive("the-second-secret")
	want = w.wanting(next)
	d := w.differs(want, next, drift.Changed, "policy", "secret")
	if f := d.Fields[1]; f.Want.String() != spec.Masked || f.Have.String() != spec.Masked {
		w.Errorf("a secret is shown: %v", f)
	}
	w.mustApply(plan.Update{Want: next, Have: *d.Have, Fields: d.Fields})
	w.differs(want, next, "")
	if right, err := w.admin().opens(w.Context(), a.User, "the-first-secret"); right || err != nil {
		w.Errorf("the old secret still opens: %t %v", right, err)
	}
}

func testUserThatWasThere(w *world) {
	a, other, elsewhere := w.user(reads), w.user(reads), w.user(reads)
	by, ctx := w.admin(), w.Context()
	w.ok(by.setPolicy(ctx, a.User+"-reads", strings.Replace(reads, `"s3:GetObject", "s3:ListBucket"`, `"s3:ListBucket", "s3:GetObject"`, 1)))
	w.ok(by.setUser(ctx, a.User, "the-first-secret"))
	w.ok(by.attach(ctx, a.User, a.User+"-reads"))
	w.ok(by.setUser(ctx, other.User, "somebody-elses-secret"))
	w.ok(by.setUser(ctx, elsewhere.User, "the-first-secret"))
	w.ok(by.setPolicy(ctx, mark{true, "other", elsewhere.User}.String(), reads))

	// Whose secret the spec knows is taken over, without a change of what it may do.
	want := w.wanting(a)
	d := w.differs(want, a, drift.Changed, "owner")
	w.mustApply(plan.Update{Want: a, Have: *d.Have, Fields: d.Fields})
	w.differs(want, a, "")
	if info, err := by.user(ctx, a.User); err != nil || info.PolicyName != a.User+"-reads" {
		w.Errorf("%+v %v", info, err)
	}
	// It never goes, also when it has another policy and secret by now.
	next := w.user(writes)
	next.User, next.Secret = a.User, spec.Sensitive("the-second-secret")
	want = w.wanting(next)
	d = w.differs(want, next, drift.Changed, "policy", "secret")
	w.mustApply(plan.Update{Want: next, Have: *d.Have, Fields: d.Fields})
	w.differs(want, next, "")
	found := *w.differs(w.wanting(), a, drift.Extra).Have
	if err := w.apply(plan.Remove{Have: found}); err == nil || !found.Adopted {
		w.Errorf("it is removed: %v, %+v", err, found)
	}
	if info, err := by.user(ctx, a.User); err != nil || info == nil {
		w.Errorf("it is gone: %v", err)
	}
	// When somebody else has removed it, what is left of ours goes.
	w.ok(by.removeUser(ctx, a.User))
	found = *w.differs(w.wanting(), a, drift.Extra).Have
	if found.Adopted {
		w.Errorf("it is said to be there: %+v", found)
	}
	w.mustApply(plan.Remove{Have: found})
	w.differs(w.wanting(), a, "")
	// All others are left alone, and nobody's are not even seen.
	for one, says := range map[*spec.Access]string{other: "already that the agent did not make", elsewhere: "belongs to the project other"} {
		want := w.desired()
		one.Owner = want.Project
		want.Tiers[0].Resources = []spec.Resource{one}
		if d, _ := drift.Compare(want, w.observe(want)).Of(one.Ref()); d.Verdict != drift.Foreign || !strings.Contains(d.Reason, says) {
			w.Errorf("%+v, want %q", d, says)
		}
		if err := w.apply(plan.Create{Want: one}); err == nil || !strings.Contains(err.Error(), says) {
			w.Errorf("%v, want %q", err, says)
		}
	}
	if right, err := by.opens(ctx, other.User, "somebody-elses-secret"); !right || err != nil {
		w.Errorf("it was touched: %v", err)
	}
}

func testUserThatLeft(w *world) {
	a := w.user(reads)
	w.observe(w.wanting(a))
	w.mustApply(plan.Create{Want: a})
	found := *w.differs(w.wanting(), a, drift.Extra).Have
	for range 2 { // gone already is success
		w.mustApply(plan.Remove{Have: found})
		w.differs(w.wanting(), a, "")
	}
	by := w.admin()
	info, err := by.user(w.Context(), a.User)
	policies, also := by.policies(w.Context())
	if info != nil || policies[mark{true, w.desired().Project, a.User}.String()] != nil || errors.Join(err, also) != nil {
		w.Errorf("left: %v %v %v %v", info, policies, err, also)
	}
}

func testUserOfUnableKey(w *world) {
	admin := w.user(reads)
	by := w.admin()
	w.ok(by.setUser(w.Context(), admin.User, "the-first-secret"))
	store := *w.store
	store.AccessKey, store.SecretKey = spec.Plain(admin.User), spec.Sensitive("the-first-secret")
	a := w.user(reads)
	a.Store = &store
	want := w.wanting(a)
	want.Stores = []*spec.Store{&store}
	if d := w.differs(want, a, drift.Unseen); !strings.Contains(d.Reason, "the access key of the store minio may not list its policies") {
		w.Errorf("%q", d.Reason)
	}
}

func testUserOfServerWithoutUsers(w *world) {
	a := w.user(reads)
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("Server", "AmazonS3") // before that of the server, whatever it answers
		admin := strings.HasPrefix(r.URL.Path, adminPath)
		if admin {
			refuse(rw, http.StatusForbidden, "AccessDenied", "Access Denied")
		}
		return admin
	})
	want := w.wanting(a)
	const says = "the store minio (AmazonS3) has no users that can be managed: stores.minio.access needs a MinIO server"
	if d := w.differs(want, a, drift.Unseen); d.Reason != says {
		w.Errorf("%q", d.Reason)
	}
	if err := w.apply(plan.Create{Want: a}); err == nil || !strings.Contains(err.Error(), says) {
		w.Errorf("%v", err)
	}
}

// testUserBehindProxy has a proxy forbid the admin API in a page of its own.
func testUserBehindProxy(w *world) {
	a := w.user(reads)
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		admin := strings.HasPrefix(r.URL.Path, adminPath)
		if admin {
			errorPage(rw, http.StatusForbidden, "nginx")
		}
		return admin
	})
	if d := w.differs(w.wanting(a), a, drift.Unseen); !strings.Contains(d.Reason, "the store minio does not list its policies: 403 Forbidden") {
		w.Errorf("%q", d.Reason)
	}
}

// testUserInterrupted breaks the making of a user off at every request, and makes it again.
func testUserInterrupted(w *world) {
	var left atomic.Int32
	var cut atomic.Pointer[context.CancelFunc]
	w.through((*httptest.Server).Start, func(http.ResponseWriter, *http.Request) bool {
		if left.Add(-1) == 0 {
			(*cut.Load())()
		}
		return false
	})
	for n := int32(1); ; n++ {
		a := w.user(reads)
		want := w.wanting(a)
		left.Store(1 << 20)
		w.observe(want)
		ctx, cancel := context.WithCancel(w.Context())
		cut.Store(&cancel)
		left.Store(n)
		_ = w.target.Apply(ctx, plan.Create{Want: a}, nobody{}) // the second time has to be right
		cancel()
		whole := left.Swap(1<<20) > 0
		w.mustApply(plan.Create{Want: a})
		have := w.observe(want)
		if d, differs := drift.Compare(want, have).Of(a.Ref()); differs {
			w.Fatalf("broken off at request %d it is never right: %+v", n, d)
		}
		if m, _ := markOf(mustPolicies(w), want.Project, a.User); !m.made {
			w.Errorf("broken off at request %d it is not known that the agent made it", n)
		}
		if whole {
			if n < 5 {
				w.Errorf("broken off in only %d places", n-1)
			}
			return
		}
	}
}

func mustPolicies(w *world) map[string]json.RawMessage {
	w.Helper()
	all, err := w.admin().policies(w.Context())
	w.ok(err)
	return all
}
