package s3

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func TestStoreThatFallsSilentIsWaitedForInFullOnce(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	silent.Store(true)
	target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			<-r.Context().Done()
			return
		}
		refuse(rw, http.StatusNotFound, "NoSuchBucket", "it is not there")
	})
	full := 4 * time.Second // much longer than shortPatience, so that they can be told apart on a busy machine
	bucket.Store.Timeout = full
	want := wanting(bucket)
	look := func(says string, least, most time.Duration) {
		t.Helper()
		began := time.Now()
		have, err := target.Observe(t.Context(), want)
		took, reason := time.Since(began), have.Blind[bucket.Ref()]
		if err != nil || !strings.Contains(reason, says) || says == "" && reason != "" {
			t.Errorf("%q %v, want %q", reason, err, says)
		}
		if took < least || took > most {
			t.Errorf("took %s, want %s to %s", took, least, most)
		}
	}
	look("does not answer in time, since ", full, 2*full)
	look("does not answer in time, since ", shortPatience, full)
	silent.Store(false)
	for range 30 { // on a busy machine its first answer may take longer than it has
		if have, err := target.Observe(t.Context(), want); err != nil || strings.Contains(have.Blind[bucket.Ref()], "does not list") {
			break
		}
	}
	look("does not list its buckets", 0, full)
	silent.Store(true)
	look("does not answer in time", full, 2*full)
}

func TestStoreThatFallsSilentInTheMiddleOfALookIsAskedNoMore(t *testing.T) {
	t.Parallel()
	const buckets = 3 * atOnce
	var asked atomic.Int32
	target, first := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = rw.Write([]byte("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"))
			return
		}
		asked.Add(1)
		<-r.Context().Done()
	})
	first.Store.Timeout = 4 * time.Second // in which a busy machine asks all that are asked at once
	all := []*spec.Bucket{first}
	for i := range buckets - 1 {
		one := *first
		one.Key = "bucket-" + string(rune('a'+i))
		one.Name = one.Key
		all = append(all, &one)
	}
	began := time.Now()
	have, err := target.Observe(t.Context(), wanting(all...))
	if err != nil || len(have.Blind) != buckets || asked.Load() != atOnce {
		t.Errorf("%d of %d unseen, %d questions, %v", len(have.Blind), buckets, asked.Load(), err)
	}
	if took := time.Since(began); took > 2*first.Store.Timeout {
		t.Errorf("took %s", took)
	}
}

func TestLookAsksABusyStoreAsOftenAsItMay(t *testing.T) {
	t.Parallel()
	for retries, unseen := range map[int]bool{1: true, 2: false} {
		var asked atomic.Int32
		target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case asked.Add(1) <= 2:
				refuse(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
			case r.URL.Path == "/":
				_, _ = rw.Write([]byte("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"))
			default:
				refuse(rw, http.StatusNotFound, "NoSuchBucket", "it is not there")
			}
		})
		bucket.Store.Retries = retries
		have, err := target.Observe(t.Context(), wanting(bucket))
		if reason := have.Blind[bucket.Ref()]; err != nil || (reason != "") != unseen || unseen && !strings.Contains(reason, "Please reduce your request rate") {
			t.Errorf("with %d retries: %q %v", retries, reason, err)
		}
	}
}

func TestCheckAsksASilentStoreOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	target, first := facing(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	})
	first.Store.Timeout = 2 * time.Second // or a busy machine asks nothing
	first.Versioning = spec.VersioningEnabled
	second := *first
	second.Key, second.Name = "pond", "pond"
	steps := []plan.Step{{Change: plan.Create{Want: first}}, {Change: plan.Create{Want: &second}}}
	if all := target.Check(t.Context(), plan.Plan{Project: "p", Stages: []plan.Stage{{Steps: steps}}}); len(all) > 0 {
		t.Errorf("what could not be asked is in the way: %+v", all)
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times, want once", asked.Load())
	}
}

func TestAnswerThatStopsInItsMiddleIsGivenUp(t *testing.T) {
	t.Parallel()
	target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		_, _ = rw.Write([]byte("<ListAllMyBucketsResult>"))
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	bucket.Store.Timeout = 2 * time.Second
	began := time.Now()
	have, err := target.Observe(t.Context(), wanting(bucket))
	if reason := have.Blind[bucket.Ref()]; err != nil || !strings.Contains(reason, "does not answer in time") || time.Since(began) > 3*bucket.Store.Timeout {
		t.Errorf("%q %v after %s", reason, err, time.Since(began))
	}
}

// TestStoreWithoutTimeIsBusyAndNoOtherIs tells what is waited for in a run from what is held.
func TestStoreWithoutTimeIsBusyAndNoOtherIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status     int
		code, says string
		busy       bool
	}{
		{http.StatusServiceUnavailable, "XMinioServerNotInitialized", "the store s has no time to list its buckets: as it says (XMinioServerNotInitialized)", true},
		{http.StatusServiceUnavailable, "SlowDown", "the store s has no time to list its buckets: as it says (SlowDown)", true},
		{http.StatusTooManyRequests, "TooManyRequests", "the store s has no time to list its buckets: as it says (TooManyRequests)", true},
		{http.StatusForbidden, "InvalidAccessKeyId", "the store s does not know the access key", false},
		{http.StatusInternalServerError, "InternalError", "the store s does not list its buckets", false},
		{http.StatusBadGateway, "", "the store s does not list its buckets", false},
	} {
		target, bucket := facing(t, func(rw http.ResponseWriter, _ *http.Request) { refuse(rw, c.status, c.code, "as it says") })
		have, err := target.Observe(t.Context(), wanting(bucket))
		ref := bucket.Ref()
		if err != nil || !strings.HasPrefix(have.Blind[ref], c.says) || have.Busy[ref] != c.busy {
			t.Errorf("%d %s: %q, busy %t, %v", c.status, c.code, have.Blind[ref], have.Busy[ref], err)
		}
	}
}

func TestLookPressesABusyStoreOnlyOnce(t *testing.T) {
	t.Parallel()
	const buckets = 4 * atOnce
	var asked atomic.Int32
	target, first := facing(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			_, _ = rw.Write([]byte("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"))
			return
		}
		asked.Add(1)
		refuse(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	})
	first.Store.Retries = 2
	all := []*spec.Bucket{first}
	for i := range buckets - 1 {
		one := *first
		one.Key = fmt.Sprint("bucket-", i)
		one.Name = one.Key
		all = append(all, &one)
	}
	have, err := target.Observe(t.Context(), wanting(all...))
	if err != nil || len(have.Busy) != buckets {
		t.Errorf("%d busy, %v", len(have.Busy), err)
	}
	// Those that were asked about side by side were asked about again, the others once.
	if least, most := int32(buckets), int32(buckets+2*2*atOnce); asked.Load() < least || asked.Load() > most {
		t.Errorf("%d questions, want %d to %d", asked.Load(), least, most)
	}
}

// wanting is a project that has these buckets, which are of one store.
func wanting(buckets ...*spec.Bucket) spec.Desired {
	tier := spec.Tier{Name: "only"}
	for _, b := range buckets {
		tier.Resources = append(tier.Resources, b)
	}
	return spec.Desired{Project: "p", Stores: []*spec.Store{buckets[0].Store}, Tiers: []spec.Tier{tier}}
}
