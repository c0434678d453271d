package docker

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// engineOf answers like an engine of some version, as far as a greeting goes.
func engineOf(api, version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", api)
		if strings.HasSuffix(r.URL.Path, "/version") {
			fmt.Fprintf(w, `{"Version": %q, "ApiVersion": %q}`, version, api)
		}
	})
}

// onSocket serves on a socket and gives its address.
func onSocket(t *testing.T, handler http.Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	var g errgroup.Group
	g.Go(func() error { return server.Serve(listener) })
	t.Cleanup(func() {
		server.Close()
		if err := g.Wait(); err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	return "unix://" + path
}

func onPort(t *testing.T, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "tcp://" + server.Listener.Addr().String()
}

// variables is an environment with these, and an empty Docker configuration.
func variables(t *testing.T, pairs ...string) func(string) string {
	t.Helper()
	env := map[string]string{"DOCKER_CONFIG": t.TempDir()}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return env[name] }
}

func mustConnect(t *testing.T, getenv func(string) string) *client.Client {
	t.Helper()
	engine, err := Connect(t.Context(), getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return engine
}

// mustNotConnect wants an error that says all of this.
func mustNotConnect(t *testing.T, getenv func(string) string, says ...string) {
	t.Helper()
	engine, err := Connect(t.Context(), getenv)
	if err == nil {
		engine.Close()
		t.Fatal("connected")
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
}

func TestConnectNegotiatesWithEachEngine(t *testing.T) {
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		connected := mustConnect(t, variables(t, "DOCKER_HOST", engine.DaemonHost()))
		if got, want := connected.ClientVersion(), engine.ClientVersion(); got != want {
			t.Errorf("API %s, not %s", got, want)
		}
	})
}

func TestConnectRefusesAnOldEngineAndNamesBothVersions(t *testing.T) {
	t.Parallel()
	host := onPort(t, engineOf("1.40", "19.03.15"))
	mustNotConnect(t, variables(t, "DOCKER_HOST", host), host, "DOCKER_HOST", "1.40", "19.03.15", "1.41", "20.10", "update Docker")
}

func TestConnectTakesTheOldestEngineItSupports(t *testing.T) {
	t.Parallel()
	engine := mustConnect(t, variables(t, "DOCKER_HOST", onPort(t, engineOf("1.41", "20.10.24"))))
	if v := engine.ClientVersion(); v != "1.41" {
		t.Errorf("API %s", v)
	}
}

func TestConnectHonoursDockerAPIVersion(t *testing.T) {
	t.Parallel()
	host := onPort(t, engineOf("1.51", "28.5.2"))
	engine := mustConnect(t, variables(t, "DOCKER_HOST", host, "DOCKER_API_VERSION", "1.43"))
	if v := engine.ClientVersion(); v != "1.43" {
		t.Errorf("API %s", v)
	}
	mustNotConnect(t, variables(t, "DOCKER_HOST", host, "DOCKER_API_VERSION", "1.40"), "DOCKER_API_VERSION", "1.40", "1.41", "unset")
}

func TestConnectSaysThatAnAddressIsNoEngine(t *testing.T) {
	t.Parallel()
	host := onPort(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	mustNotConnect(t, variables(t, "DOCKER_HOST", host), host, "not a Docker engine")
}

func TestConnectSaysThatNoEngineIsInstalled(t *testing.T) {
	t.Parallel()
	host := "unix://" + filepath.Join(t.TempDir(), "none.sock")
	mustNotConnect(t, variables(t, "DOCKER_HOST", host), host, "from DOCKER_HOST", "start docker")
}

func TestConnectSaysThatTheEngineIsNotStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dead.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	mustNotConnect(t, variables(t, "DOCKER_HOST", "unix://"+path), path, "from DOCKER_HOST", "start it")
}

func TestConnectSaysThatARemoteEngineDoesNotAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	host := "tcp://" + listener.Addr().String()
	mustNotConnect(t, variables(t, "DOCKER_HOST", host), host, "from DOCKER_HOST", "check that it is started")
}

func TestPermissionDeniedNamesTheGroupDocker(t *testing.T) {
	t.Parallel()
	at, err := locate(variables(t))
	if err != nil {
		t.Fatal(err)
	}
	got := at.silent(fmt.Errorf("dial: %w", fs.ErrPermission)).Error()
	for _, want := range []string{client.DefaultDockerHost, "from the default", "group docker"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
}

func TestConnectGoesThroughSSH(t *testing.T) {
	socket := onSocket(t, engineOf("1.45", "26.1.5"))
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho \"$@\" > %s/asked\nexec %s -test.run='^TestStandInForSSH$'\n", dir, program)
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("FLUMEN_TEST_DIAL", strings.TrimPrefix(socket, "unix://"))

	engine := mustConnect(t, variables(t, "DOCKER_HOST", "ssh://somebody@lab.example"))
	if v := engine.ClientVersion(); v != "1.45" {
		t.Errorf("API %s", v)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"somebody", "lab.example", "docker system dial-stdio"} {
		if !strings.Contains(string(asked), want) {
			t.Errorf("ssh was asked for %q, without %q", asked, want)
		}
	}
}

// TestStandInForSSH is no test: it is what the other end of ssh would run.
func TestStandInForSSH(t *testing.T) {
	path := os.Getenv("FLUMEN_TEST_DIAL")
	if path == "" {
		t.Skip("runs only in the place of ssh")
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		os.Exit(1)
	}
	var g errgroup.Group
	g.Go(func() error { _, err := io.Copy(os.Stdout, conn); return err })
	_, _ = io.Copy(conn, os.Stdin)
	conn.(*net.UnixConn).CloseWrite()
	_ = g.Wait()
	os.Exit(0)
}

func TestConnectSaysHowToCheckSSH(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\necho 'Permission denied (publickey).' >&2; exit 255\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	mustNotConnect(t, variables(t, "DOCKER_HOST", "ssh://somebody@lab.example"), "Permission denied (publickey)", "ssh somebody@lab.example docker version")
}
