package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// upgradedEngine is the name of an engine whose data is opened by a newer one.
const upgradedEngine = "upgraded"

// TestEngineUpgradeIsNoDrift converges on Docker 20.10, has Docker 28 open the same data, and
// expects nothing to do.
func TestEngineUpgradeIsNoDrift(t *testing.T) {
	t.Parallel()
	enginetest.Hosts(t)
	t.Cleanup(func() { enginetest.Script(t, "--rm", upgradedEngine) })
	old := enginetest.Script(t, upgradedEngine, "bookworm")
	engine := enginetest.Connect(t, old)
	if v := engine.ClientVersion(); v != "1.41" {
		t.Fatalf("the old engine speaks API %s, expected that of Docker 20.10", v)
	}
	enginetest.Images(t, engine)
	dir := t.TempDir()
	spec := filepath.Join(dir, "flumen.yaml")
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spec, fmt.Appendf(nil, upgradedSpec, enginetest.HealthySleeper, enginetest.Sleeper), 0o644); err != nil {
		t.Fatal(err)
	}
	call := func(host string, args ...string) (int, string) {
		var out bytes.Buffer
		environ := []string{"DOCKER_HOST=" + host, "FLUMEN_STATE=" + filepath.Join(dir, "state"), "PATH=" + os.Getenv("PATH")}
		return run(append(args, "-f", spec), nil, &out, &out, environ), out.String()
	}
	if code, out := call(old, "apply", "--yes"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	now := enginetest.Script(t, upgradedEngine, "current")
	if !newer(t, enginetest.Connect(t, now)) {
		t.Fatal("the engine is not newer")
	}
	// What the new engine has started again may still be on its way.
	if code, out := call(now, "apply", "--yes"); code != 0 || strings.Contains(out, "replace") || strings.Contains(out, "create") || strings.Contains(out, "update") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if code, out := call(now, "plan"); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func newer(t *testing.T, engine *client.Client) bool {
	t.Helper()
	v, err := engine.ServerVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return !strings.HasPrefix(v.Version, "20.")
}

// upgradedSpec has of everything that engines describe in ways of their own.
const upgradedSpec = `name: upgrade
services:
  db:
    image: %[1]s
    environment: {A: b}
    volumes: ['data:/data', './conf:/etc/conf:ro', '/anonymous']
    networks: {default: {aliases: [sql]}, back: {}}
    ports: ['127.0.0.1::80']
    restart: always
    mem_limit: 64m
    cpus: 0.5
    shm_size: 32m
    ulimits: {nofile: 1024}
    cap_drop: [ALL]
    security_opt: ['no-new-privileges:true']
    extra_hosts: ['a:10.0.0.1']
    tmpfs: ['/run']
    init: true
    logging: {driver: json-file, options: {max-size: 1m}}
    healthcheck: {test: [CMD, /sleeper, health], interval: 1s, start_period: 2s}
    stop_grace_period: 1s
  web: {image: %[2]s, depends_on: [db], restart: always, configs: [c], stop_grace_period: 1s}
  job: {image: %[2]s, command: [exit, '0'], x-flumen: {job: true}}
volumes: {data: {}}
networks: {back: {internal: true}}
configs: {c: {content: hello}}
`
