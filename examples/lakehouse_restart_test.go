package examples

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// onAnotherMachine takes the stack down, and gives one on an engine of its own, which has the
// images of it and nothing else. There Java has the options that users have.
func (l *lakehouse) onAnotherMachine() (*lakehouse, *enginetest.Own) {
	l.t.Helper()
	own := enginetest.StartOwn(l.t)
	own.Give(l.t, l.images()...)
	l.exits(0, "down", "--yes")
	other := *l
	other.data = l.t.TempDir()
	other.env = maps.Clone(l.env)
	maps.Copy(other.env, map[string]string{"DOCKER_HOST": own.Host, "BIND": own.Address(l.t), "DATA_DIR": other.data, "FLUMEN_STATE": l.t.TempDir()})
	maps.DeleteFunc(other.env, func(name, _ string) bool { return compiledOnce[name] != "" })
	return &other, own
}

// images are those that the stack runs, and those that they were built on.
func (l *lakehouse) images() []string {
	l.t.Helper()
	all := strings.Fields(l.docker("ps", "-a", "--filter", "label=com.docker.compose.project="+l.project, "--format", "{{.Image}}"))
	all = append(all, "debian:trixie-slim", "debian:bookworm-slim")
	slices.Sort(all)
	return slices.Compact(all)
}

// theTiers in the order in which the whole of it starts.
var theTiers = [][]string{
	{"postgres", "minio"}, {"hive-metastore"}, {"spark-master"}, {"spark-worker1", "spark-worker2"}, {"jupyterlab"}, {"trino"}, {"superset"},
}

// theEngineRestarts while no agent runs. Nothing starts by itself then; an agent that comes up
// starts the tiers in their order, and every row is still there.
func theEngineRestarts(t *testing.T, l *lakehouse, own *enginetest.Own) {
	tables, names := l.everyTable(), l.rowsOfMetastore()
	own.Restart(t)
	if running := l.docker("ps", "-q"); running != "" {
		t.Fatalf("the engine has started some by itself:\n%s", l.docker("ps"))
	}
	seen := enginetest.Starts(t, own.Engine, l.project)
	began := time.Now()
	l.agentRuns(func() bool { return true })
	t.Logf("all of it is up after the engine's restart: %s", time.Since(began).Round(time.Second))
	enginetest.InOrder(t, seen(), theTiers...)
	if diff := cmp.Diff(tables, l.everyTable()); diff != "" {
		t.Errorf("rows of the tables (-before +after the restart):\n%s", diff)
	}
	if diff := cmp.Diff(names, l.rowsOfMetastore()); diff != "" {
		t.Errorf("rows of the metastore (-before +after the restart):\n%s", diff)
	}
	l.exits(0, "plan")
}

// agentRuns starts the agent as a service does, and ends it when all is ready and what happens then has come out well.
func (l *lakehouse) agentRuns(then func() bool) {
	l.t.Helper()
	agent := exec.Command(l.agent, "run")
	agent.Env = l.environ()
	var said bytes.Buffer
	agent.Stdout, agent.Stderr = &said, &said
	if err := agent.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = agent.Process.Kill() }) // if the test ends before it
	ready := within(30*time.Minute, 2*time.Second, func() bool {
		code, out := l.run(l.agent, "status", "-o", "json")
		return code == 0 && strings.Contains(out, `"agent":`) // which has taken the project
	})
	well := ready && then()
	if err := agent.Process.Signal(os.Interrupt); err != nil {
		l.t.Error(err)
	}
	if err := agent.Wait(); err != nil || !well {
		l.t.Fatalf("ready: %v; well after that: %v; the agent ended with %v:\n%s", ready, well, err, &said)
	}
}
