// Package examples holds stacks that are run, and the test that they do.
package examples

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

func TestEveryExampleIsValid(t *testing.T) {
	agent := build(t)
	files, err := filepath.Glob("*/flumen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "S3_ENDPOINT=https://s3.example.com", "TLS_DIR="+certificates(t))
	for _, name := range append(lakehouseSecrets(t), "S3_ACCESS_KEY", "S3_SECRET_KEY", "READER_S3_SECRET", "SUPERSET_READER_PASSWORD", "SPARK_SECRET", "TRINO_SECRET") {
		environ = append(environ, name+"=LongEnoughForATest")
	}
	for _, file := range append(files, "../flumen.yaml") {
		if code, out := run(t, environ, agent, "validate", "-f", file); code != 0 {
			t.Errorf("validate %s: exit code %d\n%s", file, code, out)
		}
	}
}

// certificates is a folder with what the example tls reads, whichever it is.
func certificates(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	dir := t.TempDir()
	for _, name := range []string{"ca.crt", "trust.p12", "postgres.pem", "minio.crt", "minio.key", "hive-metastore.p12", "spark.p12", "jupyterlab.pem", "trino.pem", "superset.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// One engine is enough: building MinIO on a second one takes minutes and shows nothing
// that the agent's own tests on it do not.
func TestQuickstartConvergesAndStaysSo(t *testing.T) {
	engines := enginetest.Hosts(t)
	agent, project := build(t), "flumen-test-quickstart-"+strconv.Itoa(os.Getpid())
	environ := append(os.Environ(), "DOCKER_HOST="+engines[0], "FLUMEN_PROJECT="+project, "FLUMEN_STATE="+t.TempDir(), "FLUMEN_FILE=quickstart/flumen.yaml")
	for _, name := range []string{"POSTGRES_PORT", "MINIO_PORT", "MINIO_CONSOLE_PORT", "GREETER_PORT"} {
		environ = append(environ, name+"="+freePort(t))
	}
	t.Cleanup(func() { remove(t, environ, agent, project) })

	if code, out := run(t, environ, agent, "apply", "--yes"); code != 0 {
		t.Fatalf("apply: exit code %d\n%s", code, out)
	}
	if code, out := run(t, environ, agent, "plan"); code != 0 {
		t.Errorf("plan after apply: exit code %d, want nothing to do\n%s", code, out)
	}
	if code, out := run(t, environ, agent, "status"); code != 0 {
		t.Errorf("status after apply: exit code %d, want all ready\n%s", code, out)
	}
}

// programs is a folder for what all tests run.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "flumen-test-programs-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(programs)
	os.Exit(code)
}

// built is the error of making the agent, which is done once.
var built = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", programs, "../cmd/flumen-agent").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	return nil
})

// build gives the path of the agent's program.
func build(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, "flumen-agent")
}

// remove takes away what the project made, data and images too.
func remove(t *testing.T, environ []string, agent, project string) {
	if code, out := run(t, environ, agent, "down", "--yes"); code != 0 {
		t.Errorf("down: exit code %d\n%s", code, out)
	}
	volumes := []string{"volume", "rm", project + "_postgres_data", project + "_minio_data"}
	if code, out := run(t, environ, "docker", volumes...); code != 0 {
		t.Errorf("remove the volumes: %s", out)
	}
	images := []string{"image", "rm"}
	for _, service := range []string{"postgres", "minio", "roundtrip", "greeter"} {
		images = append(images, project+"-"+service)
	}
	if code, out := run(t, environ, "docker", images...); code != 0 {
		t.Errorf("remove the images: %s", out)
	}
}

// run gives the exit code and all that the program wrote. It outlives the test's
// context, since cleaning up begins when that has ended.
// Where no image is there yet, one call builds all of them, beside other tests.
func run(t *testing.T, environ []string, program string, args ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 40*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, &out, &out
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("run %s: %v", program, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// givenPorts are those of earlier calls, which may not be used yet.
var givenPorts sync.Map

// freePort gives a port that nobody uses, another one each time. It is none of those that a kernel or an engine gives out
// by itself, or it may be taken before it is used, or while who has it is down.
func freePort(t *testing.T) string {
	t.Helper()
	const first, n = 30000, 2768
	for range 10 * n {
		port := strconv.Itoa(first + rand.IntN(n))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// TestAgentRunsInAContainer builds the image of the agent, has it follow a repository, and
// expects it to keep a container up that mounts a file of that.
func TestAgentRunsInAContainer(t *testing.T) {
	engines := enginetest.Hosts(t)
	socket, ok := strings.CutPrefix(engines[0], "unix://")
	if !ok {
		enginetest.Lacks(t, "an engine on this machine, whose socket can be mounted")
	}
	environ := append(os.Environ(), "DOCKER_HOST="+engines[0])
	docker := func(args ...string) string {
		t.Helper()
		code, out := run(t, environ, "docker", args...)
		if code != 0 {
			t.Fatalf("docker %s: exit code %d\n%s", strings.Join(args, " "), code, out)
		}
		return out
	}
	enginetest.Images(t, enginetest.Connect(t, engines[0]))
	project := enginetest.Project(t, enginetest.Connect(t, engines[0]))
	dir, image := t.TempDir(), project+"-agent"
	enginetest.Build(t, engines[0], image, filepath.Dir(build(t)), "-f", "agent/Dockerfile")
	t.Cleanup(func() { run(t, environ, "docker", "image", "rm", image) })

	repository := filepath.Join(dir, "lake")
	spec := "name: " + project + "\nservices:\n  web: {image: '" + enginetest.Sleeper + "', stop_grace_period: 1s, volumes: ['./a:/a:ro']}\n"
	for _, step := range [][]string{{"init", "-q", "-b", "main", repository}, {"-C", repository, "add", "-A"},
		{"-C", repository, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "First"}} {
		if code, out := run(t, environ, "git", step...); code != 0 {
			t.Fatalf("git %v: %s", step, out)
		}
		if step[0] == "init" {
			for name, content := range map[string]string{"flumen.yaml": spec, "a": "from the repository"} {
				if err := os.WriteFile(filepath.Join(repository, name), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	state := filepath.Join(dir, "state")
	docker("run", "-d", "--name", image, "-v", socket+":/var/run/docker.sock", "-v", state+":/var/lib/flumen-agent", "-v", repository+":/lake:ro",
		image, "run", "--repo", "/lake", "--host-dir", "/var/lib/flumen-agent="+state)
	t.Cleanup(func() { run(t, environ, "docker", "rm", "-fv", image) })

	web := project + "-web-1"
	if !within(10*time.Minute, 200*time.Millisecond, func() bool {
		code, _ := run(t, environ, "docker", "exec", web, "/sleeper", "holds", "/a", "from the repository")
		return code == 0
	}) {
		t.Fatalf("it does not come up; the agent says:\n%s", docker("logs", image))
	}
	docker("stop", "-t", "60", image)
	if code := strings.TrimSpace(docker("inspect", "-f", "{{.State.ExitCode}}", image)); code != "0" {
		t.Errorf("it ended with %s:\n%s", code, docker("logs", image))
	}
}

// within asks every so often whether something is so that tells nobody when it is, and gives up after a
// time.
func within(limit, every time.Duration, is func() bool) bool {
	again := time.NewTicker(every)
	defer again.Stop()
	over := time.After(limit)
	for !is() {
		select {
		case <-again.C:
		case <-over:
			return false
		}
	}
	return true
}
