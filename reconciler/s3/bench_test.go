package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// BenchmarkBuckets looks at buckets that are as they should be, each with a tag and versioning,
// beside the bare calls for them, as many at a time, in turn. The times are medians.
func BenchmarkBuckets(b *testing.B) {
	address := enginetest.MinIO(b)
	for _, n := range []int{1, 50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkBuckets(b, address, n) })
	}
}

func benchmarkBuckets(b *testing.B, address string, n int) {
	target, want := benchWorld(b, address, n)
	c, err := target.connect(b.Context(), want.Project, want.Stores[0])
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	var looks, bare []time.Duration
	b.ResetTimer()
	for range b.N {
		looks = append(looks, timed(b, func() error {
			have, err := target.Observe(b.Context(), want)
			if d := drift.Compare(want, have); err == nil && !d.InSync() {
				err = fmt.Errorf("not in sync: %+v", d[0])
			}
			return err
		}))
		bare = append(bare, timed(b, func() error { return bareCalls(b, c, want) }))
	}
	b.StopTimer()
	look, floor := median(looks), median(bare)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(look.Microseconds())/1000, "look-ms")
	b.ReportMetric(float64(floor.Microseconds())/1000, "bare-ms")
	b.ReportMetric(float64(look)/float64(floor), "look/bare")
	b.ReportMetric(float64(callsOf(b, target, want))/float64(n), "calls/bucket")
}

// benchWorld makes the buckets of a project.
func benchWorld(b *testing.B, address string, n int) (*Target, spec.Desired) {
	store := &spec.Store{Name: "minio", Endpoint: address, AccessKey: spec.Plain(enginetest.MinIOUser), SecretKey: spec.Sensitive(enginetest.MinIOPassword)}
	tier := spec.Tier{Name: "only"}
	for i := range n {
		name := fmt.Sprintf("bench-%d-%03d", n, i)
		tier.Resources = append(tier.Resources, &spec.Bucket{Key: name, Name: name, Store: store, Versioning: spec.VersioningEnabled, Tags: map[string]string{"team": "data"}})
	}
	want := spec.Desired{Project: fmt.Sprintf("bench-%d", n), Tiers: []spec.Tier{tier}, Stores: []*spec.Store{store}}
	target := New(nil)
	target.remember(want)
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, r := range tier.Resources {
		g.Go(func() error { return target.Apply(b.Context(), plan.Create{Want: r}, nobody{}) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx := context.WithoutCancel(b.Context())
		c, err := target.connect(ctx, want.Project, store)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range tier.Resources { // or the next size would look at them too
			if err := c.RemoveBucket(ctx, r.(*spec.Bucket).Name); err != nil {
				b.Error(err)
			}
		}
	})
	return target, want
}

// bareCalls asks for what is declared of the buckets, for rules and policies that nobody
// declares but that may delete or open tables, and for the policies by which users are marked, and no more: the calls of
// a look, on connections that are open, as many at a time.
func bareCalls(b *testing.B, c *connection, want spec.Desired) error {
	store := c.Client
	if _, err := store.ListBuckets(b.Context()); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	policies := make(chan error, 1)
	go func() {
		_, err := c.admin(b.Context(), http.MethodGet, "list-canned-policies", nil, nil)
		policies <- err
	}()
	for _, one := range spec.Resources[*spec.Bucket](want) {
		g.Go(func() error {
			if _, err := store.GetBucketTagging(b.Context(), one.Name); err != nil {
				return err
			}
			if _, err := store.GetBucketVersioning(b.Context(), one.Name); err != nil {
				return err
			}
			if _, err := store.GetBucketLifecycle(b.Context(), one.Name); codeOf(err) != "NoSuchLifecycleConfiguration" && err != nil {
				return err
			}
			_, err := store.GetBucketPolicy(b.Context(), one.Name)
			return err
		})
	}
	return errors.Join(g.Wait(), <-policies)
}

// callsOf counts the requests of one look of an agent that has looked before.
func callsOf(b *testing.B, target *Target, want spec.Desired) int32 {
	var calls atomic.Int32
	store := want.Stores[0]
	direct := store.Endpoint
	origin := forward(direct)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		origin.ServeHTTP(rw, r)
	}))
	defer front.Close()
	store.Endpoint = strings.TrimPrefix(front.URL, "http://")
	defer func() { store.Endpoint = direct }()
	first := int32(0)
	for range 2 {
		first = calls.Swap(0)
		if _, err := target.Observe(b.Context(), want); err != nil {
			b.Fatal(err)
		}
	}
	if n := calls.Load(); n >= first {
		b.Errorf("%d calls, after %d of the first look: what buckets hold is to be asked for once in a while", n, first)
	}
	return calls.Load()
}

func timed(b *testing.B, do func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
