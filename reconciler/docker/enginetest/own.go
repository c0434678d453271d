package enginetest

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// Script runs .ci/test-engine, which starts engines in containers of this machine's own, and
// gives what it prints: the address of one.
func Script(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(root(t), ".ci", "test-engine"), args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("test-engine %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return strings.TrimSpace(string(out))
}

// root is the folder of the module, above that of the test.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("this is no module")
	return ""
}

// Own is an engine in a container of the machine's own, which a test may break.
type Own struct {
	Host   string
	Engine *client.Client
	name   string
}

// StartOwn starts one without images but the sleepers. It is gone after the test, with all it has.
func StartOwn(t testing.TB) *Own {
	t.Helper()
	Hosts(t)
	name := "own-" + os.Getenv(runVariable) + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() { Script(t, "--rm", name) })
	o := &Own{Host: Script(t, name, "current"), name: name}
	o.Engine = Connect(t, o.Host)
	Images(t, o.Engine)
	return o
}

// Container is the engine's own, as the machine's engine knows it.
func (o *Own) Container() string { return "flumen-test-engine-" + o.name }

// Address is one of it that this machine reaches, and at which it may publish ports: the same
// after a restart.
func (o *Own) Address(t testing.TB) string {
	t.Helper()
	network, address := "flumen-test-"+o.name, Subnet()+".2"
	o.docker(t, "network", "create", "--subnet", address+"/24", network)
	t.Cleanup(func() {
		o.docker(t, "network", "disconnect", "--force", network, o.Container())
		o.docker(t, "network", "rm", network)
	})
	o.docker(t, "network", "connect", "--ip", address, network, o.Container())
	return address
}

// docker calls the machine's own engine.
func (o *Own) docker(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("docker", args...).CombinedOutput(); err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Restart ends the engine and all it runs at once, as a crash does, and waits until it answers again.
func (o *Own) Restart(t testing.TB) {
	t.Helper()
	o.docker(t, "restart", "--time", "0", o.Container())
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := o.Engine.Ping(t.Context()); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatalf("the engine does not answer 10 minutes after its restart: %v", err)
		}
	}
}

// Give copies images of the machine's own engine into it; layers that they share go once.
func (o *Own) Give(t testing.TB, images ...string) {
	t.Helper()
	saved, err := Connect(t, Hosts(t)[0]).ImageSave(t.Context(), images)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	loaded, err := o.Engine.ImageLoad(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Body.Close()
	if _, err := io.Copy(io.Discard, loaded.Body); err != nil {
		t.Fatal(err)
	}
}
