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

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// testEngine runs the script that starts engines in containers of the machine's own, and
// gives the host of one.
func testEngine(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join("..", "..", ".ci", "test-engine"), args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("test-engine %s: %v\n%s", strings.Join(args, " "), err, &said)
	}
	return strings.TrimSpace(string(out))
}

// ownEngine starts an engine that a test may break, and gives its host and what restarts it.
func ownEngine(t *testing.T) (host string, restart func()) {
	t.Helper()
	enginetest.Hosts(t)
	name := fmt.Sprintf("restart-%d", os.Getpid())
	t.Cleanup(func() { testEngine(t, "--rm", name) })
	return testEngine(t, name, "current"), func() {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "docker", "restart", "--time", "0", "flumen-test-engine-"+name).CombinedOutput()
		if err != nil {
			t.Fatalf("restart the engine: %v\n%s", err, out)
		}
	}
}

func TestEngineRestartedInTheMiddleOfAReplaceStartsOneContainerOnly(t *testing.T) {
	host, restart := ownEngine(t)
	engine := enginetest.Connect(t, host)
	enginetest.Images(t, engine)
	dir := t.TempDir()
	spec := filepath.Join(dir, "flumen.yaml")
	apply := func(version, readyAfter string) (code int, output string) {
		content := fmt.Sprintf("name: restarted\nservices:\n  web: {image: '%s', restart: always, stop_grace_period: 1s, healthcheck: {interval: 500ms, retries: 60}, environment: {VERSION: '%s', READY_AFTER: %s}}\n",
			enginetest.HealthySleeper, version, readyAfter)
		if err := os.WriteFile(spec, []byte(content), 0o644); err != nil {
			t.Error(err) // not Fatal: one of the calls is made beside the test
		}
		var out bytes.Buffer
		code = run([]string{"apply", "--yes", "-f", spec}, nil, &out, &out, []string{"DOCKER_HOST=" + host, "FLUMEN_STATE=" + filepath.Join(dir, "state")})
		return code, out.String()
	}
	if code, out := apply("1", "0s"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	applied := make(chan struct{})
	go func() { apply("2", "8s"); close(applied) }()
	eventuallyTrue(t, "the old container is kept", func() bool {
		return len(containers(t, engine, "restarted")) == 2 && hasName(t, engine, "restarted-web-1.prev")
	})
	restart()
	<-applied
	eventuallyTrue(t, "the engine answers", func() bool { _, err := engine.Ping(t.Context()); return err == nil })
	if running := runningOf(containers(t, engine, "restarted")); len(running) > 1 {
		t.Errorf("the restarted engine runs both: %v", running)
	}
	if code, out := apply("2", "8s"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	left := containers(t, engine, "restarted")
	if running := runningOf(left); len(left) != 1 || len(running) != 1 || running[0] != "/restarted-web-1" {
		t.Errorf("left: %v, running: %v", left, running)
	}
}

func containers(t *testing.T, engine client.APIClient, project string) []container.Summary {
	t.Helper()
	all, err := engine.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+project))})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func hasName(t *testing.T, engine client.APIClient, name string) bool {
	_, err := engine.ContainerInspect(t.Context(), name)
	return err == nil
}

func runningOf(all []container.Summary) []string {
	var names []string
	for _, c := range all {
		if c.State == container.StateRunning {
			names = append(names, c.Names[0])
		}
	}
	return names
}

// eventuallyTrue waits for something that an engine does in its own time.
func eventuallyTrue(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !within(time.Minute, is) {
		t.Fatalf("not within a minute: %s", what)
	}
}

// within tells whether something comes true within a time.
func within(limit time.Duration, is func() bool) bool {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}
