package enginetest

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
)

// MinIOVariable names the environment variable with the image of MinIO, which is on the
// first engine.
const MinIOVariable = "FLUMEN_TEST_MINIO"

// The keys of the server that MinIO starts.
const (
	MinIOUser     = "flumen-test-root"
	MinIOPassword = "flumen-test-password"
	// MinIOKey is the key with which it can encrypt.
	MinIOKey = "flumen-test-key"
)

// minioLasts is for how long a server runs at most: a test that is killed cleans up nothing. It
// is more than the tests of a package may take.
const minioLasts = "85m"

// MinIOImage gives the image of a MinIO server.
func MinIOImage(t testing.TB) string {
	t.Helper()
	image := os.Getenv(MinIOVariable)
	if image == "" {
		Lacks(t, "an image of MinIO, whose name is in "+MinIOVariable)
	}
	return image
}

// MinIO starts a MinIO server on the first engine, which is gone after the test, and gives
// the address at which it answers.
func MinIO(t testing.TB) (address string) {
	t.Helper()
	return MinIOOn(t, "")
}

// MinIOOn is MinIO with its data in a folder of the engine's host; "" is one of its own.
func MinIOOn(t testing.TB, dir string) (address string) {
	t.Helper()
	var binds []string
	if dir != "" {
		binds = append(binds, dir+":/data")
	}
	host, image := Hosts(t)[0], MinIOImage(t)
	engine := Connect(t, host)
	const port = nat.Port("9000/tcp")
	made, err := engine.ContainerCreate(t.Context(), &container.Config{
		Image: image, Entrypoint: []string{"timeout", minioLasts, "minio"}, Cmd: []string{"server", "/data"},
		Env: []string{"MINIO_ROOT_USER=" + MinIOUser, "MINIO_ROOT_PASSWORD=" + MinIOPassword,
			"MINIO_KMS_SECRET_KEY=" + MinIOKey + ":" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, // it is asked from here
	}, &container.HostConfig{AutoRemove: true, Binds: binds, PortBindings: nat.PortMap{port: {{HostIP: "127.0.0.1"}}}}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		if err := engine.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			t.Error(err)
		}
	})
	if err := engine.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := engine.ContainerInspect(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	address = net.JoinHostPort("127.0.0.1", c.NetworkSettings.Ports[port][0].HostPort)
	awaitMinIO(t, address)
	return address
}

// awaitMinIO waits until a server can serve: its liveness alone comes too early.
func awaitMinIO(t testing.TB, address string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get("http://" + address + "/minio/health/cluster")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("MinIO at %s does not become ready within 10 minutes", address)
}
