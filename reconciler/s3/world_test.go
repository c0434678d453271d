package s3

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

var (
	_ reconciler.Target  = (*Target)(nil)
	_ reconciler.Divided = (*Target)(nil)
	_ reconciler.Checker = (*Target)(nil)
)

// world is a real MinIO server, and a project that has buckets on it.
type world struct {
	*testing.T
	target *Target
	store  *spec.Store
	hand   *minio.Client // does things behind the target's back
	proxy  http.Handler  // to the store, of through
	prefix string        // of the names of its buckets
}

// TestBuckets runs all tests that need a server, on one.
func TestBuckets(t *testing.T) {
	address := enginetest.MinIO(t)
	for name, test := range map[string]func(*world){
		"MadeBucketIsMarkedAndInSync":          testMadeBucketIsMarked,
		"BucketThatWasThereIsAdoptedUnchanged": testAdopted,
		"BucketOfAnotherProjectIsLeftAlone":    testForeign,
		"QuotaIsKept":                          testQuotaHolds,
		"QuotaIsForMinIO":                      testQuotaElsewhere,
		"LockIsPutOnWhenTheBucketIsMade":       testLock,
		"OpeningTablesNeedsConsent":            testOpened,
		"TablesOpenedByHandAreCritical":        testOpenedByHand,
		"LifecycleIsOneDocument":               testLifecycleIsWhole,
		"SearchThatEndsTooEarlySaysSo":         testSearchEnds,
		"LiveTablesAreNotExpired":              testLiveTables,
		"RuleThatExpiresTablesIsCritical":      testCriticalRule,
		"UploadsAreTheServersOwnOnMinIO":       testAbort,
		"ProxyChangesNoRefusal":                testProxyChangesNoRefusal,
		"TagsOfOthersAreLeftAlone":             testTagsOfOthers,
		"BucketThatLeftTheSpecIsReported":      testLeft,
		"VersioningSetByHandIsSetBack":         testVersioning,
		"BucketRemovedByHandIsMissing":         testRemovedByHand,
		"EmptyBucketIsRemovedByConsent":        testRemoved,
		"BucketIsEmptiedOnlyByConsent":         testEmptied,
		"BucketWithATableIsNeverRemoved":       testTableKept,
		"BucketWithObjectLockIsNeverEmptied":   testLockedKept,
		"BucketOfOthersIsNeverRemoved":         testOthersKept,
		"BucketWithoutTagsIsNeverRemoved":      testNoTags,
		"TableMadeMeanwhileIsNotDeleted":       testTableMeanwhile,
		"WrongKeysMakeBucketsUnseen":           testWrongKeys,
		"ClocksThatDifferAreNamed":             testSkewed,
		"StoreThatIsNotReadyIsWaitedFor":       testNotReady,
		"StoreOfAServiceIsFound":               testService,
		"StoreWithTLSHasToBeTrusted":           testTLS,
		"FilesAreLookedAt":                     testFilesAreLookedAt,
		"ListBeginsAfterAName":                 testListBeginsAfterAName,
		"VersionsOfFilesAreListed":             testVersionsAreListed,
		"FilesAskForNothingElse":               testFilesAskForNothingElse,
		"FilesMayTakeLong":                     testFilesMayTakeLong,
		"LongListsAreWhole":                    testLongListsAreWhole,
		"ItListsAtOnce":                        testListsAtOnce,
		"ListsFailWhole":                       testListsFailWhole,
		"InterruptedAnywhereItIsMadeAfterAll":  testInterrupted,
		"TwoAgentsEndAsOne":                    testTwoAgents,

		"UsageIsAskedForOnceInAWhile":       testUsageIsAskedForOnceInAWhile,
		"UsageThatIsNotForThisKeyIsNotTold": testUsageIsNotForThisKey,
		"UsageThatHangsKeepsNoLook":         testUsageThatHangs,
		"UsageThatIsNonsenseIsNotTold":      testUsageIsNonsense,

		"UserIsMadeAndMayDoWhatItsPolicySays":   testUserMade,
		"UserChangedByHandIsSetRight":           testUserRepaired,
		"UserTakesAnotherSecretAndPolicy":       testUserTakesAnotherSecretAndPolicy,
		"UserThatWasThereIsTakenOverAndKept":    testUserThatWasThere,
		"UserThatLeftTheSpecIsRemoved":          testUserThatLeft,
		"UserIsUnseenWithAKeyThatMayNotLook":    testUserOfUnableKey,
		"UserBehindAProxyThatForbidsItIsUnseen": testUserBehindProxy,
		"UserOfServerWithoutUsersIsRefused":     testUserOfServerWithoutUsers,
		"UserInterruptedAnywhereIsMadeAfterAll": testUserInterrupted,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, address))
		})
	}
}

func newWorld(t *testing.T, address string) *world {
	hand, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")})
	if err != nil {
		t.Fatal(err)
	}
	noService := func(context.Context, string, string, uint16) ([]string, error) { return nil, nil }
	return &world{T: t, target: New(noService), hand: hand, store: &spec.Store{
		Name: "minio", Endpoint: address, AccessKey: spec.Plain(enginetest.MinIOUser), SecretKey: spec.Sensitive(enginetest.MinIOPassword),
		Timeout: 10 * time.Minute, // a store of tests may have to wait for its turn
	}}
}

// bucket is one with a name that no other test has.
func (w *world) bucket() *spec.Bucket {
	name := w.prefix + "b-" + strings.ToLower(rand.Text()[:10])
	return &spec.Bucket{Key: name, Name: name, Store: w.store}
}

// desired is a project with these buckets, one for each test: it is named after the first
// bucket of the test.
func (w *world) desired(buckets ...*spec.Bucket) spec.Desired {
	tier := spec.Tier{Name: "only"}
	for _, b := range buckets {
		tier.Resources = append(tier.Resources, b)
	}
	return spec.Desired{Project: w.project(), Tiers: []spec.Tier{tier}, Stores: []*spec.Store{w.store}}
}

func (w *world) project() string { return strings.ToLower(strings.ReplaceAll(w.Name(), "/", "-")) }

func (w *world) observe(want spec.Desired) drift.Observed {
	w.Helper()
	have, err := w.target.Observe(w.Context(), want)
	if err != nil {
		w.Fatal(err)
	}
	return have
}

// must expects one difference of a bucket, or none for "".
func (w *world) must(want spec.Desired, b *spec.Bucket, verdict drift.Verdict) drift.Difference {
	w.Helper()
	d := drift.Compare(want, w.observe(want))
	one, _ := d.Of(b.Ref())
	if one.Verdict != verdict || len(d) > 1 {
		w.Fatalf("%s is %q, want %q: %+v", b.Ref(), one.Verdict, verdict, d)
	}
	return one
}

func (w *world) apply(c plan.Change) error {
	ctx, cancel := context.WithTimeout(w.Context(), 10*time.Minute)
	defer cancel()
	return w.target.Apply(ctx, c, nobody{})
}

func (w *world) mustApply(c plan.Change) {
	w.Helper()
	if err := w.apply(c); err != nil {
		w.Fatal(err)
	}
}

// byHand makes a bucket with tags, as somebody else would.
func (w *world) byHand(b *spec.Bucket, marks map[string]string) {
	w.Helper()
	if err := w.hand.MakeBucket(w.Context(), b.Name, minio.MakeBucketOptions{}); err != nil {
		w.Fatal(err)
	}
	w.mark(b, marks)
}

// mark gives a bucket its tags.
func (w *world) mark(b *spec.Bucket, marks map[string]string) {
	w.Helper()
	if len(marks) == 0 {
		return
	}
	// By MinIO's code a look at a bucket that is just made may put its memory of a bucket without
	// tags in the place of one with them, so they are seen before anything builds on them.
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := w.tag(b, marks)
		if err == nil {
			_, err = w.hand.GetBucketTagging(w.Context(), b.Name)
		}
		if err == nil {
			return
		}
		if codeOf(err) != "NoSuchTagSet" || time.Now().After(end) {
			w.Fatal(err)
		}
	}
}

// mustHaveTags expects a bucket's tags.
func (w *world) mustHaveTags(b *spec.Bucket, want map[string]string) {
	w.Helper()
	have := map[string]string{}
	marks, err := w.hand.GetBucketTagging(w.Context(), b.Name)
	switch {
	case err == nil:
		have = marks.ToMap()
	case codeOf(err) != "NoSuchTagSet":
		w.Fatal(err)
	}
	if !maps.Equal(have, want) {
		w.Errorf("%s has the tags %v, want %v", b.Ref(), have, want)
	}
}

// forward passes requests on to a store.
func forward(address string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
	}
}

// through has the store be reached through a proxy that may answer itself, started with or
// without TLS. It gives the certificate of one with.
func (w *world) through(start func(*httptest.Server), answer func(http.ResponseWriter, *http.Request) bool) (ca string) {
	proxy := forward(w.store.Endpoint)
	w.proxy = proxy
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !answer(rw, r) {
			proxy.ServeHTTP(rw, r)
		}
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.Cleanup(front.Close)
	if start(front); front.Certificate() != nil {
		ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
	}
	w.store.Endpoint = front.Listener.Addr().String()
	return ca
}

// refuse answers as S3 servers do.
func refuse(rw http.ResponseWriter, status int, code, message string) {
	rw.Header().Set("Content-Type", "application/xml")
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte("<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>"))
}

// nobody listens to progress.
type nobody struct{}

func (nobody) Reached(spec.Phase)         {}
func (nobody) Doing(string, int64, int64) {}
func (nobody) Left(string)                {}
