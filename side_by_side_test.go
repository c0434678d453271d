package flumen_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSideBySideShowsOneOutputAfterTheOtherAndFailsForAnyOfThem(t *testing.T) {
	out, err := exec.Command(".ci/side-by-side", "sleep 1; echo first", "echo second; exit 3", "echo third").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "failed: echo second; exit 3\n") {
		t.Errorf("one has failed, and the whole says %v:\n%s", err, out)
	}
	said := regexp.MustCompile(`(?m)^(first|second|third)$`).FindAllString(string(out), -1)
	if got := strings.Join(said, " "); got != "first second third" {
		t.Errorf("it shows %q of:\n%s", got, out)
	}
	if out, err := exec.Command(".ci/side-by-side", "true", "true").CombinedOutput(); err != nil {
		t.Errorf("none has failed, and the whole says %v:\n%s", err, out)
	}
}

// A person presses Ctrl-C: nothing of what was begun goes on.
func TestSideBySideLeavesNothingRunningWhenItIsBrokenOff(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	sleeper := "sh -c 'echo $$ >>" + pids + "; sleep 1000; true'"
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ".ci/side-by-side", sleeper, sleeper)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "FLUMEN_TEST_ENGINES=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var running []string
	for end := time.Now().Add(time.Minute); len(running) < 2; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(pids)
		if running = strings.Fields(string(text)); time.Now().After(end) {
			t.Fatalf("they do not begin:\n%s", &out)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("it ended with %v:\n%s", cmd.ProcessState, &out)
	}
	for _, pid := range running {
		number, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		// One that was ended is there until whoever has taken it over has asked what became of it.
		end := time.Now().Add(10 * time.Second)
		for err = syscall.Kill(number, 0); err == nil && time.Now().Before(end); err = syscall.Kill(number, 0) {
			time.Sleep(20 * time.Millisecond)
		}
		if err != syscall.ESRCH {
			t.Errorf("process %d still runs (%v)", number, err)
		}
	}
}
