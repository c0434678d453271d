package docker_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec/compose"
)

// These benchmarks hold the whole program against docker compose and against the
// bare engine calls, in turn, on the same engine and the same services. They are
// run by `make bench`, which builds the programs and sets
//
//	FLUMEN_BENCH_ENGINE   the engine's host
//	FLUMEN_BENCH_AGENT    the agent's binary
//	FLUMEN_BENCH_COMPOSE  docker-compose's binary
//
// What they report are medians over the iterations, and ratios of these.

type contest struct {
	engine, agent, compose, image string
	api                           *client.Client
	dir                           string
	services                      int
}

func newContest(b *testing.B, services int) *contest {
	c := &contest{
		engine: os.Getenv("FLUMEN_BENCH_ENGINE"), agent: os.Getenv("FLUMEN_BENCH_AGENT"),
		compose: os.Getenv("FLUMEN_BENCH_COMPOSE"), image: enginetest.Sleeper,
		dir: b.TempDir(), services: services,
	}
	if c.engine == "" {
		b.Skip("FLUMEN_BENCH_ENGINE is not set: run make bench")
	}
	api, err := client.NewClientWithOpts(client.WithHost(c.engine), client.WithAPIVersionNegotiation())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { api.Close() })
	api.NegotiateAPIVersion(b.Context())
	c.api = api
	enginetest.Images(b, api)
	if err := os.WriteFile(filepath.Join(c.dir, "flumen.yaml"), c.spec(), 0o644); err != nil {
		b.Fatal(err)
	}
	return c
}

// spec is the same for both programs: a plain Compose file is one tier.
func (c *contest) spec() []byte {
	var s bytes.Buffer
	s.WriteString("name: flumen-bench\nx-service: &service\n  image: " + c.image + "\n  healthcheck:\n    test: [CMD, /sleeper, health]\n")
	for _, line := range c.interval() {
		s.WriteString("    " + line + "\n")
	}
	s.WriteString("services:\n")
	for i := range c.services {
		fmt.Fprintf(&s, "  s%03d: *service\n", i)
	}
	return s.Bytes()
}

// interval keeps the health checks themselves from filling the machine: an engine
// that knows start_interval looks often only at the beginning.
func (c *contest) interval() []string {
	if c.hasStartInterval() {
		return []string{"interval: 30s", "start_period: 30s", "start_interval: 200ms"}
	}
	return []string{"interval: 5s"}
}

func (c *contest) hasStartInterval() bool {
	var minor int
	fmt.Sscanf(c.api.ClientVersion(), "1.%d", &minor)
	return minor >= 44
}

func (c *contest) up() []string {
	return []string{c.agent, "apply", "--yes", "-f", filepath.Join(c.dir, "flumen.yaml")}
}

func (c *contest) composeUp() []string {
	return []string{c.compose, "-f", filepath.Join(c.dir, "flumen.yaml"), "up", "-d", "--wait"}
}

// run starts a program and gives its wall time and peak memory in MiB.
func (c *contest) run(b *testing.B, host string, argv []string) (time.Duration, float64) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+host)
	cmd.Dir = c.dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		b.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return took, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
}

// calls counts the engine calls of one run.
func (c *contest) calls(b *testing.B, argv []string) float64 {
	dir, err := os.MkdirTemp("", "bench") // a socket's path must be short
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	proxy, err := engineproxy.Start(dir, c.engine)
	if err != nil {
		b.Fatal(err)
	}
	defer proxy.Close()
	c.run(b, proxy.Host, argv)
	return float64(len(proxy.Calls()))
}

// clear removes what either program made.
func (c *contest) clear(b *testing.B) {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	f := filters.NewArgs(filters.Arg("label", "com.docker.compose.project=flumen-bench"))
	list, err := c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
	if err != nil {
		b.Fatal(err)
	}
	c.each(b, len(list), func(i int) error {
		return c.api.ContainerRemove(ctx, list[i].ID, container.RemoveOptions{Force: true})
	})
	networks, err := c.api.NetworkList(ctx, network.ListOptions{Filters: f})
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range networks {
		if err := c.api.NetworkRemove(ctx, n.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// each does n things, eight at a time.
func (c *contest) each(b *testing.B, n int, do func(i int) error) {
	b.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// look is the floor of a no-op: the lists, and an inspect of each container.
func (c *contest) look(b *testing.B) time.Duration {
	ctx, f := b.Context(), filters.NewArgs(filters.Arg("label", "com.docker.compose.project=flumen-bench"))
	began := time.Now()
	var g errgroup.Group
	var list []container.Summary
	g.Go(func() (err error) {
		list, err = c.api.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
		return err
	})
	g.Go(func() error { _, err := c.api.NetworkList(ctx, network.ListOptions{Filters: f}); return err })
	g.Go(func() error { _, err := c.api.VolumeList(ctx, volume.ListOptions{Filters: f}); return err })
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	c.each(b, len(list), func(i int) error { _, err := c.api.ContainerInspect(ctx, list[i].ID); return err })
	return time.Since(began)
}

// bareUp is the floor of a cold start: create and start, and wait for the health.
func (c *contest) bareUp(b *testing.B) time.Duration {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	labels := map[string]string{"com.docker.compose.project": "flumen-bench"}
	began := time.Now()
	if _, err := c.api.NetworkCreate(ctx, "flumen-bench_default", network.CreateOptions{Labels: labels}); err != nil {
		b.Fatal(err)
	}
	messages, errs := c.api.Events(ctx, events.ListOptions{Filters: filters.NewArgs(
		filters.Arg("label", "com.docker.compose.project=flumen-bench"), filters.Arg("event", "health_status"))})
	health := &container.HealthConfig{Test: []string{"CMD", "/sleeper", "health"}, Interval: 5 * time.Second}
	if c.hasStartInterval() {
		health.Interval, health.StartPeriod, health.StartInterval = 30*time.Second, 30*time.Second, 200*time.Millisecond
	}
	c.each(b, c.services, func(i int) error {
		made, err := c.api.ContainerCreate(ctx, &container.Config{Image: c.image, Labels: labels, Healthcheck: health},
			&container.HostConfig{NetworkMode: "flumen-bench_default"}, nil, nil, fmt.Sprintf("flumen-bench-s%03d-1", i))
		if err != nil {
			return err
		}
		return c.api.ContainerStart(ctx, made.ID, container.StartOptions{})
	})
	for healthy := 0; healthy < c.services; {
		select {
		case m := <-messages:
			if m.Action == events.ActionHealthStatusHealthy {
				healthy++
			}
		case err := <-errs:
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}

func BenchmarkNoop(b *testing.B) {
	for _, n := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newContest(b, n)
			c.clear(b)
			defer c.clear(b)
			c.run(b, c.engine, c.composeUp())
			c.run(b, c.engine, c.up()) // adopts what compose started
			calls, composeCalls := c.calls(b, c.up()), c.calls(b, c.composeUp())
			var agent, compose, floor []time.Duration
			var memory, composeMemory float64
			for b.Loop() {
				took, mib := c.run(b, c.engine, c.up())
				agent, memory = append(agent, took), max(memory, mib)
				took, mib = c.run(b, c.engine, c.composeUp())
				compose, composeMemory = append(compose, took), max(composeMemory, mib)
				floor = append(floor, c.look(b))
			}
			report(b, agent, compose, floor)
			b.ReportMetric(calls, "agent-calls")
			b.ReportMetric(composeCalls, "compose-calls")
			b.ReportMetric(memory, "agent-MiB")
			b.ReportMetric(composeMemory, "compose-MiB")
		})
	}
}

func BenchmarkColdToHealthy(b *testing.B) {
	for _, n := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newContest(b, n)
			c.clear(b)
			defer c.clear(b)
			calls := c.calls(b, c.up())
			c.clear(b)
			composeCalls := c.calls(b, c.composeUp())
			c.clear(b)
			var agent, compose, floor []time.Duration
			var memory, composeMemory float64
			for b.Loop() {
				took, mib := c.run(b, c.engine, c.up())
				agent, memory = append(agent, took), max(memory, mib)
				c.clear(b)
				took, mib = c.run(b, c.engine, c.composeUp())
				compose, composeMemory = append(compose, took), max(composeMemory, mib)
				c.clear(b)
				floor = append(floor, c.bareUp(b))
				c.clear(b)
			}
			report(b, agent, compose, floor)
			b.ReportMetric(calls, "agent-calls")
			b.ReportMetric(composeCalls, "compose-calls")
			b.ReportMetric(memory, "agent-MiB")
			b.ReportMetric(composeMemory, "compose-MiB")
		})
	}
}

// BenchmarkLook measures a look of a running agent: everything is inspected and compared,
// and nothing differs.
func BenchmarkLook(b *testing.B) {
	for _, n := range []int{10, 50, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := newContest(b, n)
			c.clear(b)
			defer c.clear(b)
			c.run(b, c.engine, c.up())
			loaded, err := compose.Load(b.Context(), compose.Options{File: filepath.Join(c.dir, "flumen.yaml")})
			if err != nil {
				b.Fatal(err)
			}
			r := &reconciler.Reconciler{Targets: []reconciler.Target{docker.New(c.api)}}
			var looks, floor []time.Duration
			for b.Loop() {
				began := time.Now()
				_, d, err := r.Look(b.Context(), loaded.Desired, reconciler.Options{})
				looks = append(looks, time.Since(began))
				if err != nil || !d.InSync() {
					b.Fatal(err, d)
				}
				floor = append(floor, c.look(b))
			}
			look, bare := median(looks), median(floor)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(look, "look-ms")
			b.ReportMetric(bare, "floor-ms")
			b.ReportMetric(look/bare, "look/floor")
		})
	}
}

// report gives the medians in milliseconds and how they compare.
func report(b *testing.B, agent, compose, floor []time.Duration) {
	a, c, f := median(agent), median(compose), median(floor)
	b.ReportMetric(0, "ns/op") // what one iteration of all three takes says nothing
	b.ReportMetric(a, "agent-ms")
	b.ReportMetric(c, "compose-ms")
	b.ReportMetric(f, "floor-ms")
	b.ReportMetric(a/c, "agent/compose")
	b.ReportMetric(a/f, "agent/floor")
}
