package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// A lakehouse in small: what holds its data is real, what stands on that waits for it.
const smallLakehouse = `name: restarted
x-above: &above {image: '%[2]s', restart: "no", stop_grace_period: 1s, healthcheck: {interval: 1s, retries: 60}}
tiers:
  - name: foundation
    services:
      postgres:
        image: flumen-test/postgres
        restart: "no"
        environment: {POSTGRES_PASSWORD: secret}
        volumes: ["postgres_data:/var/lib/postgresql/data"]
        healthcheck: {test: [CMD-SHELL, pg_isready --quiet --host=127.0.0.1], interval: 1s, retries: 60}
      minio:
        image: '%[1]s'
        restart: "no"
        environment: {MINIO_ROOT_USER: restarted, MINIO_ROOT_PASSWORD: restarted-password}
        volumes: ["minio_data:/data"]
        healthcheck: {test: [CMD, healthy.sh], interval: 1s, retries: 60}
  - name: data-platform
    services:
      metastore: {<<: *above, environment: {READY_AFTER: 2s}, depends_on: {postgres: {condition: service_healthy}}}
      worker1: {<<: *above, depends_on: {metastore: {condition: service_healthy}}}
      worker2: {<<: *above, depends_on: {metastore: {condition: service_healthy}}}
  - name: sql
    services:
      trino: {<<: *above}
volumes: {postgres_data: {}, minio_data: {}}
`

// The engine is killed and comes back while no agent runs: nothing starts by itself, and an
// agent that comes up later starts the tiers in their order, on the data that was there.
func TestAfterAnEngineRestartTheTiersStartInOrderOnTheirData(t *testing.T) {
	t.Parallel()
	image := enginetest.MinIOImage(t)
	own := enginetest.StartOwn(t)
	r := &restarted{T: t, host: own.Host, dir: t.TempDir()}
	enginetest.Build(t, enginetest.Hosts(t)[0], "flumen-test/postgres", filepath.Join("..", "..", "examples", "lakehouse", "images", "postgres"))
	own.Give(t, image, "flumen-test/postgres")
	if err := os.WriteFile(r.spec(), fmt.Appendf(nil, smallLakehouse, image, enginetest.HealthySleeper), 0o644); err != nil {
		t.Fatal(err)
	}
	r.exits(0, "apply", "--yes")
	r.sql("CREATE TABLE kept AS SELECT n FROM generate_series(1, 100000) n")
	r.putObject("what was there before")

	own.Restart(t)
	if running := runningOf(containers(t, own.Engine, "restarted")); len(running) > 0 {
		t.Fatalf("the engine has started %v by itself", running)
	}
	seen := enginetest.Starts(t, own.Engine, "restarted")
	r.agentRunsUntilReady()

	enginetest.InOrder(t, seen(), []string{"postgres", "minio"}, []string{"metastore"}, []string{"worker1", "worker2"}, []string{"trino"})
	if rows := r.sql("SELECT count(*), sum(n) FROM kept"); rows != "100000|5000050000" {
		t.Errorf("PostgreSQL has the rows %s", rows)
	}
	if object := r.object(); object != "what was there before" {
		t.Errorf("MinIO has the object %q", object)
	}
	r.exits(0, "plan")
}

// restarted is a project on an engine of its own that is restarted.
type restarted struct {
	*testing.T
	host string
	dir  string
}

func (r *restarted) spec() string { return filepath.Join(r.dir, "flumen.yaml") }

func (r *restarted) environ() []string {
	return []string{"DOCKER_HOST=" + r.host, "FLUMEN_STATE=" + filepath.Join(r.dir, "state"), "PATH=" + os.Getenv("PATH")}
}

func (r *restarted) exits(want int, args ...string) {
	r.Helper()
	var out bytes.Buffer
	if code := run(append(args, "-f", r.spec()), nil, &out, &out, r.environ()); code != want {
		r.Fatalf("%v: exit code %d, want %d\n%s", args, code, want, &out)
	}
}

func (r *restarted) docker(host string, args ...string) string {
	r.Helper()
	out, err := exec.CommandContext(r.Context(), "docker", append([]string{"-H", host}, args...)...).CombinedOutput()
	if err != nil {
		r.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *restarted) sql(query string) string {
	r.Helper()
	return r.docker(r.host, "exec", "restarted-postgres-1", "psql", "-qtAX", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", query)
}

// putObject writes through the server, which alone can read what it has written.
func (r *restarted) putObject(content string) {
	r.Helper()
	file := filepath.Join(r.dir, "object")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		r.Fatal(err)
	}
	r.mc("mb", "lake/lakehouse")
	r.mc("cp", file, "lake/lakehouse/object")
}

func (r *restarted) object() string { r.Helper(); return r.mc("cat", "lake/lakehouse/object") }

// mc runs MinIO's client in the server's own network, since the ports of an engine in a
// container are that container's.
func (r *restarted) mc(args ...string) string {
	r.Helper()
	program := os.Getenv("FLUMEN_TEST_MC")
	if program == "" {
		enginetest.Lacks(r, "MinIO's client, whose name is in FLUMEN_TEST_MC")
	}
	binary := filepath.Join(r.dir, "mc")
	if _, err := os.Stat(binary); err != nil {
		content, err := os.ReadFile(program)
		if err != nil {
			r.Fatal(err)
		}
		if err := os.WriteFile(binary, content, 0o755); err != nil {
			r.Fatal(err)
		}
	}
	return r.docker(r.host, append([]string{"run", "--rm", "--network", "container:restarted-minio-1", "-v", r.dir + ":" + r.dir, "-e", "MC_HOST_lake=http://restarted:restarted-password@127.0.0.1:9000",
		"--entrypoint", binary, "flumen-test/postgres", "--quiet", "--config-dir", "/tmp/mc"}, args...)...)
}

// agentRunsUntilReady starts the agent as a service does, and ends it when all is ready.
func (r *restarted) agentRunsUntilReady() {
	r.Helper()
	agent := exec.Command("flumen-agent", "run", "-f", r.spec())
	var said bytes.Buffer
	agent.Env, agent.Stderr = r.environ(), &said
	if err := agent.Start(); err != nil {
		r.Fatal(err)
	}
	ready := within(10*time.Minute, func() bool {
		var out bytes.Buffer
		return run([]string{"status", "-f", r.spec()}, nil, &out, &out, r.environ()) == 0
	})
	if err := agent.Process.Signal(os.Interrupt); err != nil {
		r.Error(err)
	}
	if err := agent.Wait(); err != nil || !ready {
		r.Fatalf("ready: %v; the agent ended with %v:\n%s", ready, err, &said)
	}
}
