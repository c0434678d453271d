package delta_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// cleanedTables are those that Spark made with checkpoints older than what stays: the checkpoint that
// becomes the oldest, and how many files of the log go.
var cleanedTables = map[string]struct{ oldest, files int64 }{
	"checkpoint_parts": {6, 6 + 6 + 2},     // commits, sums, parts
	"checkpoint_v2":    {6, 6 + 6 + 1 + 2}, // and sidecars
	"merged":           {2, 2 + 2},
	"restored":         {3, 3 + 3},
	"vectors":          {3, 3 + 3},
}

// shelf is where tables lie that real readers read.
type shelf struct {
	put     func(path string, f deltatest.Stored) error
	spec    string   // stores and discover
	url     string   // of the tables, for the readers
	options []string // of docker run, for these
}

func folderShelf(t *testing.T) shelf {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return shelf{
		put: func(path string, f deltatest.Stored) error {
			writeFile(t, filepath.Join(dir, path), bytes.NewReader(f.Content), f.Written)
			return nil
		},
		spec: fmt.Sprintf("stores: {lake: {path: %s}}\nretention:\n  discover: [{store: lake}]\n", dir),
		url:  inReaders, options: []string{"-v", dir + ":" + inReaders + ":ro"},
	}
}

func bucketShelf(t *testing.T) shelf { return bucketOn(t, enginetest.MinIO(t)) }

// bucketOn is one in a bucket of a MinIO server, which keeps versions.
func bucketOn(t *testing.T, address string) shelf {
	store, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")})
	if err == nil {
		err = store.MakeBucket(t.Context(), "lake", minio.MakeBucketOptions{})
	}
	if err == nil {
		err = store.SetBucketVersioning(t.Context(), "lake", minio.BucketVersioningConfiguration{Status: minio.Enabled})
	}
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + address
	return shelf{
		put: func(path string, f deltatest.Stored) error {
			// MinIO takes this time for the object's own.
			options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: f.Written}}
			_, err := store.PutObject(t.Context(), "lake", "wh/"+path, bytes.NewReader(f.Content), int64(len(f.Content)), options)
			return err
		},
		spec: fmt.Sprintf("stores: {lake: {endpoint: %q, delete_access_key: %s, delete_secret_key: %s}}\nretention:\n  discover: [{store: lake, prefix: lake/wh}]\n", endpoint, enginetest.MinIOUser, enginetest.MinIOPassword),
		url:  "s3a://lake/wh",
		options: []string{
			"--network", "host", "-e", "S3_ENDPOINT=" + endpoint, "-e", "AWS_ENDPOINT_URL=" + endpoint, "-e", "AWS_ALLOW_HTTP=true", "-e", "AWS_REGION=us-east-1",
			"-e", "AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "-e", "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword,
		},
	}
}

// TestSparkAndDeltaRsReadEveryVersionThatStaysWhenTheLogIsCleanedUp ages tables that Spark made, has
// the program clean up their logs, and has both readers read every version before and after, and one
// of them when it was undone.
func TestSparkAndDeltaRsReadEveryVersionThatStaysWhenTheLogIsCleanedUp(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) shelf{"folder": folderShelf, "versioned bucket": bucketShelf} {
		t.Run(name, func(t *testing.T) { cleanedAndRead(t, open(t)) })
	}
}

func cleanedAndRead(t *testing.T, on shelf) {
	now, newest := time.Now(), map[string]int64{}
	for table, files := range sparkFiles(t) {
		if cleanedTables[table].files == 0 {
			continue
		}
		aged, err := deltatest.Aged(files, committedAt(table, now))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range aged {
			if err := on.put(table+"/"+f.Path, f); err != nil {
				t.Fatal(err)
			}
			if f.Path == fmt.Sprintf("_delta_log/%020d.json", newest[table]) {
				newest[table]++
			}
		}
	}
	file := filepath.Join(t.TempDir(), "flumen.yaml")
	rule := "  defaults: {mode: enforce, max_delete_ratio: 1, properties: off, log_cleanup: enforce}\n"
	if err := os.WriteFile(file, []byte("name: lake\nservices: {a: {image: busybox}}\n"+on.spec+rule), 0o600); err != nil {
		t.Fatal(err)
	}
	s, agent := newSession(t, on.options...), program(t)
	read := func(with ...string) map[string][]reading {
		all := map[string][]reading{}
		for _, reader := range with {
			for table, n := range newest {
				var versions []int64
				for v := range n {
					versions = append(versions, v)
				}
				all[reader+" "+table] = ask[[]reading](s, reader, on.url+"/"+table, versions)
			}
		}
		return all
	}
	retention(t, agent, file, "plan")
	before := read("spark", "delta-rs")
	report, _ := retention(t, agent, file, "run")
	for _, table := range report.Tables {
		want := cleanedTables[filepath.Base(table.Place)]
		if r := table.Removal; r == nil || !r.Verified || r.Log.Files != want.files {
			t.Errorf("%s: %+v, and %d files of its log should go\n%+v", table.Place, r, want.files, table.Findings)
		}
	}
	after := read("spark", "delta-rs")
	for table, want := range cleanedTables {
		for _, reader := range []string{"spark", "delta-rs"} {
			for v, one := range after[reader+" "+table] {
				was, gone := before[reader+" "+table][v], int64(v) < want.oldest
				switch stays := int64(v) >= oldVersions[table]; {
				case was.Error != "":
					t.Errorf("%s cannot read %s@%d before anything is removed: %s", reader, table, v, was.Error)
				case gone && one.Error == "":
					t.Errorf("%s reads %s@%d, of which the log is gone", reader, table, v)
				case one != was && (stays || one.Error == ""):
					t.Errorf("%s reads %s@%d as %+v, and read %+v before", reader, table, v, one, was)
				}
			}
		}
	}
	retention(t, agent, file, "undo", report.Run)
	maps.DeleteFunc(before, func(name string, _ []reading) bool { return strings.HasPrefix(name, "spark ") }) // which takes long
	if diff := cmp.Diff(before, read("delta-rs")); diff != "" {
		t.Errorf("when it was undone, -before +after:\n%s", diff)
	}
}
