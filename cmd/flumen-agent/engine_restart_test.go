package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

func TestEngineRestartedInTheMiddleOfAReplaceStartsOneContainerOnly(t *testing.T) {
	t.Parallel()
	own := enginetest.StartOwn(t)
	engine := own.Engine
	dir := t.TempDir()
	spec := filepath.Join(dir, "flumen.yaml")
	apply := func(version, readyAfter string) (code int, output string) {
		content := fmt.Sprintf("name: restarted\nservices:\n  web: {image: '%s', restart: always, stop_grace_period: 1s, healthcheck: {interval: 1s, retries: 60}, environment: {VERSION: '%s', READY_AFTER: %s}}\n",
			enginetest.HealthySleeper, version, readyAfter)
		if err := os.WriteFile(spec, []byte(content), 0o644); err != nil {
			t.Error(err) // not Fatal: one of the calls is made beside the test
		}
		var out bytes.Buffer
		code = run([]string{"apply", "--yes", "-f", spec}, nil, &out, &out, []string{"DOCKER_HOST=" + own.Host, "FLUMEN_STATE=" + filepath.Join(dir, "state")})
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
	own.Restart(t)
	<-applied
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

// patience is how long a test waits for what comes in its own time: longer than that takes on a machine that
// is busy with other tests.
const patience = 10 * time.Minute

// eventuallyTrue waits for something that an engine does in its own time.
func eventuallyTrue(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !within(patience, is) {
		t.Fatalf("not within %s: %s", patience, what)
	}
}

// within tells whether something comes true within a time. It looks at most half of the time: a look
// that starts a program would keep others from what is waited for.
func within(limit time.Duration, is func() bool) bool {
	const pause = 50 * time.Millisecond
	for end := time.Now().Add(limit); ; {
		began := time.Now()
		if is() {
			return true
		}
		now := time.Now()
		if now.After(end) {
			return false
		}
		<-time.After(max(pause, now.Sub(began)))
	}
}
