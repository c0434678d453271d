package examples

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// aStandIn is a stack in the place of the lakehouse: one that is ready when the test says so, by a file, and stops
// when it says so, since it does not heed its stop signal.
const aStandIn = `name: stand-in
tiers:
  - name: foundation
    services:
      postgres: {image: '` + enginetest.Sleeper + `'}
  - name: sql
    services:
      trino:
        image: '` + enginetest.Sleeper + `'
        stop_signal: SIGWINCH
        stop_grace_period: 10m
        healthcheck: {test: [CMD, /sleeper, holds, /ready, yes], interval: 1s, retries: 1000}
`

// newStandIn is a checkout in which make brings a stand-in up, with an engine and base images that are there.
func newStandIn(t *testing.T) checkout {
	c := newCheckout(t)
	enginetest.Images(t, enginetest.Connect(t, c.host))
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"Makefile": string(makefile), "flumen.yaml": aStandIn, ".ci/engine": "#!/bin/sh\n", ".ci/base-image": "#!/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.env = []string{"FLUMEN_AGENT=" + build(t), "FLUMEN_STATE=" + t.TempDir(), "TRINO_PORT=18082"}
	return c
}

// must calls make, and expects it to succeed.
func (c checkout) must(target string) string {
	c.Helper()
	code, out := run(c.T, c.environ(), "make", "-C", c.dir, target)
	if code != 0 {
		c.Fatalf("make %s: exit code %d\n%s", target, code, out)
	}
	return out
}

// breaksOff calls make, and presses Ctrl-C when it has come somewhere.
func (c checkout) breaksOff(target string, somewhere func() bool, then func()) {
	c.Helper()
	cmd := exec.CommandContext(c.Context(), "make", "-C", c.dir, target)
	cmd.Env = c.environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as the shell of a terminal does
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	came := within(10*time.Minute, 50*time.Millisecond, somewhere)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		c.Fatal(err)
	}
	then()
	if err := cmd.Wait(); err == nil || !came {
		c.Fatalf("make %s came to where it is broken off: %v; it ended with %v:\n%s", target, came, err, &out)
	}
}

func (c checkout) docker(args ...string) string {
	c.Helper()
	code, out := run(c.T, c.environ(), "docker", args...)
	if code != 0 {
		c.Fatalf("docker %s: %s", strings.Join(args, " "), out)
	}
	return strings.TrimSpace(out)
}

// containers are the ids of those that run, in an order that stays.
func (c checkout) containers(more ...string) []string {
	c.Helper()
	ids := strings.Fields(c.docker(append([]string{"ps", "-q", "--filter", "label=com.docker.compose.project=" + c.project}, more...)...))
	slices.Sort(ids)
	return ids
}

// TestMakeLakehouseMayBeBrokenOffAndRepeated, and make lakehouse-down too.
func TestMakeLakehouseMayBeBrokenOffAndRepeated(t *testing.T) {
	t.Parallel()
	c := newStandIn(t)
	trino := c.project + "-trino-1"
	c.breaksOff("lakehouse", func() bool { return len(c.containers("--filter", "name="+trino)) == 1 }, func() {})
	env := c.mustPrepare() // makes nothing: it is there
	begun := c.containers()
	if len(begun) != 2 {
		t.Errorf("broken off, %d containers run", len(begun))
	}
	ready := filepath.Join(t.TempDir(), "ready")
	if err := os.WriteFile(ready, []byte("yes"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.docker("cp", ready, trino+":/ready")

	tellsWhereItAnswers(t, c.must("lakehouse"), env)
	c.must("lakehouse")
	if now := c.containers(); !slices.Equal(begun, now) {
		t.Errorf("the containers are %v, they were %v", now, begun)
	}
	if now := c.mustPrepare(); now != env {
		t.Errorf("there are other secrets now:\n%s", now)
	}

	asked := func() bool { // to stop
		return strings.Contains(c.docker("events", "--since", "10m", "--until", "0s", "--filter", "container="+trino, "--filter", "event=kill"), "signal=28")
	}
	c.breaksOff("lakehouse-down", asked, func() { c.docker("kill", trino) })
	c.must("lakehouse-down")
	if left := c.containers("-a"); len(left) != 0 {
		t.Errorf("after make lakehouse-down there is %v", left)
	}
	if out := c.must("lakehouse-down"); !strings.Contains(out, "Nothing to take down") || !strings.Contains(out, "its data stays") {
		t.Errorf("the second time it says:\n%s", out)
	}
	if now := c.mustPrepare(); now != env {
		t.Errorf("down has changed the secrets:\n%s", now)
	}
}

// tellsWhereItAnswers: addresses, names, and which lines of .env hold the passwords, which it does not print.
func tellsWhereItAnswers(t *testing.T, out, env string) {
	t.Helper()
	const want = `  JupyterLab   http://127.0.0.1:8888    token JUPYTER_TOKEN; examples/first-table.ipynb is a beginning
  Superset     http://127.0.0.1:8088    user admin, password SUPERSET_ADMIN_PASSWORD
  Trino        http://127.0.0.1:18082    any user name, no password; reads only
  Spark        http://127.0.0.1:8080    no password; drivers ask spark://127.0.0.1:7077, by which code is run
  Metastore    thrift://127.0.0.1:9083  no password
  MinIO        http://127.0.0.1:9001    user flumendata, password MINIO_ROOT_PASSWORD
  PostgreSQL   127.0.0.1:5432           user flumendata, password POSTGRES_PASSWORD

What is named in capitals is in .env.
`
	_, got, _ := strings.Cut(out, "\n\n")
	got, _, _ = strings.Cut(got, "A shell for SQL")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("it ends with (-want +got):\n%s\nin:\n%s", diff, out)
	}
	for _, secret := range regexp.MustCompile(`=([A-Za-z0-9]{24})\n`).FindAllStringSubmatch(env, -1) {
		if strings.Contains(out, secret[1]) {
			t.Errorf("it prints a secret:\n%s", out)
		}
	}
}
