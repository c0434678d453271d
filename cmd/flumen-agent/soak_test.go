package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

const (
	// soakVariable is how long the soak lasts; make soak sets it.
	soakVariable = "FLUMEN_SOAK"
	soakTime     = time.Minute
	// recovers is how long an agent may take, after the last fault, to have all as it should
	// be: what failed waits for its time.
	recovers = 15 * time.Minute
)

// soaked are three services of which the second can be told not to become ready.
const soaked = `name: %s
services:
  db: {image: '%[2]s', volumes: ['data:/data'], restart: always, stop_grace_period: 1s}
  api:
    image: '%[2]s'
    environment: {VERSION: '%[3]d', READY_AFTER: '%[4]s'}
    configs: [conf]
    healthcheck: {interval: 1s, retries: 3}
    stop_grace_period: 1s
  web: {image: '%[2]s', volumes: ['./conf.d:/etc/conf.d:ro'], depends_on: [api], stop_grace_period: 1s}
volumes: {data: {}}
configs: {conf: {content: 'version %[3]d'}}
`

// soak is an agent that follows a repository, and what is done to it.
type soak struct {
	testing.TB
	random   *rand.Rand
	engine   *client.Client
	proxy    *engineproxy.Proxy
	project  string
	dir      string
	broken   chan bool // capacity one: whether the engine answers nothing
	version  int
	interval string
	program  string // what is run
	agent    *exec.Cmd
	said     *bytes.Buffer
}

func newSoak(t testing.TB, engine *client.Client, seed uint64) *soak {
	s := &soak{
		TB: t, interval: "2s", program: watchedProgram, random: rand.New(rand.NewPCG(seed, seed)), engine: engine, project: enginetest.Project(t, engine), dir: shortDir(t),
		broken: make(chan bool, 1),
	}
	s.broken <- false
	var err error
	if s.proxy, err = engineproxy.Start(s.dir, engine.DaemonHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.agent != nil {
			_ = s.agent.Process.Kill() // if a test failed on the way
		}
		s.proxy.Close()
	})
	s.proxy.Before = func(engineproxy.Call, int) error {
		broken := <-s.broken
		s.broken <- broken
		if broken {
			return fmt.Errorf("the engine is out of sorts")
		}
		return nil
	}
	s.git("init", "-q", "-b", "main", s.dir+"/repo")
	s.push("0s")
	return s
}

func (s *soak) git(args ...string) {
	s.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=A", "-c", "user.email=a@example.org"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// push commits a new version, whose api is ready after so long ("never" is never).
func (s *soak) push(ready string) {
	s.Helper()
	s.version++
	s.write("flumen.yaml", fmt.Sprintf(soaked, s.project, enginetest.HealthySleeper, s.version, ready))
	s.write("conf.d/a", fmt.Sprint("version ", s.version))
	s.commit()
}

func (s *soak) write(name, content string) {
	s.Helper()
	path := filepath.Join(s.dir, "repo", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s *soak) commit() {
	s.Helper()
	s.git("-C", s.dir+"/repo", "add", "-A")
	s.git("-C", s.dir+"/repo", "commit", "-q", "--allow-empty", "-m", fmt.Sprint("Version ", s.version))
}

func (s *soak) environ(host string) []string {
	return []string{"DOCKER_HOST=" + host, "FLUMEN_STATE=" + filepath.Join(s.dir, "state"), "FLUMEN_REPO=" + s.dir + "/repo", "PATH=" + os.Getenv("PATH")}
}

func (s *soak) start() {
	s.Helper()
	s.said = &bytes.Buffer{}
	s.agent = exec.Command(s.program, "run", "--interval", s.interval)
	s.agent.Env, s.agent.Stderr, s.agent.Stdout = s.environ(s.proxy.Host), s.said, s.said
	if err := s.agent.Start(); err != nil {
		s.Fatal(err)
	}
}

// end ends the agent by a signal and gives what it has said.
func (s *soak) end(signal os.Signal) string {
	_ = s.agent.Process.Signal(signal)
	_ = s.agent.Wait() // it was killed
	return s.said.String()
}

// pick gives the ID of one of the project's containers, or "".
func (s *soak) pick() string {
	list, err := s.engine.ContainerList(context.Background(), container.ListOptions{All: true, Filters: ofProject(s.project)})
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[s.random.IntN(len(list))].ID
}

// lasts is how long a fault or the peace between two goes on. Nothing is waited for here: the
// harm is done in real time, to a process with a clock of its own.
func lasts(length time.Duration) { <-time.After(length) }

// faults are what may happen. What an engine refuses, such as to pause what is stopped, has
// not happened.
var faults = map[string]func(*soak){
	"kill": func(s *soak) { _ = s.engine.ContainerKill(context.Background(), s.pick(), "KILL") },
	"stop": func(s *soak) { _ = s.engine.ContainerStop(context.Background(), s.pick(), container.StopOptions{}) },
	"remove": func(s *soak) {
		_ = s.engine.ContainerRemove(context.Background(), s.pick(), container.RemoveOptions{Force: true})
	},
	"pause": func(s *soak) { _ = s.engine.ContainerPause(context.Background(), s.pick()) },
	"disconnect": func(s *soak) {
		_ = s.engine.NetworkDisconnect(context.Background(), s.project+"_default", s.pick(), true)
	},
	"push":            func(s *soak) { s.push("0s") },
	"push what fails": func(s *soak) { s.push("never") },
	"push what does not load": func(s *soak) {
		s.version++
		s.write("flumen.yaml", "srvices: {}\n")
		s.commit()
	},
	"engine out of sorts": func(s *soak) {
		<-s.broken
		s.broken <- true
		lasts(2 * time.Second)
		<-s.broken
		s.broken <- false
	},
	"suspend": func(s *soak) {
		_ = s.agent.Process.Signal(syscall.SIGSTOP)
		lasts(2 * time.Second)
		_ = s.agent.Process.Signal(syscall.SIGCONT)
	},
	"hang up":    func(s *soak) { _ = s.agent.Process.Signal(syscall.SIGHUP) },
	"hand edit":  func(s *soak) { s.handEdit() },
	"clone gone": func(s *soak) { s.removeClone() },
}

// killed is a fault that the memory of the process does not outlive.
func (s *soak) killed() {
	s.end(os.Kill)
	s.start()
}

func (s *soak) handEdit() {
	files, _ := filepath.Glob(s.dir + "/state/git/*/live/conf.d/a")
	for _, f := range files {
		_ = os.WriteFile(f, []byte("by hand"), 0o644)
	}
}

func (s *soak) removeClone() {
	clones, _ := filepath.Glob(s.dir + "/state/git/*/clone/objects")
	for _, c := range clones {
		_ = os.RemoveAll(c)
	}
}

// harm does one fault after the other for a while.
func (s *soak) harm(until time.Time, kills bool) {
	names := slices.Sorted(maps.Keys(faults))
	for time.Now().Before(until) {
		if kills && s.random.IntN(len(names)) == 0 {
			s.Log("the agent is killed")
			s.killed()
		} else {
			name := names[s.random.IntN(len(names))]
			s.Log(name)
			faults[name](s)
		}
		lasts(time.Duration(s.random.IntN(1500)) * time.Millisecond)
	}
}

// settle waits until all is as the repository says, and fails if that takes too long. It
// tells false if the engine itself has come to harm, and nothing can be said of the agent.
func (s *soak) settle() bool {
	s.Helper()
	var out bytes.Buffer
	if !within(recovers, func() bool {
		out.Reset()
		environ := s.environ(s.engine.DaemonHost())
		return run([]string{"status"}, nil, &out, &out, environ) == 0 && strings.Contains(out.String(), "following revision") &&
			run([]string{"plan"}, nil, &out, &out, environ) == 0
	}) {
		said := s.end(os.Interrupt)
		if name := s.leaked(); name != "" {
			s.Logf("the engine keeps the name %s for a container that it does not have: one that is removed while it is renamed can leave it so, without any agent", name)
			return false
		}
		s.Fatalf("not within %s; the last look:\n%s\nthe agent says:\n%s", recovers, &out, lastLines(said, 60))
	}
	return true
}

// leaked gives a name that no container has and none can get, or "". The agent has ended.
func (s *soak) leaked() string {
	for _, service := range []string{"db", "api", "web"} {
		for _, suffix := range []string{"", ".next", ".prev"} {
			name := s.project + "-" + service + "-1" + suffix
			if _, err := s.engine.ContainerInspect(context.Background(), name); !cerrdefs.IsNotFound(err) {
				continue
			}
			made, err := s.engine.ContainerCreate(context.Background(), &container.Config{Image: enginetest.Sleeper}, nil, nil, nil, name)
			if cerrdefs.IsConflict(err) {
				return name
			}
			if err == nil {
				_ = s.engine.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
			}
		}
	}
	return ""
}

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// usage is what a process takes.
type usage struct{ kib, files int }

func (s *soak) usage() (u usage) {
	s.Helper()
	proc := fmt.Sprintf("/proc/%d/", s.agent.Process.Pid)
	text, err := os.ReadFile(proc + "status")
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.kib, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		s.Fatal(err)
	}
	u.files = len(files)
	return u
}

// TestSoak does harm of every kind to a running agent, at random, and expects that all is as
// it should be when that ends: nothing lost, nothing left over, and the agent as small as it
// was.
func TestSoak(t *testing.T) {
	t.Parallel()
	length, err := time.ParseDuration(os.Getenv(soakVariable))
	if err != nil {
		length = soakTime
	}
	hosts := enginetest.Hosts(t)
	engine := enginetest.Connect(t, hosts[len(hosts)-1])
	enginetest.Images(t, engine)
	const mostTimes = 3
	for n := 1; !soaks(t, engine, length); n++ {
		if n == mostTimes {
			t.Fatalf("the engine came to harm %d times", n)
		}
	}
}

// soaks does one soak. It tells false if the engine itself has come to harm.
func soaks(t *testing.T, engine *client.Client, length time.Duration) bool {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newSoak(t, engine, seed)
	s.start()
	if !s.settle() {
		return false
	}
	volume, err := engine.VolumeInspect(t.Context(), s.project+"_data")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.harm(began.Add(length/2), true)
	if s.push("0s"); !s.settle() {
		return false
	}
	before := s.usage()
	s.harm(began.Add(length), false)
	if s.push("0s"); !s.settle() {
		return false
	}
	s.judge(volume.CreatedAt, before, s.usage())
	return true
}

// judge ends the agent, and fails if anything was lost or left over, or if it has grown.
func (s *soak) judge(made string, before, after usage) {
	s.Helper()
	s.Logf("before %+v, after %+v", before, after)
	if now, err := s.engine.VolumeInspect(context.Background(), s.project+"_data"); err != nil || now.CreatedAt != made {
		s.Errorf("the volume: %v, made %s, then %s", err, made, now.CreatedAt)
	}
	list, err := s.engine.ContainerList(context.Background(), container.ListOptions{All: true, Filters: ofProject(s.project)})
	if err != nil || len(list) != 3 {
		s.Errorf("containers: %v %v", list, err)
	}
	if after.files > before.files+8 {
		s.Errorf("open files: %d, then %d", before.files, after.files)
	}
	if after.kib > before.kib*3/2+16<<10 {
		s.Errorf("resident memory: %d KiB, then %d", before.kib, after.kib)
	}
	said := s.end(syscall.SIGQUIT) // has the runtime list its goroutines
	n := strings.Count(said, "\ngoroutine ")
	if s.Logf("%d goroutines at the end", n); n < 3 || n > 60 {
		s.Errorf("%d goroutines at the end", n)
	}
}
