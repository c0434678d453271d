package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// Sleeper is an image of one small program, which runs until it is told to stop. See
// sleeper/main.go for what it can do besides. It has no health check.
const Sleeper = "flumen-test/sleeper:1"

// HealthySleeper is Sleeper with a health check.
const HealthySleeper = "flumen-test/sleeper:with-health"

// Check is the health check of HealthySleeper, in the form of a Dockerfile. An engine takes as much
// of the processor for one as for a tenth of a container's start, and begins the next one a second after it has ended:
// one of a container that is healthy lasts a minute, or until it is not.
const Check = `HEALTHCHECK --interval=1s --timeout=10m --retries=3 CMD ["/sleeper", "health", "1m"]`

const contentLabel = "dev.flumen.test.content"

//go:embed sleeper/main.go
var source []byte

// binary compiles the program once for each test process.
var binary = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "sleeper")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return nil, err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "sleeper"), file)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "sleeper"))
})

// Images sees to it that Sleeper and HealthySleeper are on an engine.
func Images(t testing.TB, engine client.APIClient) {
	t.Helper()
	defer lock(t)()
	for name, changes := range map[string][]string{Sleeper: nil, HealthySleeper: {Check}} {
		digest := sha256.Sum256([]byte(string(source) + strings.Join(changes, "\n")))
		content := hex.EncodeToString(digest[:])
		there, err := engine.ImageInspect(t.Context(), name)
		if err == nil && there.Config != nil && there.Config.Labels[contentLabel] == content {
			continue // made anew it would get another ID, under the feet of other tests
		}
		importImage(t, engine, name, append(changes, "LABEL "+contentLabel+"="+content))
	}
}

// Image makes an image of the sleeper with further instructions of a Dockerfile (ENV,
// VOLUME, USER and so on), which is gone after the test, and gives its name.
func Image(t testing.TB, engine client.APIClient, changes ...string) string {
	t.Helper()
	name := "flumen-test/" + strings.ToLower(rand.Text()[:8]) + ":1"
	importImage(t, engine, name, changes)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		// A container that the test left behind still uses it.
		_, _ = engine.ImageRemove(ctx, name, image.RemoveOptions{Force: true})
	})
	return name
}

// Build makes an image of a folder with the docker program. It is tried again, since the classic
// builder fails when an image is removed at a bad moment that began as this one does.
func Build(t testing.TB, host, name, folder string, options ...string) {
	t.Helper()
	args := append([]string{"-H", host, "build", "-q", "-t", name}, append(options, folder)...)
	for try := 1; ; try++ {
		out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
		if err == nil {
			return
		}
		if try == 3 {
			t.Fatalf("build %s: %v\n%s", folder, err, out)
		}
	}
}

func importImage(t testing.TB, engine client.APIClient, name string, changes []string) {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	if err := w.WriteHeader(&tar.Header{Name: "sleeper", Mode: 0o755, Size: int64(len(program))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := engine.ImageImport(t.Context(), image.ImportSource{Source: &root, SourceName: "-"}, name, image.ImportOptions{
		Changes: append([]string{`ENTRYPOINT ["/sleeper"]`}, changes...),
	})
	if err != nil {
		t.Fatalf("make image %s: %v", name, err)
	}
	defer out.Close()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatalf("make image %s: %v", name, err)
	}
}

// lock keeps test processes that run side by side from making the same image at once.
func lock(t testing.TB) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "flumen-test-images.lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}
