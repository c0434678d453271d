package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// victim is the program on its way through a run of retention over a bucket of a real MinIO,
// which it reaches through a proxy that kills it.
type victim struct {
	*testing.T
	store       *minio.Client
	bucket, dir string
	proxy       *httptest.Server

	mu      sync.Mutex
	process *os.Process
	with    os.Signal // by which it is ended; nil: it is killed
	then    func()    // what happens instead; nil
	after   int       // which change of the store it does not survive; 0: it survives all
	changes int       // so far
}

func newVictim(t *testing.T, address, bucket string, versioned bool) *victim {
	return newVictimOf(t, address, bucket, "", func(v *victim) {
		v.must(v.store.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
		if versioned {
			v.must(v.store.SetBucketVersioning(t.Context(), bucket, minio.BucketVersioningConfiguration{Status: minio.Enabled}))
		}
	})
}

// newVictimOf has the bucket made by who asks, and more said about its tables.
func newVictimOf(t *testing.T, address, bucket, rule string, makeBucket func(*victim)) *victim {
	v := &victim{T: t, bucket: bucket, dir: t.TempDir()}
	var err error
	if v.store, err = minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")}); err != nil {
		t.Fatal(err)
	}
	makeBucket(v)
	putTables(v.must, v.store, bucket, "warehouse/bronze.db", 40, "partitions")
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host // it is signed
	}, ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }}
	v.proxy = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// The store has done it, and nobody hears of it any more.
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && v.kill() {
			return
		}
		for name, values := range answer.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
	}))
	t.Cleanup(v.proxy.Close)
	spec := fmt.Sprintf(`name: lake
services: {a: {image: busybox}}
stores: {s3: {endpoint: %q, delete_access_key: %s, delete_secret_key: %s}}
retention:
  discover: [{store: s3, prefix: %s/warehouse}]
  defaults: {mode: enforce, max_delete_ratio: 1, properties: off%s}
`, v.proxy.URL, enginetest.MinIOUser, enginetest.MinIOPassword, bucket, rule)
	v.must(os.WriteFile(filepath.Join(v.dir, "flumen.yaml"), []byte(spec), 0o600))
	return v
}

func (v *victim) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// kill ends the process when its change has come.
func (v *victim) kill() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.changes++
	if v.process == nil || v.after == 0 || v.changes < v.after {
		return false
	}
	if v.then != nil {
		v.after = 0
		v.then()
		return false
	}
	if v.with != nil {
		v.after = 0
		_ = v.process.Signal(v.with)
		return false // it hears of what it did
	}
	_ = v.process.Kill() // it may be dead by now
	return true
}

// retention runs a command of it, which is killed at the nth change of the store (0: it is not),
// and tells whether it was.
func (v *victim) retention(nth int, args ...string) (killed bool, out string) {
	v.Helper()
	cmd := exec.Command("flumen-agent", append([]string{"retention"}, append(args, "-f", filepath.Join(v.dir, "flumen.yaml"))...)...)
	cmd.Env = []string{
		"FLUMEN_STATE=" + filepath.Join(v.dir, "state"), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "DOCKER_HOST=unix:///nowhere.sock",
		"AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword,
	}
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	v.mu.Lock()
	err := cmd.Start()
	v.process, v.after, v.changes = cmd.Process, nth, 0
	v.mu.Unlock()
	v.must(err)
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && !ended.Exited() {
		return true, both.String()
	}
	return false, both.String()
}

func (v *victim) contents() string {
	v.Helper()
	text, err := contents(v.store, v.bucket)
	v.must(err)
	return text
}

// run is the one that the victim remembers.
func (v *victim) run() string {
	v.Helper()
	all, err := filepath.Glob(filepath.Join(v.dir, "state/retention/lake/runs/*"))
	if err != nil || len(all) != 1 {
		v.Fatalf("%v %v", all, err)
	}
	return filepath.Base(all[0])
}

// TestRunOfRetentionThatIsKilledCanBeUndone kills the program with SIGKILL at each change that a
// run makes to a real MinIO, when the store has made it, and again at each that undoing makes.
func TestRunOfRetentionThatIsKilledCanBeUndone(t *testing.T) {
	t.Parallel()
	address := enginetest.MinIO(t)
	for name, versioned := range map[string]bool{"quarantine": false, "versioning": true} {
		t.Run(name, func(t *testing.T) {
			kills := 0
			for nth := 1; ; nth++ {
				v := newVictim(t, address, fmt.Sprintf("killed-%s-%d", name, nth), versioned)
				before := v.contents()
				v.retention(0, "plan")
				killed, out := v.retention(nth, "run")
				if !killed {
					if !strings.Contains(out, "removed 8 files") {
						t.Fatal(out)
					}
					break
				}
				kills++
				live := v.plan()
				undone, out := v.retention(nth%4, "undo", v.run())
				if undone {
					_, out = v.retention(0, "undo", v.run())
				}
				if diff := cmp.Diff(before, v.contents()); diff != "" {
					t.Errorf("killed at change %d: -before +after\n%s\n%s", nth, diff, out)
				}
				if strings.Contains(live, "hollow") || !strings.Contains(out, "all are there") {
					t.Errorf("killed at change %d: %s\n%s", nth, live, out)
				}
			}
			if least := map[bool]int{false: 9, true: 2}[versioned]; kills < least {
				t.Errorf("killed %d times", kills)
			}
		})
	}
}

// plan reports with the store as the killed process left it.
func (v *victim) plan() string {
	v.Helper()
	_, out := v.retention(0, "plan")
	return out
}
