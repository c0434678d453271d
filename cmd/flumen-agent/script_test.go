package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/client"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

func TestMain(m *testing.M) {
	if os.Getenv("FLUMEN_STATE") == "" { // the program of a script comes by here too
		os.Setenv("FLUMEN_STATE", filepath.Join(os.TempDir(), "flumen-test-state")) // never this machine's own
	}
	testscript.Main(tests{m}, map[string]func(){"flumen-agent": main, "get": get, "call": call, "post": post, "catch": catch})
}

// get is a program for scripts: it prints what an address answers, and ends with 1 unless
// that is 200.
func get() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	io.Copy(os.Stdout, answer.Body)
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, answer.Status)
		os.Exit(1)
	}
}

// call is a program for scripts: it calls a webhook as GitHub does, signed with a secret, and
// prints the code of the answer.
func call() {
	body := `{"ref": "refs/heads/main"}`
	sum := hmac.New(sha256.New, []byte(os.Args[2]))
	io.WriteString(sum, body)
	r, err := http.NewRequest(http.MethodPost, os.Args[1], strings.NewReader(body))
	if err == nil {
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			fmt.Println(answer.StatusCode)
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// post is a program for scripts: it posts a body with a token, and prints the code and the text
// of the answer.
func post() {
	r, err := http.NewRequest(http.MethodPost, os.Args[1], strings.NewReader(os.Args[3]))
	if err == nil {
		r.Header.Set("Authorization", "Bearer "+os.Args[2])
		var answer *http.Response
		if answer, err = http.DefaultClient.Do(r); err == nil {
			text, _ := io.ReadAll(answer.Body)
			fmt.Println(answer.StatusCode, string(text))
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// catch is a program for scripts: it listens on a port of this machine, takes everything that
// is posted, and adds it to a file, one body a line, after the signature it came with.
func catch() {
	f, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintln(f, r.Header.Get("X-Flumen-Signature"), string(body))
		}))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestScripts runs the whole program, as people do, where no engine answers.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			leaveAtOnce(env)
			env.Setenv("FLUMEN_STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("DOCKER_HOST", "unix://"+filepath.Join(env.WorkDir, "no-engine.sock"))
			return nil
		},
		Cmds: commands,
	})
}

// TestEngineScripts runs the whole program on real engines, each script on one of them. Each has a
// project of its own ($PROJECT), and images to run ($IMAGE has a health check, $PLAIN none).
func TestEngineScripts(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		testscript.Run(t, testscript.Params{
			Files: enginetest.Share(t, engine, scriptsIn(t, "testdata/engine")),
			Setup: func(env *testscript.Env) error { return onEngine(env, engine) },
			Cmds:  commands,
		})
	})
}

// scriptsIn are the scripts of a folder, at least one.
func scriptsIn(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	return files
}

// TestAdoption takes over what docker compose started, in the versions of it that
// FLUMEN_TEST_COMPOSE names by their binaries ($COMPOSE), each on one of the engines.
func TestAdoption(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		binaries := strings.Fields(os.Getenv("FLUMEN_TEST_COMPOSE"))
		if len(binaries) == 0 {
			enginetest.Lacks(t, "docker compose, whose binary is in FLUMEN_TEST_COMPOSE")
		}
		for _, compose := range enginetest.Share(t, engine, binaries) {
			t.Run(filepath.Base(compose), func(t *testing.T) {
				t.Parallel()
				testscript.Run(t, testscript.Params{
					Dir: "testdata/adopt",
					Setup: func(env *testscript.Env) error {
						env.Setenv("COMPOSE", compose)
						return onEngine(env, engine)
					},
					Cmds: commands,
				})
			})
		}
	})
}

// leaveAtOnce spares every program of a script the second that the race detector has it wait
// before it exits.
func leaveAtOnce(env *testscript.Env) { env.Setenv("GORACE", "atexit_sleep_ms=10") }

func onEngine(env *testscript.Env, engine *client.Client) error {
	leaveAtOnce(env)
	watchProgram(env)
	env.Setenv("DOCKER_HOST", engine.DaemonHost())
	env.Setenv("PROJECT", enginetest.Project(env.T().(testing.TB), engine))
	env.Setenv("FLUMEN_STATE", filepath.Join(env.WorkDir, "state"))
	env.Setenv("IMAGE", enginetest.HealthySleeper)
	env.Setenv("PLAIN", enginetest.Sleeper)
	env.Setenv("SUBNET", enginetest.Subnet())
	env.Setenv("PORT", strconv.Itoa(enginetest.HostPort()))
	return nil
}

// commands are those of scripts besides testscript's own.
var commands = map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "eventually": eventually}

// eventually runs a program again and again until it succeeds (or fails, with !), and
// prints the text in -stdout if that is given: eventually -stdout running docker ps.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	text := ""
	if len(args) > 2 && args[0] == "-stdout" {
		text, args = args[1], args[2:]
	}
	if len(args) == 0 {
		ts.Fatalf("usage: eventually [-stdout TEXT] program [args...]")
	}
	if !within(patience, func() bool {
		err := ts.Exec(args[0], args[1:]...)
		return (err == nil && strings.Contains(ts.ReadFile("stdout"), text)) != neg
	}) {
		ts.Fatalf("not within %s: %s", patience, strings.Join(args, " "))
	}
}

// exits runs a program and checks its exit code: exits 2 flumen-agent plan.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, expected %d", code, want)
	}
}
