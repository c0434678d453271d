package s3

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

var _ delta.Remover = (*Remover)(nil)

func TestRemovers(t *testing.T) {
	address := enginetest.MinIO(t)
	for name, test := range map[string]func(*world){
		"KeyForRemovingIsAnother":             testRemoverNeedsItsKey,
		"OnlyMarksAreTakenAway":               testRemoverRecovers,
		"CopyOverwritesNothing":               testRemoverCopies,
		"LargeCopyIsMadeOfParts":              testRemoverCopiesInParts,
		"CopyOfWhatChangesComesToNothing":     testRemoverCopyChanged,
		"HalfACopyIsGivenUp":                  testRemoverCopyFails,
		"VersioningIsOnlyWhatKeepsEverything": testRemoverVersioned,
		"LocksAreToldOf":                      testLocks,
		"BusyStoreIsSaidToBe":                 testRemoverBusy,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newWorld(t, address))
		})
	}
}

// remover opens the world's store with the root's key.
func (w *world) remover() *Remover {
	w.Helper()
	w.store.DeleteAccessKey, w.store.DeleteSecretKey = w.store.AccessKey, w.store.SecretKey
	r, err := w.target.Remover(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(r.Close)
	return r
}

func (w *world) write(bucket, key, content string) {
	w.Helper()
	if _, err := w.hand.PutObject(w.Context(), bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) version(bucket string) {
	w.Helper()
	if err := w.hand.SetBucketVersioning(w.Context(), bucket, minio.BucketVersioningConfiguration{Status: minio.Enabled}); err != nil {
		w.Fatal(err)
	}
}

func (r *Remover) removeAll(w *world, paths ...string) (marks map[string]string) {
	w.Helper()
	marks = map[string]string{}
	r.Remove(w.Context(), paths, func(path, mark string, err error) {
		if err != nil {
			w.Errorf("%s: %v", path, err)
		}
		marks[path] = mark
	})
	return marks
}

func testRemoverNeedsItsKey(w *world) {
	if _, err := w.target.Remover(w.Context(), "project", w.store); err == nil || !strings.Contains(err.Error(), "delete_access_key") {
		w.Error(err)
	}
	b := w.bucket()
	w.byHand(b, nil)
	w.write(b.Name, "a", "a")
	w.store.DeleteAccessKey, w.store.DeleteSecretKey = spec.Plain("nobody"), spec.Sensitive("nobody's secret")
	r, err := w.target.Remover(w.Context(), "project", w.store)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	if _, _, err := r.Versioned(w.Context(), b.Name+"/"); err == nil || !strings.Contains(err.Error(), "check stores.minio.delete_access_key") {
		w.Error(err)
	}
	r.Remove(w.Context(), []string{b.Name + "/a"}, func(_, _ string, got error) { err = got })
	if p, ok := errors.AsType[*trouble](err); !ok || p.Passing() {
		w.Error(err)
	}
	if there, err := w.list(r.Files, b.Name+"/", true); err != nil || len(there) != 1 {
		w.Error(there, err)
	}
}

func testRemoverAccounts(w *world) {
	r, b := w.remover(), w.bucket()
	w.byHand(b, nil)
	var paths []string
	for _, key := range append(slices.Clone(oddKeys), controlKey) {
		w.write(b.Name, key, key)
		paths = append(paths, b.Name+"/"+key)
	}
	marks := r.removeAll(w, append(slices.Clone(paths), b.Name+"/none")...)
	if len(marks) != len(paths)+1 || marks[paths[0]] != "" {
		w.Errorf("%q", marks)
	}
	if left, err := w.list(r.Files, b.Name+"/", true); err != nil || len(left) > 0 {
		w.Error(left, err)
	}
	w.version(b.Name)
	for _, path := range paths {
		w.write(b.Name, strings.TrimPrefix(path, b.Name+"/"), path)
	}
	for path, mark := range r.removeAll(w, paths...) {
		if mark == "" {
			w.Errorf("%s left no mark", path)
		}
		if err := r.Recover(w.Context(), path, mark, "", time.Time{}); err != nil {
			w.Errorf("%s: %v", path, err)
		}
	}
	if back, err := w.list(r.Files, b.Name+"/", true); err != nil || len(back) != len(paths) {
		w.Error(back, err)
	}
}

func testRemoverRecovers(w *world) {
	r, b := w.remover(), w.bucket()
	w.byHand(b, nil)
	w.version(b.Name)
	w.write(b.Name, "t/a", "first")
	w.write(b.Name, "t/a", "second")
	w.write(b.Name, "t/ab", "another")
	path := b.Name + "/t/a"
	tag := w.tagOf(r, path)
	recover := func(mark, tag string, since time.Time) error { return r.Recover(w.Context(), path, mark, tag, since) }
	if err := recover("", tag, time.Time{}); !errors.Is(err, fs.ErrExist) {
		w.Error(err)
	}
	mine := r.removeAll(w, path)[path]
	if err := recover(mine, "another", time.Time{}); !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
	// Somebody else removes it too: their mark is theirs.
	theirs := r.removeAll(w, path)[path]
	if err := recover(mine, tag, time.Time{}); err != nil || w.has(r, path) {
		w.Error(err)
	}
	if err := recover(theirs, tag, time.Time{}); err != nil || w.read(r, path) != "second" {
		w.Error(err)
	}
	// Marks that are not known are told by their time.
	r.removeAll(w, path)
	r.removeAll(w, path)
	if err := recover("", tag, time.Now().Add(time.Hour)); err != nil || w.has(r, path) {
		w.Error(err)
	}
	if err := recover("", tag, r.Clock().Add(-time.Minute)); err != nil || w.read(r, path) != "second" {
		w.Error(err)
	}
	if err := r.Recover(w.Context(), b.Name+"/t", "", "", time.Time{}); !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
	if w.read(r, b.Name+"/t/ab") != "another" {
		w.Error("another object was changed")
	}
}

func (w *world) tagOf(r *Remover, path string) (tag string) {
	w.Helper()
	folder := path[:strings.LastIndex(path, "/")+1]
	if err := r.List(w.Context(), folder, true, func(p string, _ int64, _ time.Time, its string) error {
		if p == path {
			tag = its
		}
		return nil
	}); err != nil || tag == "" {
		w.Fatalf("%s has no tag: %v", path, err)
	}
	return tag
}

func (w *world) read(r *Remover, path string) string {
	w.Helper()
	in, err := r.Get(w.Context(), path)
	if err != nil {
		w.Error(err)
		return ""
	}
	defer in.Close()
	content, err := io.ReadAll(in)
	if err != nil {
		w.Error(err)
	}
	return string(content)
}

func (w *world) has(r *Remover, path string) bool {
	in, err := r.Get(w.Context(), path)
	if err == nil {
		in.Close()
	}
	return err == nil
}

func testRemoverCopies(w *world) {
	r, b := w.remover(), w.bucket()
	w.byHand(b, nil)
	for _, key := range oddKeys {
		w.write(b.Name, key, key)
		from, to := b.Name+"/"+key, b.Name+"/t/_flumen_quarantine/run/00001/"+key
		if err := r.Copy(w.Context(), from, to, int64(len(key)), w.tagOf(r, from)); err != nil || w.read(r, to) != key {
			w.Errorf("%s: %v", key, err)
		}
		if err := r.Copy(w.Context(), from, to, int64(len(key)), ""); !errors.Is(err, fs.ErrExist) {
			w.Errorf("%s: %v", key, err)
		}
	}
	from := b.Name + "/t/a b"
	tag := w.tagOf(r, from)
	w.write(b.Name, "t/a b", "another")
	if err := r.Copy(w.Context(), from, b.Name+"/other", 7, tag); !errors.Is(err, fs.ErrInvalid) || w.has(r, b.Name+"/other") {
		w.Error(err)
	}
	if err := r.Copy(w.Context(), b.Name+"/none", b.Name+"/other", 1, ""); !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
}

func testRemoverVersioned(w *world) {
	r, b := w.remover(), w.bucket()
	w.byHand(b, nil)
	for _, one := range []struct {
		config    minio.BucketVersioningConfiguration
		all, some bool
	}{
		{minio.BucketVersioningConfiguration{}, false, false},
		{minio.BucketVersioningConfiguration{Status: minio.Enabled}, true, true},
		{minio.BucketVersioningConfiguration{Status: minio.Enabled, ExcludedPrefixes: []minio.ExcludedPrefix{{Prefix: "*/_temporary"}}}, false, true},
		{minio.BucketVersioningConfiguration{Status: minio.Enabled, ExcludeFolders: true}, false, true},
		{minio.BucketVersioningConfiguration{Status: minio.Suspended}, false, true},
	} {
		if one.config.Status != "" {
			if err := w.hand.SetBucketVersioning(w.Context(), b.Name, one.config); err != nil {
				w.Fatal(err)
			}
		}
		if all, some, err := r.Versioned(w.Context(), b.Name+"/t/"); all != one.all || some != one.some || err != nil {
			w.Errorf("%+v: %t %t %v", one.config, all, some, err)
		}
		if all, some, err := r.Files.Versioned(w.Context(), b.Name+"/t/"); all != one.all || some != one.some || err != nil {
			w.Errorf("by the key that looks, %+v: %t %t %v", one.config, all, some, err)
		}
	}
	// What is removed now is lost, and is said to have left no mark.
	w.write(b.Name, "t/a", "a")
	if marks := r.removeAll(w, b.Name+"/t/a"); marks[b.Name+"/t/a"] != "" {
		w.Errorf("%q", marks)
	}
}

// testLocks: whoever may only look tells for how long each object is locked.
func testLocks(w *world) {
	r, b := w.remover(), w.bucket()
	w.byHand(b, nil)
	if locks, each, err := r.Locks(w.Context(), b.Name+"/t/"); locks || each != 0 || err != nil {
		w.Errorf("none: %t %s %v", locks, each, err)
	}
	locked := w.bucket()
	if err := w.hand.MakeBucket(w.Context(), locked.Name, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		w.Fatal(err)
	}
	mode, days, years := minio.Governance, uint(30), uint(1)
	for _, one := range []struct {
		n    *uint
		unit minio.ValidityUnit
		each time.Duration
	}{{nil, "", 0}, {&days, minio.Days, 30 * 24 * time.Hour}, {&years, minio.Years, 365 * 24 * time.Hour}} {
		if one.n != nil {
			if err := w.hand.SetBucketObjectLockConfig(w.Context(), locked.Name, &mode, one.n, &one.unit); err != nil {
				w.Fatal(err)
			}
		}
		if locks, each, err := r.Locks(w.Context(), locked.Name+"/t/"); !locks || each != one.each || err != nil {
			w.Errorf("%s: %t %s %v", one.unit, locks, each, err)
		}
	}
}

func testRemoverBusy(w *world) {
	b := w.bucket()
	w.byHand(b, nil)
	answers := []string{"", `<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>SlowDown</Code><Message>later</Message></Error></DeleteResult>`}
	w.through((*httptest.Server).Start, func(rw http.ResponseWriter, q *http.Request) bool {
		if q.Method != http.MethodPost || len(answers) == 0 {
			return false
		}
		answer := answers[0]
		if answers = answers[1:]; answer == "" {
			refuse(rw, http.StatusServiceUnavailable, "SlowDown", "later")
			return true
		}
		fmt.Fprint(rw, answer)
		return true
	})
	r := w.remover()
	passing := func() (names []string) {
		r.Remove(w.Context(), []string{b.Name + "/a", b.Name + "/b"}, func(path, _ string, err error) {
			var t *trouble
			if errors.As(err, &t) && t.Passing() {
				names = append(names, strings.TrimPrefix(path, b.Name+"/"))
			}
		})
		return names
	}
	for _, want := range [][]string{{"a", "b"}, {"b"}} {
		if diff := cmp.Diff(want, passing()); diff != "" {
			w.Error(diff)
		}
	}
}
