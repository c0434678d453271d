package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/spec"
)

// counting is a store without buckets that counts the connections to it. Those opened up to
// dead lead nowhere any more.
type counting struct {
	*httptest.Server
	opened, dead atomic.Int32
}

type connectionNumber struct{}

func countingStore(t *testing.T) (*counting, *Target, spec.Desired) {
	c := &counting{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Context().Value(connectionNumber{}).(int32) <= c.dead.Load():
			<-r.Context().Done()
		case r.URL.Path == "/":
			_, _ = rw.Write([]byte("<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"))
		default:
			refuse(rw, http.StatusNotFound, "NoSuchBucket", "it is not there")
		}
	}))
	c.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionNumber{}, c.opened.Add(1))
	}
	c.Start()
	t.Cleanup(func() { c.CloseClientConnections(); c.Close() })
	store := &spec.Store{Name: "s", Endpoint: c.Listener.Addr().String(), AccessKey: spec.Plain("k"), SecretKey: spec.Sensitive("s"), Timeout: 4 * time.Second}
	return c, New(nil), wanting(&spec.Bucket{Key: "lake", Name: "lake", Store: store})
}

// unseen gives why a look did not see the bucket, or "".
func unseen(t *testing.T, target *Target, want spec.Desired) string {
	t.Helper()
	have, err := target.Observe(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range have.Blind {
		return why
	}
	return ""
}

func TestLooksShareTheirConnections(t *testing.T) {
	t.Parallel()
	c, target, want := countingStore(t)
	for range 5 {
		if why := unseen(t, target, want); why != "" {
			t.Error(why)
		}
	}
	if n := c.opened.Load(); n != 1 { // a bucket is asked for when the list is there
		t.Errorf("%d connections were opened", n)
	}
}

// TestRequestsOfAPlanKeepTheirConnections: as many as are under way at once, when the next ones follow.
func TestRequestsOfAPlanKeepTheirConnections(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	come, leave := make(chan bool, mostIdle), make(chan bool)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		come <- true
		select {
		case <-leave:
		case <-r.Context().Done():
		}
		rw.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = rw.Write([]byte("{}"))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	f, err := New(nil).Files(t.Context(), "project", &spec.Store{Name: "s", Endpoint: server.Listener.Addr().String(), AccessKey: spec.Plain("k"), SecretKey: spec.Sensitive("s")})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		g, ctx := errgroup.WithContext(t.Context())
		for range mostIdle {
			g.Go(func() error {
				r, err := f.Get(ctx, "lake/a")
				if err != nil {
					return err
				}
				_, err = io.ReadAll(r)
				return errors.Join(err, r.Close())
			})
		}
		for range mostIdle {
			select {
			case <-come:
			case <-ctx.Done():
				t.Fatal(g.Wait())
			}
		}
		for range mostIdle {
			select {
			case leave <- true:
			case <-ctx.Done():
				t.Fatal(g.Wait())
			}
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != mostIdle {
		t.Errorf("%d connections were opened for %d requests at once", n, mostIdle)
	}
}

func TestConnectionThatWasClosedIsOpenedAnew(t *testing.T) {
	t.Parallel()
	c, target, want := countingStore(t)
	for range 3 {
		if why := unseen(t, target, want); why != "" {
			t.Error(why)
		}
		c.CloseClientConnections() // as a server does that is restarted
	}
	if n := c.opened.Load(); n != 3 {
		t.Errorf("%d connections were opened", n)
	}
}

func TestConnectionsThatLeadNowhereAreGivenUpTogether(t *testing.T) {
	t.Parallel()
	c, target, want := countingStore(t)
	for range 3 * atOnce {
		one := &spec.Bucket{Key: want.Tiers[0].Resources[0].Ref().Name + string(rune('a'+len(want.Tiers[0].Resources))), Store: want.Stores[0]}
		one.Name = one.Key
		want.Tiers[0].Resources = append(want.Tiers[0].Resources, one)
	}
	if why := unseen(t, target, want); why != "" || c.opened.Load() < 2 {
		t.Fatalf("%q, %d connections", why, c.opened.Load())
	}
	c.dead.Store(c.opened.Load()) // as when a machine is gone without a word
	if why := unseen(t, target, want); why == "" {
		t.Fatal("they do lead somewhere")
	}
	why := unseen(t, target, want)
	for range 30 { // on a busy machine the first answer may take longer than it has
		if why == "" {
			return
		}
		why = unseen(t, target, want)
	}
	t.Errorf("once more: %s", why)
}

func TestStoreThatMovesIsReachedWhereItIsNow(t *testing.T) {
	t.Parallel()
	before, target, want := countingStore(t)
	after, _, _ := countingStore(t)
	if why := unseen(t, target, want); why != "" {
		t.Error(why)
	}
	want.Stores[0].Endpoint = after.Listener.Addr().String()
	before.Close()
	if why := unseen(t, target, want); why != "" || after.opened.Load() != 1 {
		t.Errorf("%q, %d connections", why, after.opened.Load())
	}
}
