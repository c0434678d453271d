package s3

import (
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
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
		"UsersAreRefusedByName":                testUsersOfVersityGW,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, address))
		})
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
