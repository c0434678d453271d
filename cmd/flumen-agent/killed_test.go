package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// upgraded are services of which each is made anew by an upgrade: one with data, one with a
// file copied in, one that waits for both; and one in the network of the first, which is
// made anew only because that one is.
const upgraded = `name: %[1]s
services:
  db: {image: '%[2]s', environment: {VERSION: '%[3]d'}, volumes: ['data:/data'], restart: always, stop_grace_period: 1s}
  api: {image: '%[2]s', environment: {VERSION: '%[3]d'}, configs: [conf], restart: unless-stopped, stop_grace_period: 1s}
  web: {image: '%[2]s', environment: {VERSION: '%[3]d'}, depends_on: {db: {condition: service_healthy}, api: {condition: service_healthy}}, stop_grace_period: 1s}
  probe: {image: '%[2]s', network_mode: 'service:db', restart: always, stop_grace_period: 1s}
volumes: {data: {}}
configs: {conf: {content: 'version %[3]d'}}
`

// upgrade is one project on one engine on its way from one version to the other, and back.
type upgrade struct {
	*testing.T
	engine  *client.Client
	project string
	dir     string
	version int // that is in force
	proxy   *engineproxy.Proxy

	mu     sync.Mutex
	victim *os.Process
	after  int               // which call it does not survive
	at     *engineproxy.Call // that call, once it has been
}

// newUpgrade has version 1 in force.
func newUpgrade(t *testing.T, engine *client.Client) *upgrade {
	u := &upgrade{T: t, engine: engine, project: enginetest.Project(t, engine), dir: shortDir(t)}
	for version := 1; version <= 2; version++ {
		content := fmt.Sprintf(upgraded, u.project, enginetest.HealthySleeper, version)
		if err := os.WriteFile(u.spec(version), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if u.proxy, err = engineproxy.Start(u.dir, engine.DaemonHost()); err != nil {
		t.Fatal(err)
	}
	u.proxy.After = u.kill
	t.Cleanup(func() { u.proxy.Close() })
	u.apply(1)
	return u
}

// next is the version that is not in force.
func (u *upgrade) next() int { return 3 - u.version }

func (u *upgrade) spec(version int) string {
	return filepath.Join(u.dir, fmt.Sprintf("v%d.yaml", version))
}

// apply converges in this process, without the proxy, and fails if that does.
func (u *upgrade) apply(version int) {
	u.Helper()
	var out bytes.Buffer
	if code := run([]string{"apply", "--yes", "-f", u.spec(version)}, nil, &out, &out, u.environ(u.engine.DaemonHost())); code != 0 {
		u.Fatalf("version %d: exit code %d\n%s", version, code, &out)
	}
	u.version = version
}

func (u *upgrade) environ(host string) []string {
	return []string{"DOCKER_HOST=" + host, "FLUMEN_STATE=" + filepath.Join(u.dir, "state"), "PATH=" + os.Getenv("PATH")}
}

// kill ends the upgrade when its call has come.
func (u *upgrade) kill(c engineproxy.Call, mutation int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.victim != nil && c.Mutating() && mutation == u.after && u.at == nil {
		u.at = &c
		_ = u.victim.Kill()
	}
}

// killedAfter has a process of its own bring about the next version, and kills it when the engine
// has done the nth call that changes something; 0 is never. It gives that call, or nil if the
// process came by with fewer.
func (u *upgrade) killedAfter(n int) *engineproxy.Call {
	u.Helper()
	u.proxy.Reset()
	cmd := exec.Command("flumen-agent", "apply", "--yes", "-f", u.spec(u.next()))
	cmd.Env = u.environ(u.proxy.Host)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	u.mu.Lock()
	err := cmd.Start()
	u.victim, u.after, u.at = cmd.Process, n, nil
	u.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.victim = nil; u.at == nil && err != nil {
		u.Fatalf("%v\n%s", err, &out)
	}
	if u.at == nil {
		u.version = u.next()
	}
	return u.at
}

func ofProject(project string) filters.Args {
	return filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+project))
}

// containers are all of the project.
func (u *upgrade) containers() []container.InspectResponse {
	u.Helper()
	list, err := u.engine.ContainerList(context.Background(), container.ListOptions{All: true, Filters: ofProject(u.project)})
	if err != nil {
		u.Fatal(err)
	}
	var all []container.InspectResponse
	for _, c := range list {
		one, err := u.engine.ContainerInspect(context.Background(), c.ID)
		if cerrdefs.IsNotFound(err) {
			continue // it has gone meanwhile
		}
		if err != nil {
			u.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// state is what is there and how, the same for every project that is as it should be.
func (u *upgrade) state() string {
	var lines []string
	all := u.containers()
	for _, c := range all {
		health := "no health"
		if c.State.Health != nil {
			health = c.State.Health.Status
		}
		var mounts, networks []string
		for _, m := range c.Mounts {
			mounts = append(mounts, m.Name+":"+m.Destination)
		}
		for name := range c.NetworkSettings.Networks {
			networks = append(networks, name)
		}
		for _, host := range all {
			if string(c.HostConfig.NetworkMode) == "container:"+host.ID {
				networks = append(networks, "of "+host.Name)
			}
		}
		lines = append(lines, fmt.Sprint(c.Name, " ", c.State.Running, " ", health, " ", c.HostConfig.RestartPolicy.Name, " ", mounts, " ", networks, " ", c.Config.Env))
	}
	slices.Sort(lines)
	return strings.ReplaceAll(strings.Join(lines, "\n"), u.project, "PROJECT")
}

// lost names the services of which there is no container any more, in whatever state.
func (u *upgrade) lost() (services []string) {
	all := u.containers()
	for _, service := range []string{"db", "api", "web", "probe"} {
		if !slices.ContainsFunc(all, func(c container.InspectResponse) bool {
			return c.Config.Labels["com.docker.compose.service"] == service
		}) {
			services = append(services, service)
		}
	}
	return services
}

// endsAs kills the upgrade after its nth call, and fails if the next run does not end as an
// undisturbed one, whose states are told by version. It tells false if the engine has come to harm, and nothing can be said.
func (u *upgrade) endsAs(want map[int]string, n int) bool {
	u.Helper()
	at := u.killedAfter(n)
	if at == nil {
		return true // side by side, some runs get by with fewer calls
	}
	if u.haunted() {
		return false
	}
	if lost := u.lost(); len(lost) > 0 {
		u.Errorf("killed after %s, nothing is left of %v", at, lost)
	}
	u.apply(u.next())
	if got := u.state(); got != want[u.version] {
		u.Errorf("killed after %s, it ends as\n%s\nexpected\n%s", at, got, want[u.version])
	}
	var out bytes.Buffer
	if code := run([]string{"plan", "-f", u.spec(u.version)}, nil, &out, &out, u.environ(u.engine.DaemonHost())); code != 0 {
		u.Errorf("killed after %s, there is something left to do: exit code %d\n%s", at, code, &out)
	}
	return true
}

// haunted tells whether the engine lists a container that it does not have, and goes on
// doing so.
func (u *upgrade) haunted() bool {
	u.Helper()
	return !within(time.Second, func() bool {
		listed, err := u.engine.ContainerList(context.Background(), container.ListOptions{All: true, Filters: ofProject(u.project)})
		if err != nil {
			u.Fatal(err)
		}
		return len(listed) == len(u.containers())
	})
}

// TestUpgradeThatIsKilledAnywhereEndsTheSame kills the agent after each call in turn that
// changes something on the engine. Each engine has its share of the calls, and some projects
// that go to and fro between two versions have theirs of those.
func TestUpgradeThatIsKilledAnywhereEndsTheSame(t *testing.T) {
	t.Parallel()
	const atOnce = 4
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		undisturbed := newUpgrade(t, engine)
		want := map[int]string{1: undisturbed.state()}
		undisturbed.killedAfter(0)
		want[2] = undisturbed.state()
		calls := len(undisturbed.proxy.Mutations())
		if calls < 24 { // each of four is at least made, stopped, renamed, started and removed
			t.Fatalf("only %d calls change something: %v", calls, undisturbed.proxy.Mutations())
		}
		nth := make([]int, calls)
		for i := range nth {
			nth[i] = i + 1
		}
		nth = enginetest.Share(t, engine, nth)
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				t.Run(fmt.Sprint("project ", i), func(t *testing.T) {
					u := newUpgrade(t, engine)
					for ; i < len(nth); i += atOnce {
						for !u.endsAs(want, nth[i]) {
							t.Log("once more: the engine lists a container that it does not have, which Docker 20.10 does when a client goes away at a bad moment")
							u = newUpgrade(t, engine)
						}
					}
				})
			})
		}
		all.Wait()
	})
}
