package s3

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

var (
	_ delta.Store     = (*Files)(nil)
	_ delta.Versioned = (*Files)(nil)
	_ delta.Ordered   = (*Files)(nil)
	_ delta.Keeping   = (*Files)(nil)
	_ delta.Locking   = (*Files)(nil)
)

// oddKeys are those that a listing has to encode.
var oddKeys = []string{"t/a b", "t/a%20b", "t/a&b<c>\"d", "t/p=ä/日本+x", "t/sub/one", "t/sub/two", "t2/other", "t/#?;"}

// controlKey has a character that XML cannot have at all.
const controlKey = "t/control\x01character"

// TestEdge23KeysThatAListingEncodesAreThoseOfTheStore when they are listed, read and removed.
func TestEdge23KeysThatAListingEncodesAreThoseOfTheStore(t *testing.T) {
	address := enginetest.MinIO(t)
	for name, test := range map[string]func(*world){"listed": testFilesAreListed, "read": testFilesAreRead, "removed": testRemoverAccounts} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, address))
		})
	}
}

// files opens the world's store and puts odd keys into a bucket.
func (w *world) files() (*Files, string) {
	w.Helper()
	b := w.bucket()
	w.byHand(b, nil)
	for _, key := range append(slices.Clone(oddKeys), controlKey) {
		if _, err := w.hand.PutObject(w.Context(), b.Name, key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
			w.Fatal(err)
		}
	}
	f, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(f.Close)
	return f, b.Name
}

func (w *world) list(f *Files, folder string, deep bool) (paths []string, err error) {
	err = f.List(w.Context(), folder, deep, func(path string, size int64, written time.Time, _ string) error {
		if !strings.HasSuffix(path, "/") && (size == 0 || time.Since(written).Abs() > time.Minute) {
			w.Errorf("%s has %d bytes, written at %s", path, size, written)
		}
		paths = append(paths, path)
		return nil
	})
	slices.Sort(paths)
	return paths, err
}

func testFilesAreListed(w *world) {
	f, bucket := w.files()
	if !f.Clock().IsZero() {
		w.Error("the clock is known before the first answer")
	}
	deep, err := w.list(f, bucket+"/t/", true)
	var want []string
	for _, key := range append(slices.Clone(oddKeys), controlKey) {
		if strings.HasPrefix(key, "t/") {
			want = append(want, bucket+"/"+key)
		}
	}
	slices.Sort(want)
	if diff := gocmp.Diff(want, deep); diff != "" || err != nil {
		w.Errorf("%v %s", err, diff)
	}
	top, err := w.list(f, bucket+"/", false)
	if diff := gocmp.Diff([]string{bucket + "/t/", bucket + "/t2/"}, top); diff != "" || err != nil {
		w.Errorf("%v %s", err, diff)
	}
	none, err := w.list(f, bucket+"/none/", true)
	if len(none) > 0 || err != nil {
		w.Errorf("%v %v", none, err)
	}
	if d := time.Since(f.Clock()); d.Abs() > 5*time.Second {
		w.Errorf("the store's clock is %s behind", d)
	}
}

func testFilesAreRead(w *world) {
	f, bucket := w.files()
	for _, key := range append(slices.Clone(oddKeys), controlKey) {
		r, err := f.Get(w.Context(), bucket+"/"+key)
		if err != nil {
			w.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if string(content) != key || err != nil {
			w.Errorf("%s is %q, %v", key, content, err)
		}
		r.Close()
	}
	if _, err := f.Get(w.Context(), bucket+"/t/none"); !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
	if _, err := f.Get(w.Context(), "no-such-bucket-at-all/a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		w.Errorf("a bucket that is not there is no file that is not there: %v", err)
	}
	if _, err := w.list(f, "no-such-bucket-at-all/", true); err == nil {
		w.Error("a bucket that is not there is empty")
	}
	end := errors.New("enough")
	if err := f.List(w.Context(), bucket+"/", true, func(string, int64, time.Time, string) error { return end }); !errors.Is(err, end) {
		w.Error(err)
	}
}

func testListsAtOnce(w *world) { w.mustBeLate(false) }
func testMayListLate(w *world) { w.mustBeLate(true) }

// mustBeLate asks a store something, and expects that by its answer it may list late, or not.
func (w *world) mustBeLate(want bool) {
	w.Helper()
	f, bucket := w.files()
	if err := f.List(w.Context(), bucket+"/", false, func(string, int64, time.Time, string) error { return nil }); err != nil {
		w.Fatal(err)
	}
	if late := f.Late(); late != want {
		w.Errorf("it may list late: %t, want %t", late, want)
	}
}

// testFilesAreLookedAt: one file is as a list shows it.
func testFilesAreLookedAt(w *world) {
	f, bucket := w.files()
	err := f.List(w.Context(), bucket+"/t/", true, func(path string, size int64, written time.Time, tag string) error {
		haveSize, haveWritten, haveTag, err := f.Stat(w.Context(), path)
		if err != nil || haveSize != size || haveTag != tag || tag == "" || !haveWritten.Truncate(time.Second).Equal(written.Truncate(time.Second)) {
			w.Errorf("%s: %d %s %q, %v; listed %d %s %q", path, haveSize, haveWritten, haveTag, err, size, written, tag)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	w.version(bucket)
	if err := w.hand.RemoveObject(w.Context(), bucket, "t/sub/one", minio.RemoveObjectOptions{}); err != nil {
		w.Fatal(err)
	}
	for _, key := range []string{"t/none", "t/sub", "t/sub/one", "t/sub/one/below"} {
		if _, _, _, err := f.Stat(w.Context(), bucket+"/"+key); !errors.Is(err, fs.ErrNotExist) {
			w.Errorf("%s: %v", key, err)
		}
	}
	w.store.SecretKey = spec.Sensitive("not-the-secret")
	blind, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer blind.Close()
	if _, _, _, err := blind.Stat(w.Context(), bucket+"/t/sub/two"); err == nil || errors.Is(err, fs.ErrNotExist) {
		w.Errorf("what may not be seen is not absent: %v", err)
	}
}

// testFilesAskForNothingElse: what looks at tables cannot change them.
func testFilesAskForNothingElse(w *world) {
	_, bucket := w.files()
	var mu sync.Mutex
	asked := map[string]int{}
	w.through((*httptest.Server).Start, func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method]++
		return false
	})
	f, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	_, err = w.list(f, bucket+"/", true)
	r, getErr := f.Get(w.Context(), bucket+"/t/sub/one")
	_, _, _, statErr := f.Stat(w.Context(), bucket+"/t/sub/one")
	if err := errors.Join(err, getErr, statErr); err != nil {
		w.Fatal(err)
	}
	r.Close()
	if len(asked) != 2 || asked[http.MethodGet] == 0 || asked[http.MethodHead] != 1 {
		w.Errorf("asked %v", asked)
	}
}

// testFilesMayTakeLong: an object may take longer than one answer may, as long as it goes on.
func testFilesMayTakeLong(w *world) {
	const piece, pieces, pause = 1000, 6, 600 * time.Millisecond // between two that a busy machine sends a little later
	w.store.Timeout = 5 * pause
	silent := false
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		rw.Header().Set("Content-Length", fmt.Sprint(piece*pieces))
		rw.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		for n := range pieces {
			if silent && n == 2 {
				<-r.Context().Done()
				return true
			}
			_, _ = rw.Write(make([]byte, piece))
			_ = http.NewResponseController(rw).Flush()
			time.Sleep(pause)
		}
		return true
	})
	f, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	read := func() (int, error) {
		r, err := f.Get(w.Context(), "bucket/key")
		if err != nil {
			return 0, err
		}
		defer r.Close()
		content, err := io.ReadAll(r)
		return len(content), err
	}
	if n, err := read(); n != piece*pieces || err != nil {
		w.Errorf("%d bytes, %v", n, err)
	}
	silent = true
	if _, err := read(); !errors.Is(err, errTooLate) {
		w.Errorf("a store that fell silent: %v", err)
	}
}

func TestClockOfAStoreIsTheOneInItsAnswers(t *testing.T) {
	var c storeClock
	c.read(http.Header{"Date": {"no time"}})
	if !c.now().IsZero() {
		t.Error(c.now())
	}
	c.read(http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}})
	if d := time.Since(c.now()); d < 59*time.Minute || d > 61*time.Minute {
		t.Error(d)
	}
}

// testVersionsAreListed: newest first, with marks of removal, and of a bucket that keeps none each
// object once.
func testVersionsAreListed(w *world) {
	f, bucket := w.files()
	versions := func() (all []string) {
		tags := map[string]string{}
		not, err := f.Versions(w.Context(), bucket+"/t/sub/", func(path, tag string, marker bool) {
			if marker {
				tag = "removed"
			} else if _, known := tags[tag]; !known {
				tags[tag] = string(rune('a' + len(tags)))
			}
			all = append(all, strings.TrimPrefix(path, bucket+"/t/sub/")+" "+cmp.Or(tags[tag], tag))
		})
		if not != "" || err != nil {
			w.Error(not, err)
		}
		return all
	}
	write := func(content string) {
		if _, err := w.hand.PutObject(w.Context(), bucket, "t/sub/one", strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
			w.Fatal(err)
		}
	}
	write("first")
	if diff := gocmp.Diff([]string{"one a", "two b"}, versions()); diff != "" {
		w.Error(diff)
	}
	if err := w.hand.EnableVersioning(w.Context(), bucket); err != nil {
		w.Fatal(err)
	}
	write("second")
	write("second")
	if err := w.hand.RemoveObject(w.Context(), bucket, "t/sub/one", minio.RemoveObjectOptions{}); err != nil {
		w.Fatal(err)
	}
	write("third")
	if diff := gocmp.Diff([]string{"one a", "one removed", "one b", "one b", "one c", "two d"}, versions()); diff != "" {
		w.Error(diff)
	}
	if _, err := f.Versions(w.Context(), "no-such-bucket-at-all/t/", func(string, string, bool) {}); err == nil {
		w.Error("a bucket that is not there has no versions")
	}
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("versions") {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(rw, "<Error><Code>AccessDenied</Code></Error>")
			return true
		}
		return false
	})
	through, err := w.target.Files(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer through.Close()
	not, err := through.Versions(w.Context(), bucket+"/t/", func(string, string, bool) {})
	if err != nil || !strings.Contains(not, "may not list the versions of objects in the bucket "+bucket) {
		w.Error(not, err)
	}
}
