package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// unit is an agent that systemd runs, in a container, as examples/agent says.
type unit struct {
	*testing.T
	engine             *client.Client
	dir, project, host string // host: the name of the container
}

// newUnit starts systemd, and installs the agent as the unit's first lines say.
func newUnit(t *testing.T, engine *client.Client) *unit {
	t.Helper()
	socket, local := strings.CutPrefix(engine.DaemonHost(), "unix://")
	if !local {
		enginetest.Lacks(t, "an engine with a socket on this machine")
	}
	u := &unit{T: t, engine: engine, dir: t.TempDir(), project: enginetest.Project(t, engine)}
	u.host = u.project + "-systemd"
	program := programOfUsers(t)
	u.out(exec.Command("git", "init", "-q", "-b", "main", u.repository()))
	u.push("first")
	t.Cleanup(func() { _ = exec.Command(systemdScript, "--rm", u.host).Run() })
	u.out(exec.Command(systemdScript, u.host, "-v", socket+":/var/run/docker.sock", "-v", u.repository()+":/srv/lakehouse:ro"))
	env := filepath.Join(u.dir, "env")
	if err := os.WriteFile(env, []byte("FLUMEN_REPO=/srv/lakehouse\nFLUMEN_INTERVAL=1h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		program: "/usr/local/bin/flumen-agent", env: "/etc/flumen-agent.env",
		filepath.Join("..", "..", "examples", "agent", "flumen-agent.service"): "/etc/systemd/system/flumen-agent.service",
	} {
		u.out(exec.Command("docker", "cp", from, u.host+":"+to))
	}
	u.systemctl("daemon-reload")
	return u
}

var systemdScript = filepath.Join("..", "..", ".ci", "test-systemd")

func (u *unit) repository() string { return filepath.Join(u.dir, "repository") }

// push commits a spec whose one service has a mode.
func (u *unit) push(mode string) {
	u.Helper()
	spec := fmt.Sprintf("name: %s\nservices:\n  web: {image: '%s', environment: {MODE: %s}, stop_grace_period: 1s}\n", u.project, enginetest.Sleeper, mode)
	if err := os.WriteFile(filepath.Join(u.repository(), "flumen.yaml"), []byte(spec), 0o644); err != nil {
		u.Fatal(err)
	}
	git := []string{"-C", u.repository(), "-c", "user.name=A", "-c", "user.email=a@example.org"}
	u.out(exec.Command("git", append(git, "add", "-A")...))
	u.out(exec.Command("git", append(git, "commit", "-q", "-m", mode)...))
}

// out gives what a program prints, which must succeed.
func (u *unit) out(cmd *exec.Cmd) string {
	u.Helper()
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		u.Fatalf("%s: %v\n%s%s", cmd, err, out, &said)
	}
	return strings.TrimSpace(string(out))
}

func (u *unit) systemctl(args ...string) string {
	u.Helper()
	return u.out(exec.Command("docker", append([]string{"exec", u.host, "systemctl"}, args...)...))
}

// property is one of the unit, as systemd knows it.
func (u *unit) property(name string) string {
	u.Helper()
	return u.systemctl("show", "-P", name, "flumen-agent")
}

// web tells of the service's container.
func (u *unit) web() (mode string, running bool) {
	c, err := u.engine.ContainerInspect(u.Context(), u.project+"-web-1")
	if err != nil {
		return "", false
	}
	for _, v := range c.Config.Env {
		if after, ok := strings.CutPrefix(v, "MODE="); ok {
			mode = after
		}
	}
	return mode, c.State.Running
}

func (u *unit) becomes(wanted string) {
	u.Helper()
	eventuallyTrue(u, "the service runs as "+wanted, func() bool { mode, running := u.web(); return running && mode == wanted })
}

// TestSystemdRunsTheUnit on one engine, since it says nothing of that.
func TestSystemdRunsTheUnit(t *testing.T) {
	t.Parallel()
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	enginetest.Images(t, engine)
	u := newUnit(t, engine)
	if said := u.out(exec.Command("docker", "exec", u.host, "systemd-analyze", "verify", "--recursive-errors=no", "flumen-agent.service")); said != "" {
		t.Error(said)
	}
	u.systemctl("enable", "--now", "flumen-agent")
	u.becomes("first")

	// Reload has the repository asked at once, by the same process.
	process := u.property("MainPID")
	u.push("second")
	u.systemctl("reload", "flumen-agent")
	u.becomes("second")
	if now := u.property("MainPID"); now != process {
		t.Errorf("reload made a new process: %s, before %s", now, process)
	}

	// One that is killed is started anew, and mends what happened meanwhile.
	u.systemctl("kill", "--signal=KILL", "flumen-agent")
	u.out(exec.Command("docker", "-H", engine.DaemonHost(), "kill", u.project+"-web-1"))
	u.becomes("second")
	if now := u.property("MainPID"); now == process || now == "0" {
		t.Errorf("it is process %s, before %s", now, process)
	}
	if n := u.property("NRestarts"); n != "1" {
		t.Errorf("restarted %s times", n)
	}

	// Stop ends it in order, and what it runs goes on.
	u.systemctl("stop", "flumen-agent")
	if got := u.property("Result") + " " + u.property("ExecMainStatus") + " " + u.property("ActiveState"); got != "success 0 inactive" {
		t.Errorf("after stop: %s", got)
	}
	if _, running := u.web(); !running {
		t.Error("the service was stopped with the agent")
	}
	if log := u.out(exec.Command("docker", "exec", u.host, "journalctl", "-q", "-u", "flumen-agent", "-o", "cat")); !strings.Contains(log, `"msg":"agent stopped"`) {
		t.Errorf("the journal ends so: %s", lastLines(log, 5))
	}
	// What it knows is where the unit says, and outlives it.
	u.out(exec.Command("docker", "exec", u.host, "sh", "-c", "ls /var/lib/flumen-agent/*/state.db && test -d /run/flumen-agent"))
}
