// Package enginetest gives tests real Docker engines, tiny images to run on them, and a
// project of their own that is gone after the test.
package enginetest

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

// Variable names the environment variable with the engines to test on, separated by
// spaces: "unix:///var/run/docker.sock tcp://localhost:2375".
const Variable = "FLUMEN_TEST_ENGINES"

// allVariable is set where every part that a test needs has to be there.
const allVariable = "FLUMEN_TEST_ALL"

// runVariable has what the names of all that tests make begin with, so that what is left of a run
// that was broken off can be found (.ci/side-by-side).
const runVariable = "FLUMEN_TEST_RUN"

// everyVariable is set where every case goes to every engine.
const everyVariable = "FLUMEN_TEST_EVERY_ENGINE"

// Lacks skips a test that lacks a part, which is said. In make test, which brings all parts,
// the test fails instead.
func Lacks(t testing.TB, part string) {
	t.Helper()
	if os.Getenv(allVariable) != "" {
		t.Fatalf("needs %s", part)
	}
	t.Skipf("needs %s: run make test, which brings it", part)
}

// Hosts are the engines to test on, at least one.
func Hosts(t testing.TB) []string {
	t.Helper()
	hosts := strings.Fields(os.Getenv(Variable))
	if len(hosts) == 0 {
		Lacks(t, "a Docker engine, whose address is in "+Variable)
	}
	return hosts
}

// Each runs a test on each engine, as a subtest of its own.
func Each(t *testing.T, test func(t *testing.T, engine *client.Client)) {
	t.Helper()
	for _, host := range Hosts(t) {
		t.Run(strings.ReplaceAll(host, "/", "."), func(t *testing.T) {
			test(t, Connect(t, host))
		})
	}
}

// Share gives the cases that an engine has to itself: the first engine the first one, the next
// engine the next, and so on in turn. It is for what says more about the agent than about its
// engine. With FLUMEN_TEST_EVERY_ENGINE=1 each engine has all of them.
func Share[Case any](t testing.TB, engine *client.Client, cases []Case) []Case {
	t.Helper()
	hosts := Hosts(t)
	if os.Getenv(everyVariable) != "" {
		return cases
	}
	share := []Case{} // not nil, which testscript takes for not given
	for i := slices.Index(hosts, engine.DaemonHost()); i < len(cases); i += len(hosts) {
		share = append(share, cases[i])
	}
	return share
}

// Connect gives a client of an engine.
func Connect(t testing.TB, host string) *client.Client {
	t.Helper()
	engine, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	if _, err := engine.Ping(t.Context()); err != nil {
		t.Fatalf("engine %s: %v", host, err)
	}
	engine.NegotiateAPIVersion(t.Context())
	return engine
}

// Project gives a project name that nobody has, and removes what carries it afterwards:
// containers, networks and volumes.
func Project(t testing.TB, engine client.APIClient) string {
	t.Helper()
	name := "flumen-test-" + os.Getenv(runVariable) + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		Clean(ctx, t, engine, name)
	})
	return name
}

// given counts what Subnet and HostPort have given. Each process begins somewhere else.
var given = func() *atomic.Uint32 {
	var n atomic.Uint32
	n.Store(mathrand.Uint32N(1 << 20))
	return &n
}()

// Subnet gives the first three numbers of an address range that no other test has, as in
// "10.213.7": an engine allows no two networks that overlap.
func Subnet() string {
	n := given.Add(1) % (100 << 8)
	return fmt.Sprintf("10.%d.%d", 130+n>>8, n&0xff)
}

// HostPort gives the first of ten ports of an engine's host that no other test has, below those that
// the system hands out.
func HostPort() int { return 20000 + int(given.Add(1)%1000)*10 }

// Clean removes everything of a project.
func Clean(ctx context.Context, t testing.TB, engine client.APIClient, project string) {
	t.Helper()
	ofProject := filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+project))
	containers, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ofProject})
	if err != nil {
		t.Error(err)
	}
	var g errgroup.Group
	var haunted atomic.Bool
	g.SetLimit(8)
	for _, c := range containers {
		g.Go(func() error {
			err := engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
			if cerrdefs.IsNotFound(err) {
				haunted.Store(true)
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	complain := t.Error
	if haunted.Load() {
		// Docker 20.10 lists, when a client goes away at a bad moment, a container that it
		// does not have, and keeps what that uses until it is started again.
		complain = t.Log
	}
	networks, err := engine.NetworkList(ctx, network.ListOptions{Filters: ofProject})
	if err != nil {
		complain(err)
	}
	for _, n := range networks {
		if err := removeNetwork(ctx, t, engine, n.ID); err != nil {
			complain(err)
		}
	}
	volumes, err := engine.VolumeList(ctx, volume.ListOptions{Filters: ofProject})
	if err != nil {
		complain(err)
		return
	}
	for _, v := range volumes.Volumes {
		if err := engine.VolumeRemove(ctx, v.Name, true); err != nil {
			complain(err)
		}
	}
}

// removeNetwork gives a busy engine time: it may go on counting a container as connected
// after it has removed it, and now and then for good, which only a disconnection by force
// ends. What it counts and cannot name itself, as Docker 20.10 does when a client goes away
// at a bad moment, stays until it is started again, which is said.
func removeNetwork(ctx context.Context, t testing.TB, engine client.APIClient, id string) error {
	t.Helper()
	for try := 0; ; try++ {
		err := engine.NetworkRemove(ctx, id)
		if err == nil || !cerrdefs.IsPermissionDenied(err) {
			return err
		}
		time.Sleep(250 * time.Millisecond)
		if try < 20 {
			continue
		}
		n, inspectErr := engine.NetworkInspect(ctx, id, network.InspectOptions{})
		switch {
		case inspectErr != nil:
			return inspectErr
		case try == 40 && len(n.Containers) == 0:
			t.Logf("left behind, with nothing on it that the engine knows of: %v", err)
			return nil
		case try == 40:
			return err
		}
		for _, endpoint := range n.Containers {
			_ = engine.NetworkDisconnect(ctx, id, endpoint.Name, true) // the next try tells
		}
	}
}
