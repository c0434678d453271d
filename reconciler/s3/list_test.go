package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/spec"
)

// longLists are the buckets that longList has made, by the address of the server.
var longLists = struct {
	sync.Mutex
	made map[string]string
}{made: map[string]string{}}

// longList gives a bucket with more objects than a page of a list has, in folders of all shapes. It is
// one for each server, since nobody writes to it.
func (w *world) longList() (bucket string) {
	w.Helper()
	longLists.Lock()
	defer longLists.Unlock()
	address := w.store.Endpoint
	if longLists.made[address] == "" {
		longLists.made[address] = w.makeLongList()
	}
	return longLists.made[address]
}

func (w *world) makeLongList() (bucket string) {
	w.Helper()
	b := w.bucket()
	w.byHand(b, nil)
	keys := []string{"t/", "t/at the top", "t/a/", "t/a/b/c/d/e/deep", "t/_delta_log/00000000000000000000.json", "t2/other"}
	for n := range 1100 {
		keys = append(keys, fmt.Sprintf("t/many/x=%d", n))
	}
	for n := range mostStretches + 4 {
		keys = append(keys, fmt.Sprintf("folders/%d/x", n), fmt.Sprintf("folders/%d-a/", n), fmt.Sprintf("folders/%d-b", n))
	}
	for n := range 40 {
		keys = append(keys, fmt.Sprintf("t/day=%d/hour=%d/a b", n/10, n))
	}
	var g errgroup.Group
	g.SetLimit(listsAtOnce)
	for _, key := range keys {
		g.Go(func() error {
			text := "x"
			if strings.HasSuffix(key, "/") {
				text = "" // a marker holds nothing
			}
			_, err := w.hand.PutObject(w.Context(), b.Name, key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		w.Fatal(err)
	}
	return b.Name
}

// testListBeginsAfterAName: what comes after it, and nothing before it, on every page.
func testListBeginsAfterAName(w *world) {
	bucket := w.longList()
	f := w.open()
	for _, after := range []string{"", "x=", "x=1099", "x=20", "x=5", "x=999", "y"} {
		var want, have []string
		for n := range 1100 {
			if name := fmt.Sprintf("x=%d", n); name > after {
				want = append(want, bucket+"/t/many/"+name)
			}
		}
		slices.Sort(want)
		err := f.ListAfter(w.Context(), bucket+"/t/many/", after, func(path string, size int64, _ time.Time, tag string) error {
			if have = append(have, path); size != 1 || tag == "" {
				w.Errorf("%s: %d %q", path, size, tag)
			}
			return nil
		})
		slices.Sort(have)
		if diff := cmp.Diff(want, have); diff != "" || err != nil {
			w.Errorf("after %q: %v\n%s", after, err, diff)
		}
	}
}

// TestTailOfALongLogIsOneRequest, where all of it are eleven.
func TestTailOfALongLogIsOneRequest(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(dir+"/t/_delta_log", 0o755); err != nil {
		t.Fatal(err)
	}
	for v := range 10_002 {
		if err := os.WriteFile(fmt.Sprintf("%s/t/_delta_log/%020d.json", dir, v), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server, err := deltatest.NewSlowS3(dir, "lake", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	f, err := New(nil).Files(t.Context(), "project", &spec.Store{
		Name: "slow", Endpoint: strings.TrimPrefix(server.URL, "http://"), Region: "us-east-1", Timeout: time.Minute,
		AccessKey: spec.Plain("reader"), SecretKey: spec.Sensitive("readers-secret"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	count := func(string, int64, time.Time, string) error { n++; return nil }
	if err := f.List(t.Context(), "lake/t/_delta_log/", false, count); err != nil || n != 10_002 || server.Lists.Swap(0) != 11 {
		t.Errorf("%d files, %v", n, err)
	}
	n = 0
	err = f.ListAfter(t.Context(), "lake/t/_delta_log/", fmt.Sprintf("%020d", 10_000), count)
	if lists := server.Lists.Load(); err != nil || n != 2 || lists != 1 {
		t.Errorf("%d files in %d requests, %v", n, lists, err)
	}
}

// testLongListsAreWhole: a list that is split by its folders has what one in a single piece has.
func testLongListsAreWhole(w *world) {
	bucket := w.longList()
	f := w.open()
	for _, folder := range []string{"", "t/", "t/many/", "t/day=1/", "folders/"} {
		want, have := map[string]string{}, map[string]string{}
		for o := range w.hand.ListObjectsIter(w.Context(), bucket, minio.ListObjectsOptions{Prefix: folder, Recursive: true}) {
			want[bucket+"/"+o.Key] = fmt.Sprint(o.Size, o.LastModified, o.ETag, o.Err)
		}
		err := f.List(w.Context(), bucket+"/"+folder, true, func(path string, size int64, written time.Time, tag string) error {
			if have[path] != "" {
				w.Errorf("%s is told twice", path)
			}
			have[path] = fmt.Sprint(size, written, tag, error(nil))
			return nil
		})
		if diff := cmp.Diff(want, have); diff != "" || err != nil {
			w.Errorf("%q: %v\n%s", folder, err, diff)
		}
	}
	end, n := errors.New("enough"), 0
	err := f.List(w.Context(), bucket+"/", true, func(string, int64, time.Time, string) error {
		if n++; n == 700 {
			return end
		}
		return nil
	})
	if !errors.Is(err, end) || n != 700 {
		w.Errorf("%v after %d files", err, n)
	}
}

// testListsFailWhole: half a list is none.
func testListsFailWhole(w *world) {
	bucket := w.longList()
	var hit atomic.Bool
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("prefix") != "t/day=2/" {
			return false
		}
		hit.Store(true)
		refuse(rw, http.StatusForbidden, "AccessDenied", "no")
		return true
	})
	err := w.open().List(w.Context(), bucket+"/t/", true, func(string, int64, time.Time, string) error { return nil })
	if err == nil || !hit.Load() || !strings.Contains(err.Error(), "may not list the bucket") {
		w.Error(err)
	}
}

// open opens the files of the world's store.
func (w *world) open() *Files {
	f, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(f.Close)
	return f
}
