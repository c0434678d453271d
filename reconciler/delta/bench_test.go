package delta_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
)

// BenchmarkPlan plans large tables with the agent's binary and with delta-rs, each in a process of its own, in
// turn, and says how much time and memory each took and what it would have removed. `make bench-delta` sets
//
//	FLUMEN_BENCH_AGENT      the agent's binary
//	FLUMEN_BENCH_DELTALAKE  a Python that has the package deltalake
//	FLUMEN_BENCH_TABLES     a folder in which the tables are kept
//	FLUMEN_BENCH_SCALE      what their size is divided by; 1 is a million live files
//
// The tables: F1 has one level of folders and a classic checkpoint; F2 a V2 checkpoint and deletion vectors of
// one file in twenty; F3 two levels. Each is on a disk, and in a store that takes 20 ms for each answer.
func BenchmarkPlan(b *testing.B) {
	scale := 1
	if text := os.Getenv("FLUMEN_BENCH_SCALE"); text != "" {
		var err error
		if scale, err = strconv.Atoi(text); err != nil || scale < 1 {
			b.Fatalf("FLUMEN_BENCH_SCALE is %q, want a number", text)
		}
	}
	if os.Getenv("FLUMEN_BENCH_AGENT") == "" {
		b.Skip("FLUMEN_BENCH_AGENT is not set: run make bench-delta")
	}
	f1 := deltatest.Large{
		Live: 1_000_000 / scale, Dead: 100_000 / scale, Orphans: 100_000 / scale,
		Commits: 10_000 / scale, Checkpoint: 9_990 / scale, Days: 365,
	}
	f2, f3 := f1, f1
	f2.Sidecars, f2.Vectors = 10, 20
	f3.Hours = 100
	for i, l := range []deltatest.Large{f1, f2, f3} {
		name := fmt.Sprintf("F%d", i+1)
		b.Run(name, func(b *testing.B) { benchLarge(b, name, l, scale) })
	}
}

func benchLarge(b *testing.B, name string, l deltatest.Large, scale int) {
	l.Now = time.Now()
	dir := filepath.Join(os.Getenv("FLUMEN_BENCH_TABLES"), fmt.Sprintf("%s-%d", name, scale))
	table := filepath.Join(dir, "lake.db", "large")
	if !deltatest.Made(table) {
		if err := l.Write(table); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("folder", func(b *testing.B) {
		compare(b, l, race{spec: "stores: {large: {path: " + dir + "}}\nretention: {discover: [{store: large}]", table: table, floor: func() { listFolder(b, dir) }})
	})
	b.Run("s3", func(b *testing.B) {
		s, err := deltatest.NewSlowS3(dir, "lake", 20*time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		text := fmt.Sprintf("stores: {large: {endpoint: %q, access_key: reader, secret_key: readers-secret, region: us-east-1}}\nretention: {discover: [{store: large, prefix: lake/lake.db}]", s.URL)
		compare(b, l, race{
			spec: text, table: "s3://lake/lake.db/large", endpoint: s.URL,
			calls: func() (int64, int64) { return s.Lists.Swap(0), s.Gets.Swap(0) },
		})
	})
}

// race is one table for both programs.
type race struct {
	spec     string // of the agent, without the last brace
	table    string // for delta-rs
	endpoint string
	floor    func()                     // the bare listing; nil: it is not measured
	calls    func() (lists, gets int64) // since it was asked last; nil: there is no store
}

// took are the measurements of one program.
type took struct {
	wall, cpu []time.Duration
	peak      []float64 // MiB
	lists     int64
	gets      int64
}

func compare(b *testing.B, l deltatest.Large, r race) {
	config := filepath.Join(b.TempDir(), "flumen.yaml")
	text := "name: bench\nservices: {}\n" + r.spec + ", defaults: {data: 7d, max_delete_files: 10000000}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	var agent, rs took
	var floors []time.Duration
	said := ""
	for range b.N {
		out := agent.run(b, r, os.Getenv("FLUMEN_BENCH_AGENT"), "retention", "plan", "-o", "json", "-f", config)
		checkPlan(b, l, out)
		if python := os.Getenv("FLUMEN_BENCH_DELTALAKE"); python != "" {
			said = rs.run(b, r, python, "testdata/vacuum.py", r.table, r.endpoint)
		}
		if r.floor != nil {
			began := time.Now()
			r.floor()
			floors = append(floors, time.Since(began))
		}
	}
	b.ReportMetric(0, "ns/op")
	agent.report(b, "agent")
	if len(floors) > 0 {
		b.ReportMetric(middle(floors).Seconds(), "floor-s")
	}
	if len(rs.wall) > 0 {
		rs.report(b, "deltalake")
		b.ReportMetric(float64(middle(agent.wall))/float64(middle(rs.wall)), "agent/deltalake-time")
		b.ReportMetric(middle(agent.peak)/middle(rs.peak), "agent/deltalake-memory")
		b.Logf("deltalake: %s", said)
	}
}

// run starts a program and gives what it printed.
func (t *took) run(b *testing.B, r race, argv ...string) string {
	b.Helper()
	if r.calls != nil {
		r.calls()
	}
	cmd := exec.CommandContext(b.Context(), argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	peak := make(chan float64)
	go func() { peak <- highWater(cmd.Process.Pid) }()
	err := cmd.Wait()
	t.wall, t.peak = append(t.wall, time.Since(began)), append(t.peak, <-peak)
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 2 { // 2: files could go
		b.Fatalf("%s: %v\n%s%s", strings.Join(argv, " "), err, errs.String(), out.String())
	}
	t.cpu = append(t.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	if r.calls != nil {
		t.lists, t.gets = r.calls()
	}
	return out.String()
}

// highWater is the most memory that a process has had, in MiB, as far as it was seen before its end. What wait(2)
// tells would count the memory of this process, which it was forked from.
func highWater(pid int) (most float64) {
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, after, ok := strings.Cut(string(status), "VmHWM:")
		if err != nil || !ok {
			return most // it has ended
		}
		if kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64); err == nil {
			most = kib / 1024
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (t *took) report(b *testing.B, who string) {
	b.ReportMetric(middle(t.wall).Seconds(), who+"-s")
	b.ReportMetric(middle(t.cpu).Seconds(), who+"-cpu-s")
	b.ReportMetric(middle(t.peak), who+"-peak-MiB")
	if t.lists > 0 {
		b.ReportMetric(float64(t.lists), who+"-lists")
		b.ReportMetric(float64(t.gets), who+"-gets")
	}
}

func middle[T time.Duration | float64](all []T) T {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// checkPlan fails unless the agent found all that is dead and nothing else: a plan that is wrong is not fast.
func checkPlan(b *testing.B, l deltatest.Large, out string) {
	b.Helper()
	var r struct {
		Tables []struct {
			Files   int64               `json:"files"`
			Goes    struct{ Files int } `json:"goes"`
			Dead    struct{ Files int } `json:"dead"`
			Orphans struct{ Files int } `json:"orphans"`
		} `json:"tables"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Tables) != 1 {
		b.Fatalf("the plan is %v, %d tables\n%s", err, len(r.Tables), out)
	}
	if t := r.Tables[0]; t.Dead.Files != l.Dead || t.Orphans.Files != l.Orphans || t.Goes.Files != l.Dead+l.Orphans || t.Files != int64(l.Live) {
		b.Fatalf("of %d dead files, %d orphans and %d live ones the plan has %d, %d and %d\n%s", l.Dead, l.Orphans, l.Live, t.Dead.Files, t.Orphans.Files, t.Files, out)
	}
}

func listFolder(b *testing.B, dir string) {
	err := folder.New(dir).List(b.Context(), "", true, func(string, int64, time.Time, string) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
}
