package examples

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/go-units"
)

// numbersVariable names a file for what is measured; make bench-lakehouse sets it.
const numbersVariable = "FLUMEN_BENCH_LAKEHOUSE"

// imagesVariable is set where all images are built from nothing, which takes a quarter of an hour.
const imagesVariable = "FLUMEN_BENCH_IMAGES"

// TestNumbersOfTheLakehouse measures, and expects only that everything goes well.
func TestNumbersOfTheLakehouse(t *testing.T) {
	file := os.Getenv(numbersVariable)
	if file == "" {
		t.Skip("measures: run make bench-lakehouse")
	}
	l := newLakehouse(t)
	var n numbers
	n.images(l)
	n.starts(l)
	n.rest(l)
	n.noop(l)
	n.kills(l)
	if err := os.WriteFile(file, n.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// numbers is a text with tables.
type numbers struct{ bytes.Buffer }

func (n *numbers) table(title string, columns ...string) {
	fmt.Fprintf(n, "\n## %s\n\n", title)
	n.row(columns...)
	n.row(slices.Repeat([]string{"---"}, len(columns))...)
}

func (n *numbers) row(cells ...string) { fmt.Fprintf(n, "| %s |\n", strings.Join(cells, " | ")) }

// theImages in an order in which they can be built.
var theImages = []string{"postgres", "minio", "hive-metastore", "spark", "jupyterlab", "trino", "superset"}

// images tells how large each is, and how long it takes to build from nothing but its base.
func (n *numbers) images(l *lakehouse) {
	names := map[string]string{}
	for _, name := range []string{"postgres:17", "minio:2026-02-12", "hive-metastore:4.1.0", "spark:4.0.1", "jupyterlab:4.6.6", "trino:476", "superset:6.1.0"} {
		folder, _, _ := strings.Cut(name, ":")
		names[folder] = "flumendata/" + name
	}
	built := map[string]string{}
	if os.Getenv(imagesVariable) != "" {
		for _, name := range theImages {
			tag := l.project + "/" + name
			l.t.Cleanup(func() { l.run("docker", "image", "rm", "-f", tag) })
			began := time.Now()
			l.docker("build", "-q", "--no-cache", "-t", tag, "--build-arg", "SPARK_IMAGE="+l.project+"/spark", filepath.Join("lakehouse/images", name))
			built[name] = seconds(time.Since(began))
		}
	}
	l.converges("sql") // which builds what is not there
	l.gone()
	n.table("Images", "image", "MB", "built in")
	for _, name := range theImages {
		var size int64
		fmt.Sscan(l.docker("image", "inspect", "-f", "{{.Size}}", names[name]), &size)
		n.row(name, fmt.Sprint(size/units.MB), built[name])
	}
}

// gone takes the stack down, and its volumes and objects away.
func (l *lakehouse) gone() {
	l.t.Helper()
	l.exits(0, "down", "--yes")
	l.docker(append([]string{"volume", "rm"}, strings.Fields(l.docker("volume", "ls", "-q", "--filter", "label=com.docker.compose.project="+l.project))...)...)
	for _, name := range []string{"minio", "notebooks", "backups"} {
		if err := os.RemoveAll(filepath.Join(l.data, name)); err != nil {
			l.t.Fatal(err)
		}
	}
	l.makeFolders()
}

// starts tells how long all of it takes to be ready, and the chain of services that bounded that.
func (n *numbers) starts(l *lakehouse) {
	n.table("Start with images there", "from", "took", "critical path")
	for _, from := range []string{"nothing", "its data, after down"} {
		began := time.Now()
		said := l.exits(0, "apply", "--yes")
		took := seconds(time.Since(began))
		_, path, _ := strings.Cut(said, "critical path ")
		path, _, _ = strings.Cut(path, "\n")
		n.row(from, took, path)
		if from == "nothing" {
			l.exits(0, "down", "--yes")
		}
	}
}

// rest tells the memory of each service when nobody asks it anything.
func (n *numbers) rest(l *lakehouse) {
	n.table("Memory at rest", "service", "MiB")
	used := l.memory(slices.Concat(theTiers...))
	var sum int64
	for _, service := range slices.Sorted(maps.Keys(used)) {
		n.row(service, fmt.Sprint(used[service]/units.MiB))
		sum += used[service]
	}
	n.row("together", fmt.Sprint(sum/units.MiB))
}

// noop tells how long the agent takes to see that there is nothing to do.
func (n *numbers) noop(l *lakehouse) {
	n.table("Nothing to do, median of ten", "command", "took")
	for _, args := range [][]string{{"plan"}, {"apply", "--yes"}, {"drift"}} {
		var took []time.Duration
		for range 10 {
			began := time.Now()
			l.exits(0, args...)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		n.row("`flumen-agent "+strings.Join(args, " ")+"`", fmt.Sprintf("%d ms", took[len(took)/2].Milliseconds()))
	}
}

// kills tells how long a running agent takes to have each service healthy again after docker kill,
// each in turn, and all ready before the next.
func (n *numbers) kills(l *lakehouse) {
	agent := exec.Command(l.agent, "run")
	agent.Env = l.environ()
	if err := agent.Start(); err != nil {
		l.t.Fatal(err)
	}
	defer func() {
		_ = agent.Process.Signal(os.Interrupt)
		_ = agent.Wait()
	}()
	ready := func() bool { code, _ := l.run(l.agent, "status"); return code == 0 }
	l.await("all is ready", ready)
	n.table("From docker kill to healthy, with an agent running", "service", "took")
	for _, service := range slices.Concat(theTiers...) {
		state := func() string {
			return l.docker("inspect", "-f", "{{.State.StartedAt}} {{.State.Health.Status}}", l.container(service))
		}
		before := state()
		began := time.Now()
		l.kill(service)
		l.await(service+" is healthy again", func() bool {
			now := state()
			return now != before && strings.HasSuffix(now, " healthy") && !strings.HasPrefix(now, strings.Fields(before)[0])
		})
		n.row(service, seconds(time.Since(began)))
		l.await("all is ready", ready)
	}
}

// await waits for what takes minutes at most.
func (l *lakehouse) await(what string, is func() bool) {
	l.t.Helper()
	if !within(15*time.Minute, 100*time.Millisecond, is) {
		l.t.Fatalf("not within five minutes: %s", what)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
