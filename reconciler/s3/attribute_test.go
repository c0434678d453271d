package s3

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
	"github.com/minio/minio-go/v7/pkg/sse"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

type attributeCase struct {
	declare func(*spec.Bucket)
	harm    func(*world, *spec.Bucket) error
	fields  []string
}

// attributeCases declare something of a bucket and change it by hand; fields are those that
// are found to differ then.
var attributeCases = map[string]attributeCase{
	"versioning": {
		func(b *spec.Bucket) { b.Versioning = spec.VersioningEnabled },
		func(w *world, b *spec.Bucket) error { return w.hand.SuspendVersioning(w.Context(), b.Name) },
		[]string{"versioning"},
	},
	"tag changed": {
		func(b *spec.Bucket) { b.Tags = map[string]string{"owner": "data", "cost": "42"} },
		func(w *world, b *spec.Bucket) error {
			return w.tag(b, map[string]string{"owner": "me", "cost": "42", "team": "x", spec.OwnerTag: w.project()})
		},
		[]string{"tag.owner"},
	},
	"lifecycle rule changed": {
		func(b *spec.Bucket) { b.Lifecycle = someRules },
		func(w *world, b *spec.Bucket) error {
			return w.rules(b, append([]lifecycle.Rule{expire("noncurrent", "x", 1)}, rulesFor(someRules[1:])...)...)
		},
		[]string{"lifecycle.noncurrent"},
	},
	"lifecycle removed": {
		func(b *spec.Bucket) { b.Lifecycle = someRules },
		func(w *world, b *spec.Bucket) error { return w.rules(b) },
		[]string{"lifecycle.by size", "lifecycle.by tags", "lifecycle.day", "lifecycle.markers", "lifecycle.noncurrent", "lifecycle.off"},
	},
	"policy opened": {
		func(b *spec.Bucket) { b.Policy = reading(b, "arn:aws:iam::123456789012:root") },
		func(w *world, b *spec.Bucket) error {
			return w.hand.SetBucketPolicy(w.Context(), b.Name, reading(b, "*").String())
		},
		[]string{"policy"},
	},
	"policy removed": {
		func(b *spec.Bucket) { b.Policy = reading(b, "*") },
		func(w *world, b *spec.Bucket) error { return w.hand.SetBucketPolicy(w.Context(), b.Name, "") },
		[]string{"policy"},
	},
	"encryption changed": {
		func(b *spec.Bucket) { b.Encryption = "sse-kms:" + enginetest.MinIOKey },
		func(w *world, b *spec.Bucket) error {
			return w.hand.SetBucketEncryption(w.Context(), b.Name, sse.NewConfigurationSSES3())
		},
		[]string{"encryption"},
	},
	"encryption removed": {
		func(b *spec.Bucket) { b.Encryption = "sse-s3" },
		func(w *world, b *spec.Bucket) error { return w.hand.RemoveBucketEncryption(w.Context(), b.Name) },
		[]string{"encryption"},
	},
	"exact": {
		func(b *spec.Bucket) { b.Exact, b.Tags = true, map[string]string{"owner": "data"} },
		func(w *world, b *spec.Bucket) error {
			return errors.Join(
				w.tag(b, map[string]string{"owner": "data", "team": "x"}),
				w.rules(b, expire("theirs", "", 1)),
				w.quota(b, 1<<40),
				w.hand.EnableVersioning(w.Context(), b.Name),
				w.hand.SetBucketPolicy(w.Context(), b.Name, reading(b, "*").String()),
				w.hand.SetBucketEncryption(w.Context(), b.Name, sse.NewConfigurationSSES3()),
			)
		},
		[]string{"encryption", "lifecycle.theirs", "policy", "quota", "tag.team", "versioning"},
	},
	"quota changed": {
		func(b *spec.Bucket) { b.Quota = 5 << 30 },
		func(w *world, b *spec.Bucket) error { return w.quota(b, 1<<30) },
		[]string{"quota"},
	},
	"tags removed": {
		func(b *spec.Bucket) { b.Tags = map[string]string{"owner": "data", "empty": ""} },
		func(w *world, b *spec.Bucket) error { return w.hand.RemoveBucketTagging(w.Context(), b.Name) },
		[]string{"tag.empty", "tag.owner"},
	},
}

// TestAttributesAreSetAndSetBack holds for each attribute that it is there when the bucket
// was made, also if that was by somebody else, that a change by hand is found by the field
// and put right, and that there is nothing to do then.
func TestAttributesAreSetAndSetBack(t *testing.T) {
	address := enginetest.MinIO(t)
	for name, c := range attributeCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, address).setAndSetBack(c)
		})
	}
}

func (w *world) setAndSetBack(c attributeCase) {
	made, adopted := w.bucket(), w.bucket()
	w.byHand(adopted, nil)
	want := w.desired(made, adopted)
	w.observe(want)
	for _, b := range []*spec.Bucket{made, adopted} {
		c.declare(b)
		w.mustApply(plan.Create{Want: b})
		w.must(want, b, "")
		w.ok(c.harm(w, b))
		d := w.must(want, b, drift.Changed)
		if names := fieldNames(d.Fields); !slices.Equal(names, c.fields) {
			w.Errorf("%v differ, want %v", names, c.fields)
		}
		w.mustApply(plan.Update{Want: b, Have: *d.Have, Fields: d.Fields})
		w.must(want, b, "")
	}
}

func fieldNames(fields []drift.Field) (names []string) {
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// tag gives a bucket these tags by hand, and no others.
func (w *world) tag(b *spec.Bucket, all map[string]string) error {
	set, err := tags.MapToBucketTags(all)
	if err != nil {
		return err
	}
	return w.hand.SetBucketTagging(w.Context(), b.Name, set)
}

func testTagsOfOthers(w *world) {
	b := w.bucket()
	w.byHand(b, map[string]string{"team": "data", "owner": "nobody"})
	b.Tags = map[string]string{"owner": "data"}
	want := w.desired(b)
	d := w.must(want, b, drift.Changed)
	w.mustHaveTags(b, map[string]string{"team": "data", "owner": "nobody"})
	w.mustApply(plan.Update{Want: b, Have: *d.Have, Fields: d.Fields})
	w.mustHaveTags(b, map[string]string{"team": "data", "owner": "data", spec.OwnerTag: want.Project})
	w.must(want, b, "")
	w.must(w.desired(), b, drift.Extra) // it was written to, so it is found when it leaves
}

// reading is a policy that lets somebody read all objects.
func reading(b *spec.Bucket, who string) spec.Policy {
	return spec.Policy{Version: "2012-10-17", Statement: []spec.Statement{{
		Effect: "Allow", Principal: spec.Principals{"AWS": {who}}, Action: spec.OneOrMore{"s3:GetObject"},
		Resource: spec.OneOrMore{"arn:aws:s3:::" + b.Name + "/*"},
	}}}
}

// testLock: on MinIO a bucket is locked when it is made, or never.
func testLock(w *world) {
	locked, plain, free := w.bucket(), w.bucket(), w.bucket()
	locked.Lock = &spec.Lock{On: true, Mode: "governance", Days: 3}
	w.byHand(plain, nil)
	free.Lock = &spec.Lock{}
	want := w.desired(locked, plain, free)
	w.observe(want)
	w.mustApply(plan.Create{Want: locked})
	w.mustApply(plan.Create{Want: free})
	w.must(want, locked, "")

	for _, change := range []func(){ // the retention is changed in place
		func() { locked.Lock = &spec.Lock{On: true, Mode: "compliance", Years: 1} },
		func() { locked.Exact = true; locked.Lock = &spec.Lock{On: true} },
	} {
		change()
		d := w.must(want, locked, drift.Changed)
		if names := fieldNames(d.Fields); !slices.Equal(names, []string{"lock.retention"}) {
			w.Errorf("%v differ", names)
		}
		w.mustApply(plan.Update{Want: locked, Have: *d.Have, Fields: d.Fields})
		w.must(want, locked, "")
	}

	locked.Exact, locked.Lock, plain.Lock = false, &spec.Lock{}, &spec.Lock{On: true}
	for b, says := range map[*spec.Bucket]string{locked: "which cannot be taken off: it needs a new bucket", plain: "(MinIO) gives one only to a bucket that it makes: it needs a new bucket"} {
		b.Tags = map[string]string{"owner": "data"}
		d := w.mustDiffer(want, b, drift.Changed)
		update := plan.Update{Want: b, Have: *d.Have, Fields: d.Fields}
		if held := w.check(update); len(held) != 1 || held[0].Rule != ruleLock || !strings.Contains(held[0].Reason, says) {
			w.Errorf("%+v", held)
		}
		if err := w.apply(update); err == nil || !strings.Contains(err.Error(), says) {
			w.Errorf("%v", err)
		}
		if now := w.mustDiffer(want, b, drift.Changed); len(now.Fields) != len(d.Fields) {
			w.Errorf("something was changed: %v, before %v", now.Fields, d.Fields)
		}
	}
}

// testOpened: to show Delta tables to everybody needs consent.
func testOpened(w *world) {
	seen, named, empty := w.bucket(), w.bucket(), w.bucket()
	named.Tables = []string{"warehouse"}
	want := w.desired(seen, named, empty)
	for _, b := range []*spec.Bucket{seen, named, empty} {
		w.byHand(b, nil)
		b.Policy = reading(b, "*")
	}
	w.mustPut(seen, "warehouse/t/_delta_log/0.json")
	w.observe(want)
	w.mustApply(plan.Create{Want: empty})
	for _, b := range []*spec.Bucket{seen, named} {
		d := w.mustDiffer(want, b, drift.Changed)
		update := plan.Update{Want: b, Have: *d.Have, Fields: d.Fields}
		b.OpenUntil = time.Now().Add(-time.Minute) // it has ended
		if held := w.check(update); len(held) != 1 || held[0].Rule != ruleTables || !strings.Contains(held[0].Reason, "consent to it: {open: "+b.Ref().String()) {
			w.Errorf("%+v", held)
		}
		if err := w.apply(update); err == nil {
			w.Errorf("%s was opened", b.Ref())
		}
		b.OpenUntil = time.Now().Add(time.Minute)
		if held := w.check(update); len(held) > 0 {
			w.Errorf("%+v", held)
		}
		w.mustApply(update)
	}
	beside := w.bucket()
	w.byHand(beside, nil)
	w.mustPut(beside, "warehouse/t/_delta_log/0.json")
	beside.Policy = reading(beside, "*")
	beside.Policy.Statement[0].Resource[0] = "arn:aws:s3:::" + beside.Name + "/public/*"
	d := w.mustDiffer(w.desired(beside), beside, drift.Changed)
	w.mustApply(plan.Update{Want: beside, Have: *d.Have, Fields: d.Fields})
	w.must(w.desired(beside), beside, "")
}

// testOpenedByHand: that a policy shows live tables to everybody is seen, whoever set it, and
// stays seen when the consent to it has ended.
func testOpenedByHand(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	open := reading(b, "*")
	w.ok(w.hand.SetBucketPolicy(w.Context(), b.Name, open.String()))
	want := w.desired(b)
	w.must(want, b, "") // there is no table
	w.mustPut(b, "warehouse/t/_delta_log/0.json")
	says := "the policy in force opens the Delta table s3://" + b.Name + "/warehouse/t to everybody without a key"
	mustBeCritical := func(verdict drift.Verdict) {
		w.Helper()
		if d := w.must(want, b, verdict); !strings.Contains(d.Critical, says) || !strings.Contains(d.Critical, "({open: "+b.Ref().String()) {
			w.Errorf("%q", d.Critical)
		}
	}
	mustBeCritical(drift.Critical)
	b.OpenUntil = time.Now().Add(time.Hour) // without the policy
	mustBeCritical(drift.Critical)
	b.Policy = open
	w.must(want, b, "")
	b.OpenUntil = time.Now().Add(-time.Minute)
	mustBeCritical(drift.Critical)
	b.OpenUntil, b.Policy = time.Now().Add(time.Hour), reading(b, "arn:aws:iam::123456789012:root") // which is put right
	mustBeCritical(drift.Changed)
	w.mustHaveRules(b, expire("clean", "warehouse/", 1))
	says = "the lifecycle rule clean deletes files of the Delta table s3://" + b.Name + "/warehouse/t; and " + says
	mustBeCritical(drift.Changed)
	w.mustHaveRules(b)
	b.Policy = spec.Policy{}
	b.Tables, says = []string{"elsewhere"}, "the policy in force opens the Delta tables in s3://"+b.Name+"/elsewhere to everybody"
	mustBeCritical(drift.Critical)
}

// quota sets a bucket's quota behind the target's back.
func (w *world) quota(b *spec.Bucket, bytes int64) error {
	c, err := New(nil).connect(w.Context(), w.project(), w.store)
	if err != nil {
		return err
	}
	defer c.close()
	return quota{}.write(w.Context(), c, &spec.Bucket{Name: b.Name, Quota: bytes})
}

// testQuotaHolds writes more than a bucket may hold.
func testQuotaHolds(w *world) {
	b := w.bucket()
	b.Quota = 1000
	w.observe(w.desired(b))
	w.mustApply(plan.Create{Want: b})
	if _, err := w.hand.PutObject(w.Context(), b.Name, "large", strings.NewReader(strings.Repeat("x", 2000)), 2000, minio.PutObjectOptions{}); codeOf(err) != "XMinioAdminBucketQuotaExceeded" {
		w.Errorf("%v", err)
	}
}

// testQuotaElsewhere: a server that is no MinIO is not asked to make a bucket with a quota.
func testQuotaElsewhere(w *world) {
	b := w.bucket()
	b.Quota = 1000
	want := w.desired(b)
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("Server", "VERSITYGW")
		foreign := strings.HasPrefix(r.URL.Path, adminPath)
		if foreign {
			refuse(rw, http.StatusNotFound, minio.NoSuchBucket, "The specified bucket does not exist.")
		}
		return foreign
	})
	w.must(want, b, drift.Missing)
	create := plan.Create{Want: b}
	if held := w.check(create); len(held) != 1 || held[0].Rule != ruleFeature || !strings.Contains(held[0].Reason, "minio (VERSITYGW) has no quotas of buckets") {
		w.Errorf("%+v", held)
	}
	if err := w.apply(create); err == nil {
		w.Error("it was made")
	}
	w.must(want, b, drift.Missing)
	b.Quota, b.Exact = 0, true // what a server does not have nobody has set
	w.mustApply(create)
	w.must(want, b, "")
}
