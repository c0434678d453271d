package s3

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
)

func TestFullDiskIsNamed(t *testing.T) {
	t.Parallel()
	dir := enginetest.SmallDisk(t, "100m")
	w := newWorld(t, enginetest.MinIOOn(t, dir))
	b := w.bucket()
	w.observe(w.desired(b))
	fill(t, filepath.Join(dir, "filler"))
	if err := w.apply(plan.Create{Want: b}); err == nil || !strings.Contains(err.Error(), "the disk of the store minio is full") || !strings.Contains(err.Error(), "XMinioStorageFull") {
		t.Errorf("%v", err)
	}
}

// fill writes until nothing more goes in.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

// testSkewed has requests arrive with the time of a machine whose clock is an hour behind.
func testSkewed(w *world) {
	b := w.bucket()
	w.through((*httptest.Server).Start, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Set("X-Amz-Date", time.Now().Add(-time.Hour).UTC().Format("20060102T150405Z"))
		return false
	})
	if d := w.must(w.desired(b), b, drift.Unseen); !strings.Contains(d.Reason, "the clock of the store minio and that of this machine are too far apart") {
		w.Errorf("%q", d.Reason)
	}
}
