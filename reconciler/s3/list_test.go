package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// longList puts more objects into a bucket than a page of a list has, in folders of all shapes.
func (w *world) longList() (bucket string) {
	b := w.bucket()
	w.byHand(b, nil)
	keys := []string{"t/", "t/at the top", "t/a/", "t/a/b/c/d/e/deep", "t/_delta_log/00000000000000000000.json", "t2/other"}
	for n := range 1100 {
		keys = append(keys, fmt.Sprintf("t/many/x=%d", n))
	}
	for n := range 40 {
		keys = append(keys, fmt.Sprintf("t/day=%d/hour=%d/a b", n/10, n))
	}
	var g errgroup.Group
	g.SetLimit(listsAtOnce)
	for _, key := range keys {
		g.Go(func() error {
			_, err := w.hand.PutObject(w.Context(), b.Name, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		w.Fatal(err)
	}
	return b.Name
}

// testLongListsAreWhole: a list that is split by its folders has what one in a single piece has.
func testLongListsAreWhole(w *world) {
	bucket := w.longList()
	f := w.open()
	for _, folder := range []string{"", "t/", "t/many/", "t/day=1/"} {
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
