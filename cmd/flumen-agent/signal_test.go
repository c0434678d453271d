package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// applying starts apply in a process of its own, and gives a channel that tells how it
// ended.
func applying(t *testing.T, host, project, service string) (*exec.Cmd, <-chan error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flumen.yaml")
	content := fmt.Sprintf("name: %s\nservices:\n  web: %s\n", project, service)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "flumen-agent", "apply", "--yes", "-f", file)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+host)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return cmd, ended
}

func eachEngineAndProject(t *testing.T, test func(t *testing.T, engine *client.Client, project string)) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		enginetest.Images(t, engine)
		test(t, engine, enginetest.Project(t, engine))
	})
}

func TestFirstSignalEndsTheWaitForHealth(t *testing.T) {
	eachEngineAndProject(t, func(t *testing.T, engine *client.Client, project string) {
		cmd, ended := applying(t, engine.DaemonHost(), project,
			fmt.Sprintf("{image: '%s', environment: {READY_AFTER: never}, healthcheck: {interval: 1s, retries: 1000}}", enginetest.HealthySleeper))
		eventuallyTrue(t, "the container runs", func() bool { return len(runningOf(containers(t, engine, project))) == 1 })
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit code %d, expected 1: it ended in order, and is not ready", code)
			}
		case <-time.After(10 * time.Minute):
			t.Fatal("it still waits")
		}
		if len(runningOf(containers(t, engine, project))) != 1 {
			t.Error("the container was stopped")
		}
	})
}

// A container that does not heed its stop signal takes its whole grace period to stop.
// The first signal lets that come to its end, the second does not.
func TestSecondSignalCutsWhatTheFirstLetsEnd(t *testing.T) {
	eachEngineAndProject(t, func(t *testing.T, engine *client.Client, project string) {
		service := fmt.Sprintf("{image: '%s', stop_signal: SIGWINCH, stop_grace_period: 9m, environment: {VERSION: '%%d'}}", enginetest.Sleeper)
		if _, ended := applying(t, engine.DaemonHost(), project, fmt.Sprintf(service, 1)); <-ended != nil {
			t.Fatal("not applied")
		}
		of := ofProject(project)
		of.Add("event", string(events.ActionKill))
		told, failed := engine.Events(t.Context(), events.ListOptions{Filters: of})
		cmd, ended := applying(t, engine.DaemonHost(), project, fmt.Sprintf(service, 2))
		select {
		case <-told: // that the old container was asked to stop
		case err := <-failed:
			t.Fatal(err)
		case <-time.After(10 * time.Minute):
			t.Fatal("the old container is never stopped")
		}
		// A program that was started in the background of a script may ignore SIGINT unless it waits for it.
		signals, interrupts := 0, os.Interrupt
		again := time.NewTicker(time.Second)
		defer again.Stop()
		deadline := time.After(8 * time.Minute) // of the nine that the old container may take
		for over := false; !over; {
			select {
			case <-ended:
				over = true
			case <-again.C:
				_ = cmd.Process.Signal(interrupts) // it may have ended just now
				interrupts = syscall.SIGTERM
				signals++
			case <-deadline:
				t.Fatalf("%d signals did not end it", signals)
			}
		}
		status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if signals < 2 || !status.Signaled() {
			t.Errorf("ended after %d signals: %v", signals, cmd.ProcessState)
		}
		if !hasName(t, engine, project+"-web-1") {
			t.Error("the old container is gone")
		}
	})
}
