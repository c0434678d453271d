package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
)

// leastPart is as small as a part of an object may be that is not the last.
const leastPart = 5 << 20

// large is an object of a little more than two parts, and where it is copied to.
type large struct {
	*world
	bucket, key string
	path, aside string
	content     []byte
	tag         string
	meet        func(http.ResponseWriter, *http.Request) bool // requests to the store; nil
}

// newLarge writes one. The remover of its world copies in parts, through a proxy.
func newLarge(w *world) (*large, *Remover) {
	w.Helper()
	b := w.bucket()
	w.byHand(b, nil)
	l := &large{world: w, bucket: b.Name, key: "t/ä b.parquet", path: b.Name + "/t/ä b.parquet", aside: b.Name + "/aside ä", content: make([]byte, 2*leastPart+1)}
	for i := range l.content {
		l.content[i] = byte(rand.Uint32())
	}
	l.put(l.content)
	l.through((*httptest.Server).Start, func(rw http.ResponseWriter, q *http.Request) bool { return l.meet != nil && l.meet(rw, q) })
	r := l.remover()
	r.most, r.part = leastPart, leastPart
	l.tag = l.tagOf(r, l.path)
	return l, r
}

func (l *large) put(content []byte) {
	l.Helper()
	options := minio.PutObjectOptions{ContentType: "application/x-parquet", CacheControl: "no-store", UserMetadata: map[string]string{"Writer": "spark"}, DisableMultipart: true}
	if _, err := l.hand.PutObject(l.Context(), l.bucket, l.key, bytes.NewReader(content), int64(len(content)), options); err != nil {
		l.Fatal(err)
	}
}

func (l *large) copy(ctx context.Context, r *Remover, tag string) error {
	return r.Copy(ctx, l.path, l.aside, int64(len(l.content)), tag)
}

// mustHaveNothing expects no copy, and nothing of an upload that was begun.
func (l *large) mustHaveNothing(r *Remover, says string) {
	l.Helper()
	core := minio.Core{Client: l.hand}
	left, err := core.ListMultipartUploads(l.Context(), l.bucket, "aside ä", "", "", "", 100) // MinIO gives those of one key
	if err != nil || len(left.Uploads) > 0 || l.has(r, l.aside) {
		l.Errorf("%s: %v, uploads %+v, a copy: %t", says, err, left.Uploads, l.has(r, l.aside))
	}
}

func (l *large) stat() minio.ObjectInfo {
	l.Helper()
	o, err := l.hand.StatObject(l.Context(), l.bucket, l.key, minio.StatObjectOptions{})
	if err != nil {
		l.Fatal(err)
	}
	return o
}

func testRemoverCopiesInParts(w *world) {
	l, r := newLarge(w)
	before := l.stat()
	if err := l.copy(w.Context(), r, l.tag); err != nil {
		w.Fatal(err)
	}
	if err := l.copy(w.Context(), r, l.tag); !errors.Is(err, fs.ErrExist) {
		w.Error(err)
	}
	if made := w.tagOf(r, l.aside); !strings.HasSuffix(made, "-3") {
		w.Errorf("its tag is %s: it was not copied in three parts", made)
	}
	r.removeAll(w, l.path)
	if err := r.Copy(w.Context(), l.aside, l.path, int64(len(l.content)), ""); err != nil {
		w.Fatal(err)
	}
	if sha256.Sum256([]byte(w.read(r, l.path))) != sha256.Sum256(l.content) {
		w.Error("it did not come back as it was")
	}
	after := l.stat()
	if after.ContentType != before.ContentType || after.Metadata.Get("Cache-Control") != "no-store" {
		w.Errorf("%+v", after)
	}
	if diff := cmp.Diff(before.UserMetadata, after.UserMetadata); diff != "" {
		w.Error(diff)
	}
}

// testRemoverCopyChanged has somebody write the object again, as large as it was, before its second
// part is copied.
func testRemoverCopyChanged(w *world) {
	l, r := newLarge(w)
	for says, tag := range map[string]string{"its tag is known": l.tag, "whatever it is": ""} {
		l.put(l.content)
		l.meet = func(_ http.ResponseWriter, q *http.Request) bool {
			if q.URL.Query().Get("partNumber") == "2" {
				l.put(bytes.Repeat([]byte("x"), len(l.content)))
			}
			return false
		}
		if err := l.copy(w.Context(), r, tag); !errors.Is(err, fs.ErrInvalid) {
			w.Errorf("%s: %v", says, err)
		}
		l.mustHaveNothing(r, says)
	}
	l.meet = nil
	if err := l.copy(w.Context(), r, l.tag); !errors.Is(err, fs.ErrInvalid) {
		w.Errorf("it was another one before: %v", err)
	}
	if err := r.Copy(w.Context(), l.path, l.aside, int64(len(l.content))+1, ""); !errors.Is(err, fs.ErrInvalid) {
		w.Errorf("it has another size: %v", err)
	}
	if err := r.Copy(w.Context(), l.bucket+"/none", l.aside, int64(len(l.content)), ""); !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
	l.mustHaveNothing(r, "nothing was begun")
}

// testRemoverCopyFails has the store refuse what comes last, and who asks give up in the middle.
func testRemoverCopyFails(w *world) {
	l, r := newLarge(w)
	denied := func(which func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(rw http.ResponseWriter, q *http.Request) bool {
			if which(q) {
				refuse(rw, http.StatusForbidden, minio.AccessDenied, "no")
				return true
			}
			return false
		}
	}
	part := func(q *http.Request) bool { return q.URL.Query().Get("partNumber") == "3" }
	complete := func(q *http.Request) bool { return q.Method == http.MethodPost && q.URL.Query().Has("uploadId") }
	abort := func(q *http.Request) bool { return q.Method == http.MethodDelete }
	for says, which := range map[string]func(*http.Request) bool{"a part": part, "the whole": complete} {
		l.meet = denied(which)
		if err := l.copy(w.Context(), r, l.tag); err == nil || !strings.Contains(err.Error(), "may not copy "+l.path) {
			w.Errorf("%s: %v", says, err)
		}
		l.meet = nil
		l.mustHaveNothing(r, says)
	}

	l.meet = func(rw http.ResponseWriter, q *http.Request) bool {
		if part(q) { // as S3 does when it knows too late
			_, _ = io.WriteString(rw, "<Error><Code>InternalError</Code></Error>")
		}
		return part(q)
	}
	if p, ok := errors.AsType[*trouble](l.copy(w.Context(), r, l.tag)); !ok || !p.Passing() {
		w.Errorf("%v", p)
	}
	l.meet = nil
	l.mustHaveNothing(r, "an error behind a good beginning")

	ctx, cancel := context.WithCancel(w.Context())
	l.meet = func(_ http.ResponseWriter, q *http.Request) bool {
		if part(q) {
			cancel()
		}
		return false
	}
	if err := l.copy(ctx, r, l.tag); err == nil {
		w.Error("it was copied though nobody waited")
	}
	l.meet = nil
	l.mustHaveNothing(r, "who asks gave up")

	l.meet = denied(func(q *http.Request) bool { return part(q) || abort(q) })
	if err := l.copy(w.Context(), r, l.tag); err == nil || !strings.Contains(err.Error(), "may not give up the upload of half a copy of t/ä b.parquet") {
		w.Error(err)
	}
	l.meet = nil
	if err := l.copy(w.Context(), r, l.tag); err != nil || w.tagOf(r, l.aside) == "" {
		w.Errorf("after all that: %v", err)
	}
}

func TestPartsOfACopyAreFewEnough(t *testing.T) {
	for size, parts := range map[int64]int64{copyMost + 1: 3, 5 << 40: partsMost} {
		length := partOf(size, copyPart)
		if n := (size + length - 1) / length; n > partsMost || n != parts && size < 1<<40 || length > 5<<30 {
			t.Errorf("%d bytes are copied in %d parts of %d", size, n, length)
		}
	}
}
