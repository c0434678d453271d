package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// watchedScripts are the scripts whose program the race detector watches: those in which an agent has most
// to do at once. Each call of a program that is watched takes four times as long, so all others run it
// as users have it. What tests call in their own process is watched too.
var watchedScripts = []string{"agent", "watch", "git", "control", "listen", "notify", "brittle", "retention_schedule"}

// watchedProgram is the program that the race detector watches, if any is: this one, by another name.
var watchedProgram = "flumen-agent"

// tests run with the program as users have it first in the path.
type tests struct{ *testing.M }

// Run implements testscript.TestingM, which has put this test into the path as the program.
func (t tests) Run() int {
	if raced && os.Getenv(enginetest.Variable) != "" {
		if err := preferProgram(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return t.M.Run()
}

func preferProgram() (err error) {
	if watchedProgram, err = exec.LookPath("flumen-agent"); err != nil {
		return err
	}
	dir := filepath.Join(filepath.Dir(watchedProgram), "as-users-have-it")
	if err := buildProgram(filepath.Join(dir, "flumen-agent")); err != nil {
		return err
	}
	return os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// buildProgram builds the program as .ci/build does.
func buildProgram(path string) error {
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return nil
}

// programOfUsers gives the path of a program that runs anywhere.
func programOfUsers(t *testing.T) string {
	t.Helper()
	if watchedProgram != "flumen-agent" {
		path, err := exec.LookPath("flumen-agent")
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := filepath.Join(t.TempDir(), "flumen-agent")
	if err := buildProgram(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// watchProgram has the race detector watch the program of a script, if it is one of those.
func watchProgram(env *testscript.Env) {
	if slices.Contains(watchedScripts, filepath.Base(env.T().(testing.TB).Name())) && strings.Contains(watchedProgram, "/") {
		env.Setenv("PATH", filepath.Dir(watchedProgram)+string(filepath.ListSeparator)+env.Getenv("PATH"))
	}
}
