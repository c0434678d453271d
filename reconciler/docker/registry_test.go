package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/go-connections/nat"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

// registryDockerfile makes a registry of Debian's package.
const registryDockerfile = `FROM debian:trixie-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-registry >/dev/null && rm -rf /var/lib/apt/lists/*
`

// The one user that a registry with a login knows.
const (
	registryUser     = "flumen"
	registryPassword = "open sesame"
	registryHtpasswd = registryUser + ":$2b$04$.GAsu.cZ1QnS40dwFnG6jOY79aOR4b4TlGWbuGRS7IhM6sKZm3EX."
)

// testRegistry is a registry on an engine, which reaches it at host.
type testRegistry struct {
	*testing.T
	engine *client.Client
	host   string // "127.0.0.1:49153": engines ask for no TLS there
	login  bool
}

// newRegistry starts a registry in a container, which is gone after the test.
func newRegistry(t *testing.T, engine *client.Client, login bool) testRegistry {
	t.Helper()
	project := enginetest.Project(t, engine)
	name := "flumen-test/registry:1"
	buildRegistry(t, engine, name)
	made, err := engine.ContainerCreate(t.Context(), &container.Config{
		Image:        name,
		Cmd:          []string{"docker-registry", "serve", "/etc/registry.yml"},
		ExposedPorts: nat.PortSet{"5000/tcp": {}},
		Labels:       map[string]string{composeProject: project},
	}, &container.HostConfig{PortBindings: nat.PortMap{"5000/tcp": {{HostIP: "127.0.0.1"}}}}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"htpasswd": registryHtpasswd + "\n", "registry.yml": registryConfig(login)} {
		if err := engine.CopyToContainer(t.Context(), made.ID, "/etc", oneFile(t, name, content), container.CopyToContainerOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := engine.ContainerStart(t.Context(), made.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	c, err := engine.ContainerInspect(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	return testRegistry{t, engine, "127.0.0.1:" + c.NetworkSettings.Ports["5000/tcp"][0].HostPort, login}
}

// oneRegistry keeps tests that run side by side from building the image at once, before
// it is in the build cache.
var oneRegistry sync.Mutex

func buildRegistry(t *testing.T, engine *client.Client, name string) {
	t.Helper()
	oneRegistry.Lock()
	defer oneRegistry.Unlock()
	want := &spec.Image{Name: name, Build: &spec.Build{Context: t.TempDir(), DockerfileInline: registryDockerfile}}
	if err := anonymous(t, engine).build(t.Context(), want, silent{}); err != nil {
		t.Fatalf("%v\n%s", err, output(err))
	}
}

// registryConfig is the registry's configuration file.
func registryConfig(login bool) string {
	config := "version: 0.1\nstorage: {filesystem: {rootdirectory: /tmp/registry}}\nhttp: {addr: ':5000'}\n"
	if login {
		config += "auth: {htpasswd: {realm: test, path: /etc/htpasswd}}\n"
	}
	return config
}

// oneFile is a tar of one file.
func oneFile(t *testing.T, name, content string) io.Reader {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &packed
}

// push puts an image of the engine into the registry, under name, and takes the name
// from the engine again.
func (r testRegistry) push(local, name string) string {
	r.Helper()
	full := r.host + "/" + name
	if err := r.engine.ImageTag(r.Context(), local, full); err != nil {
		r.Fatal(err)
	}
	auth, err := registry.EncodeAuthConfig(registry.AuthConfig{Username: registryUser, Password: registryPassword})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Minute)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		err := r.tryPush(ctx, full, auth)
		if err == nil {
			tick.Stop()
			break
		}
		select {
		case <-tick.C: // the registry is still starting
		case <-ctx.Done():
			r.Fatal(err)
		}
	}
	r.untag(full)
	forget(r.T, r.engine, full)
	return full
}

func (r testRegistry) tryPush(ctx context.Context, full, auth string) error {
	answer, err := r.engine.ImagePush(ctx, full, image.PushOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer answer.Close()
	return eachMessage(answer, func(jsonmessage.JSONMessage) {})
}

func (r testRegistry) untag(name string) {
	r.Helper()
	if _, err := r.engine.ImageRemove(r.Context(), name, image.RemoveOptions{}); err != nil {
		r.Fatal(err)
	}
}

// forget takes a name from an engine after the test, if it is still there.
func forget(t *testing.T, engine client.APIClient, name string) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		_, _ = engine.ImageRemove(ctx, name, image.RemoveOptions{Force: true, PruneChildren: true})
	})
}

// dockerConfig writes a Docker configuration that knows the registry's user.
func (r testRegistry) dockerConfig(password string) func() string {
	auth := base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + password))
	return configOf(r.T, map[string]any{"auths": map[string]any{r.host: map[string]string{"auth": auth}}})
}

// configOf writes a Docker configuration.
func configOf(t *testing.T, content map[string]any) func() string {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() string { return dir }
}

// helperConfig writes a Docker configuration whose credentials a helper program gives,
// and puts that program into the PATH.
func (r testRegistry) helperConfig() func() string {
	r.Helper()
	dir := r.TempDir()
	answer := fmt.Sprintf(`{"ServerURL": %q, "Username": %q, "Secret": %q}`, r.host, registryUser, registryPassword)
	script := "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get " + r.host + "' ] || exit 1\necho '" + answer + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(script), 0o755); err != nil {
		r.Fatal(err)
	}
	r.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return configOf(r.T, map[string]any{"credHelpers": map[string]string{r.host: "test"}})
}

func mustSay(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	t.Log(err)
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}
