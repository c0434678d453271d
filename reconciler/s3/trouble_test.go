package s3

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// TestTroubleSaysWhatToDo has answers that a sound server does not give when it is asked.
func TestTroubleSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		status int
		says   string
	}{
		"RequestTimeTooSkewed":         {http.StatusForbidden, "clock of the store s and that of this machine are too far apart"},
		"AuthorizationHeaderMalformed": {http.StatusBadRequest, "is in another region (as it says): check stores.s.region"},
		"AccessDenied":                 {http.StatusForbidden, "the access key of the store s may not read the tags of bucket lake"},
		"XMinioStorageFull":            {http.StatusInsufficientStorage, "the disk of the store s is full, so it cannot read the tags of bucket lake (XMinioStorageFull)"},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) { refuse(rw, c.status, code, "as it says") })
			want := spec.Desired{Project: "p", Stores: []*spec.Store{bucket.Store}, Tiers: []spec.Tier{{Resources: []spec.Resource{bucket}}}}
			have, err := target.Observe(t.Context(), want)
			reason := have.Blind[bucket.Ref()]
			if err != nil || len(have.Found) > 0 || reason == "" {
				t.Fatalf("%+v %v", have, err)
			}
			err = target.Apply(t.Context(), plan.Create{Want: bucket}, nobody{})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestWaitingForAStoreEndsWithTheTier(t *testing.T) {
	t.Parallel()
	target, bucket := facing(t, func(rw http.ResponseWriter, _ *http.Request) {
		refuse(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	})
	target.remember(spec.Desired{Project: "p"})
	over := errors.New("the tier was not ready in time")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, over)
	defer cancel()
	err := target.Apply(ctx, plan.Create{Want: bucket}, nobody{})
	if !errors.Is(err, over) || !strings.Contains(err.Error(), "Please reduce your request rate") {
		t.Errorf("%v", err)
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	t.Parallel()
	target, bucket := facing(t, func(rw http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	target.remember(spec.Desired{Project: "p"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := target.Apply(ctx, plan.Create{Want: bucket}, nobody{}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}

// facing gives a target and a bucket of a store that answers so.
func facing(t *testing.T, answer http.HandlerFunc) (*Target, *spec.Bucket) {
	front := httptest.NewServer(answer)
	t.Cleanup(front.Close)
	store := &spec.Store{Name: "s", Endpoint: front.Listener.Addr().String(), AccessKey: spec.Sensitive("canary-user"), SecretKey: spec.Sensitive("canary-password")}
	return New(nil), &spec.Bucket{Key: "lake", Name: "lake", Store: store}
}
