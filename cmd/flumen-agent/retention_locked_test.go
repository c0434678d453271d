package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// versions are all versions of files that a bucket keeps, by key and id.
func (v *victim) versions() map[string]bool {
	v.Helper()
	all := map[string]bool{}
	for o := range v.store.ListObjectsIter(v.Context(), v.bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		v.must(o.Err)
		if !o.IsDeleteMarker {
			all[o.Key+" "+o.VersionID] = true
		}
	}
	return all
}

// mustKeep expects these versions to be there still.
func (v *victim) mustKeep(versions map[string]bool, says string) {
	v.Helper()
	now := v.versions()
	for one := range versions {
		if !now[one] {
			v.Errorf("%s: the version %s is gone", says, one)
		}
	}
}

// mustSay has a command of retention say something.
func (v *victim) mustSay(want string, args ...string) (out string) {
	v.Helper()
	if _, out = v.retention(0, args...); !strings.Contains(out, want) {
		v.Errorf("%q does not say %q:\n%s", args, want, out)
	}
	return out
}

// audit is what a look says that has no spec.
func (v *victim) audit() string {
	v.Helper()
	cmd := exec.Command("flumen-agent", "retention", "audit", "s3://"+v.bucket+"/warehouse", "--endpoint", v.proxy.URL, "--data", "7d")
	cmd.Env = []string{"FLUMEN_STATE=" + v.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword}
	out, err := cmd.CombinedOutput()
	if err != nil {
		v.Errorf("audit: %v\n%s", err, out)
	}
	return string(out)
}

// locks are how a bucket keeps versions of what is removed from it.
var locks = map[string]func(v *victim){
	"governance": func(v *victim) { v.lock(minio.Governance) },
	"compliance": func(v *victim) { v.lock(minio.Compliance) },
	"hold":       func(v *victim) { v.lock("") },
	"versions": func(v *victim) {
		v.must(v.store.MakeBucket(v.Context(), v.bucket, minio.MakeBucketOptions{}))
		v.must(v.store.EnableVersioning(v.Context(), v.bucket))
	},
	"suspended": func(v *victim) { // once the files are there
		v.must(v.store.MakeBucket(v.Context(), v.bucket, minio.MakeBucketOptions{}))
		v.must(v.store.EnableVersioning(v.Context(), v.bucket))
	},
}

// lock makes a bucket with object lock, and with a retention of that mode ("": none) for what is
// written there.
func (v *victim) lock(mode minio.RetentionMode) {
	v.must(v.store.MakeBucket(v.Context(), v.bucket, minio.MakeBucketOptions{ObjectLocking: true}))
	if mode != "" {
		days, unit := uint(1), minio.Days
		v.must(v.store.SetBucketObjectLockConfig(v.Context(), v.bucket, &mode, &days, &unit))
	}
}

// locked is a victim whose files are there and kept in one of the ways.
func locked(t *testing.T, address, lock, rule string) *victim {
	name := strings.ToLower(strings.NewReplacer("/", "-", "Test", "").Replace(t.Name()))
	v := newVictimOf(t, address, name[max(0, len(name)-40):], rule, locks[lock])
	switch lock {
	case "hold":
		held := minio.LegalHoldEnabled
		for o := range v.store.ListObjectsIter(t.Context(), v.bucket, minio.ListObjectsOptions{Recursive: true}) {
			v.must(o.Err)
			v.must(v.store.PutObjectLegalHold(t.Context(), v.bucket, o.Key, minio.PutObjectLegalHoldOptions{Status: &held}))
		}
	case "suspended":
		v.must(v.store.SuspendVersioning(t.Context(), v.bucket))
	}
	return v
}

// freedLater is what a run says that has removed all eight files, and freed no room.
const freedLater = "removed 8 files, 3.9 KiB; freed now: 0 B; freed when the bucket keeps no version of them (a lifecycle rule for noncurrent versions, the end of any lock): 3.9 KiB"

// TestRunInABucketThatKeepsVersionsFreesNothingNow removes files in every way from buckets of a real
// MinIO, with and without object lock: no version of any goes, no room is said to be free, and what is
// undone is there again.
func TestRunInABucketThatKeepsVersionsFreesNothingNow(t *testing.T) {
	t.Parallel()
	address := enginetest.MinIO(t)
	for lock := range locks {
		for _, way := range []string{"auto", "versioning", "quarantine", "none"} {
			if lock == "suspended" && way == "versioning" {
				continue // it is refused
			}
			t.Run(lock+"/"+way, func(t *testing.T) {
				t.Parallel()
				v := locked(t, address, lock, ", undo: "+way)
				before, kept := v.contents(), v.versions()
				v.retention(0, "plan")
				out := v.mustSay(freedLater, "run")
				if !strings.Contains(out, "8 files, 3.9 KiB; freed now: 0 B.\n") {
					t.Error(out)
				}
				v.mustKeep(kept, "after the run")
				if n := strings.Count(before, "\n") - strings.Count(v.contents(), "\n"); n != 8 {
					t.Errorf("%d files are gone", n)
				}
				v.mustSay(freedLater, "status")
				if out := v.audit(); !strings.Contains(out, "0 files, 0 B can go") {
					t.Error(out)
				}
				run := v.run()
				if way == "none" {
					v.mustSay("cannot be undone", "status")
					v.mustSay("its rule said undo: none", "undo", run)
					return
				}
				copied := way == "quarantine" || lock == "suspended"
				out = v.mustSay("8 files, 3.9 KiB brought back; all are there", "undo", run)
				if strings.Contains(out, "by the store they were written just now") != copied {
					t.Error(out)
				}
				if diff := cmp.Diff(before, v.contents()); diff != "" {
					t.Errorf("undone: -before +after\n%s", diff)
				}
				v.mustKeep(kept, "undone")
				v.mustSay(run+" of bronze.partitions: undone", "status")
				v.mustSay("unlocked", "unlock", "bronze.partitions")
				v.mustSay(map[bool]string{true: "written lately 8 files, 3.9 KiB", false: "8 files, 3.9 KiB can go"}[copied], "plan")
			})
		}
	}
}

// TestWhatWasSetAsideInABucketThatKeepsVersionsIsNotSaidToBeFreed lets the time of a quarantine pass.
func TestWhatWasSetAsideInABucketThatKeepsVersionsIsNotSaidToBeFreed(t *testing.T) {
	t.Parallel()
	address := enginetest.MinIO(t)
	for lock := range locks {
		t.Run(lock, func(t *testing.T) {
			t.Parallel()
			v := locked(t, address, lock, ", undo: quarantine, undo_keep: 1 millisecond")
			v.retention(0, "plan")
			v.mustSay(freedLater, "run")
			kept := v.versions()
			out := v.mustSay("removed what earlier runs had set aside: 8 files, 3.9 KiB; freed when the bucket keeps no version of them", "run")
			if strings.Contains(out, "for good") || !strings.Contains(out, "freed now: 0 B.\n") {
				t.Error(out)
			}
			if lock == "suspended" { // the copies were no versions
				return
			}
			v.mustKeep(kept, "when the time of the copies was over")
		})
	}
}

// TestRunInABucketThatKeepsNoVersionsFreesRoom is the other side.
func TestRunInABucketThatKeepsNoVersionsFreesRoom(t *testing.T) {
	t.Parallel()
	address := enginetest.MinIO(t)
	plain := func(v *victim) { v.must(v.store.MakeBucket(t.Context(), v.bucket, minio.MakeBucketOptions{})) }
	for way, says := range map[string][]string{
		"none":       {"removed 8 files, 3.9 KiB; freed now: 3.9 KiB\n", "nothing to remove"},
		"quarantine": {"removed 8 files, 3.9 KiB; freed now: 0 B; freed from ", "removed for good what earlier runs had set aside: 8 files, 3.9 KiB"},
	} {
		t.Run(way, func(t *testing.T) {
			v := newVictimOf(t, address, "plain-"+way, fmt.Sprintf(", undo: %s, undo_keep: 1 millisecond", way), plain)
			v.retention(0, "plan")
			v.mustSay(says[0], "run")
			v.mustSay(says[1], "run")
			if n := len(v.versions()); n != strings.Count(v.contents(), "\n") {
				t.Errorf("%d versions are left", n)
			}
		})
	}
}
