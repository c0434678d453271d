package s3

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// TestBucketsOfVersityGW runs on a second server what it has the features for.
func TestBucketsOfVersityGW(t *testing.T) {
	address := enginetest.VersityGW(t)
	for name, test := range map[string]func(*world){
		"MadeBucketIsMarkedAndInSync":          testMadeBucketIsMarked,
		"BucketThatWasThereIsAdoptedUnchanged": testAdopted,
		"BucketOfAnotherProjectIsLeftAlone":    testForeign,
		"TagsOfOthersAreLeftAlone":             testTagsOfOthers,
		"BucketThatLeftTheSpecIsReported":      testLeft,
		"VersioningSetByHandIsSetBack":         testVersioning,
		"BucketRemovedByHandIsMissing":         testRemovedByHand,
		"EmptyBucketIsRemovedByConsent":        testRemoved,
		"BucketOfOthersIsNeverRemoved":         testOthersKept,
		"WrongKeysMakeBucketsUnseen":           testWrongKeys,
		"StoreOfAServiceIsFound":               testService,
		"StoreWithTLSHasToBeTrusted":           testTLS,
		"LongListsAreWhole":                    testLongListsAreWhole,
		"ItMayListLate":                        testMayListLate,
		"UsersAreRefusedByName":                testUsersOfVersityGW,
		"UsageIsNotAskedFor":                   testUsageElsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, address))
		})
	}
}

// versityHas are the attributes that versitygw has: cases that are MinIO's too, and its own.
var versityHas = map[string]attributeCase{
	"versioning":   attributeCases["versioning"],
	"tag changed":  attributeCases["tag changed"],
	"tags removed": attributeCases["tags removed"],
	"policy closed": {
		func(b *spec.Bucket) { b.Policy = reading(b, "*") },
		func(w *world, b *spec.Bucket) error {
			none := reading(b, "*")
			none.Statement[0].Effect = "Deny"
			return w.hand.SetBucketPolicy(w.Context(), b.Name, none.String())
		},
		[]string{"policy"},
	},
	"policy removed": attributeCases["policy removed"],
	"exact": {
		func(b *spec.Bucket) { b.Exact, b.Tags = true, map[string]string{"owner": "data"} },
		func(w *world, b *spec.Bucket) error {
			return errors.Join(
				w.tag(b, map[string]string{"owner": "data", "team": "x"}),
				w.hand.EnableVersioning(w.Context(), b.Name),
				w.hand.SetBucketPolicy(w.Context(), b.Name, reading(b, "*").String()),
			)
		},
		[]string{"policy", "tag.team", "versioning"},
	},
}

// TestAttributesOfVersityGWAreSetAndSetBack is TestAttributesAreSetAndSetBack on the second server,
// for what it has.
func TestAttributesOfVersityGWAreSetAndSetBack(t *testing.T) {
	address := enginetest.VersityGW(t)
	for name, c := range versityHas {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, address).setAndSetBack(c)
		})
	}
	t.Run("lock", func(t *testing.T) {
		t.Parallel()
		newWorld(t, address).lockAndLockBack()
	})
	for name, c := range versityLacks {
		t.Run("has no "+name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, address).lacks(c.declare, c.fresh, c.seen)
		})
	}
}

// lockAndLockBack has the default retention of a locked bucket changed by hand.
func (w *world) lockAndLockBack() {
	b := w.bucket()
	b.Lock = &spec.Lock{On: true, Mode: "governance", Days: 3}
	want := w.desired(b)
	w.observe(want)
	w.mustApply(plan.Create{Want: b})
	w.must(want, b, "")
	mode, days, unit := minio.Compliance, uint(9), minio.Days
	w.ok(w.hand.SetBucketObjectLockConfig(w.Context(), b.Name, &mode, &days, &unit))
	d := w.must(want, b, drift.Changed)
	if names := fieldNames(d.Fields); !slices.Equal(names, []string{"lock.retention"}) {
		w.Errorf("%v differ", names)
	}
	w.mustConverge(want)
}

// versityLacks are the attributes that versitygw does not have, and how that is said of BUCKET: of
// one that is to be made, and of one that is there.
var versityLacks = map[string]struct {
	declare     func(*spec.Bucket)
	fresh, seen string
}{
	"lifecycle": {func(b *spec.Bucket) { b.Lifecycle = []spec.LifecycleRule{{ID: "old", NoncurrentDays: 3}} },
		"the store minio (VERSITYGW) has no lifecycle rules: remove the lifecycle of bucket BUCKET",
		"the store minio (VERSITYGW) cannot read the lifecycle of bucket BUCKET: it does not have that feature"},
	"rules for uploads": {func(b *spec.Bucket) { b.Lifecycle = []spec.LifecycleRule{{ID: "uploads", AbortDays: 3}} },
		"the store minio (VERSITYGW) has no lifecycle rules: remove the lifecycle of bucket BUCKET",
		"the store minio (VERSITYGW) cannot read the lifecycle of bucket BUCKET: it does not have that feature"},
	"encryption": {func(b *spec.Bucket) { b.Encryption = byServer },
		"the store minio (VERSITYGW) has no default encryption of buckets: remove the encryption of bucket BUCKET",
		"the store minio (VERSITYGW) cannot read the encryption of bucket BUCKET: it does not have that feature"},
	"quota": {func(b *spec.Bucket) { b.Quota = 1 << 30 },
		"the store minio (VERSITYGW) has no quotas of buckets, which only MinIO has: remove the quota of bucket BUCKET",
		"the store minio (VERSITYGW) has no quotas of buckets: only MinIO has them"},
}

// lacks expects that a bucket which is asked to have what the server lacks is refused by name,
// before anything is changed, be it there or not.
func (w *world) lacks(declare func(*spec.Bucket), fresh, seen string) {
	made, there := w.bucket(), w.bucket()
	w.byHand(there, map[string]string{"team": "data"})
	want := w.desired(made, there)
	w.observe(want)
	for _, b := range []*spec.Bucket{made, there} {
		b.Tags, b.Versioning = map[string]string{"owner": "data"}, spec.VersioningEnabled
		declare(b)
	}
	fresh, seen = strings.ReplaceAll(fresh, "BUCKET", made.Name), strings.ReplaceAll(seen, "BUCKET", there.Name)
	if held := w.check(plan.Create{Want: made}); len(held) != 1 || held[0].Rule != ruleFeature || held[0].Reason != fresh {
		w.Errorf("%+v, want %q", held, fresh)
	}
	for b, says := range map[*spec.Bucket]string{made: fresh, there: seen} {
		if err := w.apply(plan.Create{Want: b}); err == nil || !strings.Contains(err.Error(), says) {
			w.Errorf("%v, want %q", err, says)
		}
	}
	have := w.observe(want)
	if reason := have.Blind[there.Ref()]; !strings.HasPrefix(reason, seen) {
		w.Errorf("%q, want %q", reason, seen)
	}
	if one, _ := drift.Compare(want, have).Of(made.Ref()); one.Verdict != drift.Missing {
		w.Errorf("it was made: %+v", one)
	}
	w.mustHaveTags(there, map[string]string{"team": "data"})
	if config, err := w.hand.GetBucketVersioning(w.Context(), there.Name); err != nil || config.Status != "" {
		w.Errorf("it was changed: %+v %v", config, err)
	}
}

func testUsersOfVersityGW(w *world) {
	a := w.user(reads)
	want := w.wanting(a)
	const says = "the store minio (VERSITYGW) has no users that can be managed: stores.minio.access needs a MinIO server"
	if d := w.differs(want, a, drift.Unseen); d.Reason != says {
		w.Errorf("%q", d.Reason)
	}
	if err := w.apply(plan.Create{Want: a}); err == nil || !strings.Contains(err.Error(), says) {
		w.Errorf("%v", err)
	}
	// Without users in the spec it is not even asked.
	w.must(w.desired(), w.bucket(), "")
}
