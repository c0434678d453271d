package delta_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// deletions is a way to a store on which only so many deletions come through, as long as it is said so.
type deletions struct {
	*httptest.Server
	mu   sync.Mutex
	left int           // that come through; below 0: all
	held chan struct{} // closed when one does not
}

func newDeletions(t *testing.T, address string, most int) *deletions {
	d := &deletions{left: most, held: make(chan struct{})}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host // it is signed
	}, ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) }}
	d.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete && !d.passes() {
			<-r.Context().Done() // whoever asked has gone
			return
		}
		pass.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { d.CloseClientConnections(); d.Close() })
	return d
}

func (d *deletions) passes() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left--; d.left == -1 {
		close(d.held)
	}
	return d.left < -1<<20 || d.left >= 0
}

func (d *deletions) letAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = -1 << 30
}

// cutOff is an agent that has a real Spark vacuum a table in a bucket.
type cutOff struct {
	*testing.T
	engine  *client.Client
	project string
	agent   string
	file    string
}

const maintained = `name: %[1]s
services:
  a: {image: busybox}
  maintenance:
    image: %[2]s
    entrypoint: [entrypoint.sh]
    command: [spark-sql]
    profiles: [maintenance]
    network_mode: host
    environment: {AWS_ACCESS_KEY_ID: %[3]s, AWS_SECRET_ACCESS_KEY: %[4]s, JAVA_TOOL_OPTIONS: "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    configs: [{source: spark, target: /etc/spark/spark-defaults.conf}]
    mem_limit: 2g
configs:
  spark:
    content: |
      spark.master local[2]
      spark.driver.memory 1g
      spark.sql.extensions io.delta.sql.DeltaSparkSessionExtension
      spark.sql.catalog.spark_catalog org.apache.spark.sql.delta.catalog.DeltaCatalog
      spark.databricks.delta.snapshotPartitions 2
      spark.sql.shuffle.partitions 2
      spark.sql.sources.parallelPartitionDiscovery.parallelism 8
      spark.hadoop.fs.s3a.endpoint %[5]s
      spark.hadoop.fs.s3a.endpoint.region us-east-1
      spark.hadoop.fs.s3a.path.style.access true
%[6]s  spark: {service: maintenance}
  defaults: {mode: enforce, max_delete_ratio: 1, data: 7d, engine: spark}
`

// start begins a command of retention as a process of its own, which remembers in a folder beside the
// spec. The function that it gives waits for its end.
func (c *cutOff) start(state string, args ...string) (p *os.Process, wait func() (report proof.Report, code int, said string)) {
	c.Helper()
	cmd := exec.Command(c.agent, append([]string{"retention"}, append(args, "-o", "json", "-f", c.file)...)...)
	cmd.Env = []string{
		"FLUMEN_STATE=" + filepath.Join(filepath.Dir(c.file), state), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "DOCKER_HOST=" + c.engine.DaemonHost(),
		"AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword,
	}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	return cmd.Process, func() (report proof.Report, code int, _ string) {
		c.Helper()
		err := cmd.Wait()
		var ended *exec.ExitError
		switch {
		case errors.As(err, &ended) && !ended.Exited():
			return report, -1, said.String()
		case err != nil && ended == nil:
			c.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			c.Fatalf("retention %v: %v\n%s%s", args, err, &out, &said)
		}
		return report, cmd.ProcessState.ExitCode(), out.String() + said.String()
	}
}

// containers are those in which Spark is.
func (c *cutOff) containers() (all []container.Summary) {
	c.Helper()
	of := filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+c.project), filters.Arg("label", "com.docker.compose.oneoff=True"))
	all, err := c.engine.ContainerList(c.Context(), container.ListOptions{All: true, Filters: of})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

// mustStillRun expects one container, which runs since it was first seen.
func (c *cutOff) mustStillRun(after, id string) {
	c.Helper()
	if all := c.containers(); len(all) != 1 || all[0].ID != id || all[0].State != container.StateRunning {
		c.Fatalf("after %s: %+v", after, all)
	}
}

// TestRealVacuumWhoseAgentIsKilledIsEndedAndTakenDown kills the agent with SIGKILL in the middle of a
// VACUUM of a real Spark, with an agent beside it that remembers elsewhere. That one leaves Spark alone, the
// next one of the same memory stops it, takes down what it has removed, and has a new one go on. Every version
// that stays is read as before, all along.
func TestRealVacuumWhoseAgentIsKilledIsEndedAndTakenDown(t *testing.T) {
	t.Parallel()
	image := enginetest.Program(t, readersVariable)
	address := enginetest.MinIO(t)
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	const most = 2 // files that the first VACUUM removes
	road := newDeletions(t, address, most)
	on := bucketOn(t, address)
	c := &cutOff{t, engine, enginetest.Project(t, engine), program(t), filepath.Join(t.TempDir(), "flumen.yaml")}
	spec := fmt.Sprintf(maintained, c.project, image, enginetest.MinIOUser, enginetest.MinIOPassword, road.URL, on.spec)
	if err := os.WriteFile(c.file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	const table, oldest = "partitions", 3 // the oldest version that stays
	age := map[bool]time.Duration{true: 60 * day, false: 3 * day}
	now, newest := time.Now(), int64(-1)
	aged, err := deltatest.Aged(sparkFiles(t)[table], func(version int64) time.Time {
		return now.Add(-age[version <= oldest]).Add(time.Duration(version) * time.Minute)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range aged {
		if err := on.put(table+"/"+f.Path, f); err != nil {
			t.Fatal(err)
		}
		if f.Path == fmt.Sprintf("_delta_log/%020d.json", newest+1) {
			newest++
		}
	}
	s := newSession(t, on.options...)
	read := func(readers ...string) map[string][]reading {
		var versions []int64
		for v := int64(oldest); v <= newest; v++ {
			versions = append(versions, v)
		}
		all := map[string][]reading{}
		for _, reader := range readers {
			all[reader] = ask[[]reading](s, reader, on.url+"/"+table, versions)
		}
		return all
	}
	before := read("spark", "delta-rs")
	mustRead := func(after string, readers ...string) {
		t.Helper()
		want := maps.Clone(before)
		maps.DeleteFunc(want, func(reader string, _ []reading) bool { return !slices.Contains(readers, reader) })
		if diff := cmp.Diff(want, read(readers...)); diff != "" {
			t.Errorf("after %s, -before +after:\n%s", after, diff)
		}
	}
	for reader, all := range before {
		for i, one := range all {
			if one.Error != "" {
				t.Fatalf("%s cannot read version %d: %s", reader, i+oldest, one.Error)
			}
		}
	}
	do := func(state string, args ...string) (proof.Report, int, string) {
		t.Helper()
		_, wait := c.start(state, args...)
		return wait()
	}
	var planned int64
	for _, state := range []string{"state", "other"} {
		report, _, said := do(state, "plan")
		if planned = report.Goes.Files; planned <= most || !report.Tables[0].BySpark {
			t.Fatalf("%d files can go\n%s", planned, said)
		}
	}
	story := c.story()

	victim, wait := c.start("state", "run")
	select {
	case <-road.held:
	case <-time.After(30 * time.Minute): // a busy machine takes minutes
		t.Error("Spark has not removed anything")
	}
	all := c.containers()
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	id := all[0].ID
	report, code, said := do("other", "run")
	if f, busy := report.Tables[0].Find(proof.FoundBusy); !busy || code != 3 || !strings.Contains(f.Says, c.project+"-maintenance-run is at it") {
		t.Errorf("beside the first: exit code %d\n%s", code, said)
	}
	c.mustStillRun("an agent beside it", id)
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, code, said := wait(); code != -1 {
		t.Fatalf("it was not killed: exit code %d\n%s", code, said)
	}
	c.mustStillRun("the kill", id)
	if _, code, said := do("other", "run"); code != 3 || !strings.Contains(said, "is at it") {
		t.Errorf("after the kill, beside it: exit code %d\n%s", code, said)
	}
	c.mustStillRun("the kill and an agent beside it", id)
	mustRead("the kill", "delta-rs")

	ended, _ := engine.ContainerWait(t.Context(), id, container.WaitConditionNotRunning)
	go func() {
		select { // Spark asks again, and would go on if it were let before it is stopped
		case <-ended:
			road.letAll()
		case <-t.Context().Done():
		}
	}()
	report, code, said = do("state", "run")
	one := report.Tables[0]
	f, cut := one.Find(proof.FoundInterrupted)
	if code != 0 || !cut || !strings.Contains(f.Says, fmt.Sprintf("had removed %d files", most)) || !strings.Contains(f.Says, fmt.Sprintf("of %d files", planned)) ||
		!strings.Contains(strings.Join(report.Notes, "\n"), "Spark was still at it, and was stopped") {
		t.Errorf("the next one: exit code %d\n%s", code, said)
	}
	if r := one.Removal; r == nil || !r.Verified || r.Removed.Files != planned-most {
		t.Errorf("%d of %d files were gone: %+v\n%s", most, planned, r, said)
	}
	mustRead("both", "spark", "delta-rs")
	if report, code, said := do("other", "run"); code != 0 || report.Goes.Files != 0 {
		t.Errorf("the other one afterwards: exit code %d\n%s", code, said)
	}
	if left := c.containers(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	if diff := cmp.Diff([]string{"start 1", "die 1", "start 2", "die 2"}, story(4)); diff != "" {
		t.Errorf("containers, -want +have:\n%s", diff)
	}
}

// story hears of containers in which Spark is. It gives the first of what it has heard: which of them was
// started and has ended, by its number.
func (c *cutOff) story() func(n int) []string {
	of := filters.NewArgs(filters.Arg("label", "com.docker.compose.project="+c.project), filters.Arg("label", "com.docker.compose.oneoff=True"),
		filters.Arg("event", "start"), filters.Arg("event", "die"))
	heard, over := c.engine.Events(c.Context(), events.ListOptions{Filters: of})
	return func(n int) (all []string) {
		var known []string
		for len(all) < n {
			select {
			case m := <-heard:
				if !slices.Contains(known, m.Actor.ID) {
					known = append(known, m.Actor.ID)
				}
				all = append(all, fmt.Sprint(m.Action, " ", slices.Index(known, m.Actor.ID)+1))
			case err := <-over:
				c.Error(err)
				return all
			case <-time.After(time.Minute):
				return all
			}
		}
		return all
	}
}
