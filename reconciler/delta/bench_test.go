package delta_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// BenchmarkPlan plans large tables with the agent's binary and with delta-rs, each in a process of its own, in
// turn, and says how much time and memory each took and what it would have removed. `make bench-delta` sets
//
//	FLUMEN_BENCH_AGENT      the agent's binary
//	FLUMEN_BENCH_DELTALAKE  a Python that has the package deltalake
//	FLUMEN_BENCH_SPARK      an image with Spark and Delta Lake
//	FLUMEN_BENCH_TABLES     a folder in which the tables are kept
//	FLUMEN_BENCH_SCALE      what their size is divided by; 1 is a million live files
//
// and, for what is not always measured,
//
//	FLUMEN_BENCH_LARGEST    anything: F4 too
//	FLUMEN_TEST_MINIO       an image of MinIO: a table of 100,000 files in one
//
// The tables: F1 has one level of folders and a classic checkpoint; F2 a V2 checkpoint and deletion vectors of
// one file in twenty; F3 two levels; F5 has 300,000 live files, and Spark has written its log, with a checkpoint in
// parts; F6 has few files to go. Each is on a disk, and in a store that takes 20 ms for each answer; and each by a
// list of all files, and by the log alone (lite).
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
		Commits: 10_000 / scale, Checkpoint: 9_990 / scale, Days: 365, Now: time.Now(),
	}
	f2, f3, f6 := f1, f1, f1
	f2.Sidecars, f2.Vectors = 10, 20
	f3.Hours = 100
	f6.Dead, f6.Orphans = max(1, 100/scale), 0
	for _, t := range []struct {
		name string
		deltatest.Large
	}{{"F1", f1}, {"F2", f2}, {"F3", f3}, {"F6", f6}} {
		b.Run(t.name, func(b *testing.B) { benchLarge(b, t.name, t.Large, scale, t.Write) })
	}
	b.Run("F5", func(b *testing.B) { benchWritten(b, max(1, 1000/scale), scale) })
	if os.Getenv("FLUMEN_BENCH_LARGEST") != "" {
		f4 := deltatest.Large{Live: 10_000_000 / scale, Orphans: 200_000 / scale, Commits: 1000, Checkpoint: 990, Days: 365, Trimmed: true}
		b.Run("F4", func(b *testing.B) { benchLargest(b, f4) })
	}
	if os.Getenv(enginetest.MinIOVariable) != "" {
		few := deltatest.Large{Live: 80_000 / scale, Dead: 10_000 / scale, Orphans: 10_000 / scale, Commits: 1000, Checkpoint: 990, Days: 365}
		b.Run("minio", func(b *testing.B) { benchMinIO(b, few) })
	}
}

// benchLarge plans a table that write makes in a folder which is not there yet.
func benchLarge(b *testing.B, name string, l deltatest.Large, scale int, write func(dir string) error) {
	dir := filepath.Join(os.Getenv("FLUMEN_BENCH_TABLES"), fmt.Sprintf("%s-%d", name, scale))
	table := filepath.Join(dir, "lake.db", "large")
	if !deltatest.Made(table) {
		if err := write(table); err != nil {
			b.Fatal(err)
		}
	}
	one := race{spec: "stores: {large: {path: " + dir + "}}\nretention: {discover: [{store: large}]", table: table}
	b.Run("folder", func(b *testing.B) { one.floor = func() { listFolder(b, dir) }; compare(b, l, one) })
	b.Run("folder-lite", func(b *testing.B) { compare(b, l, one.lightly()) })
	for _, way := range []func(race) race{func(r race) race { return r }, race.lightly} {
		benchS3(b, l, dir, way)
	}
}

// benchS3 is the same in a store that takes its time.
func benchS3(b *testing.B, l deltatest.Large, dir string, way func(race) race) {
	b.Run("s3"+map[bool]string{true: "-lite"}[way(race{}).lite], func(b *testing.B) {
		s, err := deltatest.NewSlowS3(dir, "lake", 20*time.Millisecond)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		compare(b, l, way(inS3(s.URL, "reader", "readers-secret", func() (int64, int64) { return s.Lists.Swap(0), s.Gets.Swap(0) })))
	})
}

// benchWritten plans a table that Spark has written, with so many files in each folder.
func benchWritten(b *testing.B, files, scale int) {
	image := os.Getenv("FLUMEN_BENCH_SPARK")
	if image == "" {
		b.Skip("FLUMEN_BENCH_SPARK is not set, and nobody else writes this table")
	}
	l := deltatest.Large{Live: 300*files + 11, Dead: 60 * files, Orphans: 30 * files}
	benchLarge(b, "F5", l, scale, func(dir string) error {
		folder := filepath.Dir(dir)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		// Its files are to be the caller's, whose name Spark wants to know.
		as := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
		out, err := python(b, image, "testdata/large_spark.py", []string{"--user", as, "-e", "HOME=/tmp", "-v", "/etc/passwd:/etc/passwd:ro", "-v", folder + ":/lake"}, "/lake", strconv.Itoa(files))
		if live := strings.TrimSpace(out); err == nil && live != strconv.Itoa(l.Live) {
			err = fmt.Errorf("Spark says that %s files are live, want %d", live, l.Live)
		}
		return err
	})
}

// python has an image's Python run a program, with these options of docker run, and gives what it printed.
func python(b *testing.B, image, program string, options []string, argv ...string) (string, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return "", err
	}
	run := append([]string{"run", "--rm", "-v", program + ":/program.py:ro", "--entrypoint", "python3"}, options...)
	cmd := exec.CommandContext(b.Context(), "docker", append(append(run, image, "/program.py"), argv...)...)
	cmd.Stderr = b.Output()
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return string(out), err
}

// benchLargest plans a table of ten million files with nothing but the checkpoint and what came after it.
func benchLargest(b *testing.B, l deltatest.Large) {
	l.Now = time.Now()
	s, err := deltatest.NewSlowS3Of(l, "lake", "lake.db/large", 20*time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("s3", func(b *testing.B) {
		compare(b, l, inS3(s.URL, "reader", "readers-secret", func() (int64, int64) { return s.Lists.Swap(0), s.Gets.Swap(0) }))
	})
}

// benchMinIO plans a table in a MinIO of this machine.
func benchMinIO(b *testing.B, l deltatest.Large) {
	l.Now = time.Now()
	address := enginetest.MinIO(b)
	store, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(enginetest.MinIOUser, enginetest.MinIOPassword, "")})
	if err == nil {
		err = store.MakeBucket(b.Context(), "lake", minio.MakeBucketOptions{})
	}
	if err != nil {
		b.Fatal(err)
	}
	var uploads errgroup.Group
	uploads.SetLimit(32)
	put := func(name string, content []byte, written time.Time) error {
		uploads.Go(func() error {
			options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: written}}
			_, err := store.PutObject(b.Context(), "lake", "lake.db/large/"+name, bytes.NewReader(content), int64(len(content)), options)
			return err
		})
		return nil
	}
	err = l.Data(func(key string, written time.Time) error { return put(key, []byte{0}, written) })
	if err == nil {
		err = l.Log(func(name string, content []byte, written time.Time) error {
			return put("_delta_log/"+name, content, written)
		})
	}
	if err := errors.Join(err, uploads.Wait()); err != nil {
		b.Fatal(err)
	}
	b.Run("all", func(b *testing.B) {
		compare(b, l, inS3("http://"+address, enginetest.MinIOUser, enginetest.MinIOPassword, nil))
	})
}

// inS3 is a table in a bucket.
func inS3(url, user, secret string, calls func() (int64, int64)) race {
	spec := fmt.Sprintf("stores: {large: {endpoint: %q, access_key: %s, secret_key: %s, region: us-east-1}}\nretention: {discover: [{store: large, prefix: lake/lake.db}]", url, user, secret)
	return race{spec: spec, table: "s3://lake/lake.db/large", endpoint: url, user: user, secret: secret, calls: calls}
}

// race is one table for both programs.
type race struct {
	spec     string // of the agent, without the last brace
	table    string // for delta-rs
	endpoint string
	// The keys of the store.
	user, secret string

	lite  bool                       // by the log alone
	floor func()                     // the bare listing; nil: it is not measured
	calls func() (lists, gets int64) // since it was asked last; nil: there is no store
}

// lightly is the same by the log alone.
func (r race) lightly() race {
	r.lite, r.floor = true, nil
	return r
}

func (r race) vacuum() string {
	if r.lite {
		return "lite"
	}
	return "full"
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
	text := "name: bench\nservices: {}\n" + r.spec + ", defaults: {data: 7d, vacuum: " + r.vacuum() + ", min_age: 1 microsecond, max_delete_files: 10000000}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	var agent, rs took
	var floors []time.Duration
	said := ""
	if r.floor != nil {
		r.floor() // or whoever comes first would wait for the disk, and the others find in memory what it has read
	}
	for range b.N {
		out := agent.run(b, r, os.Getenv("FLUMEN_BENCH_AGENT"), "retention", "plan", "-o", "json", "-f", config)
		checkPlan(b, l, r.lite, out)
		if python := os.Getenv("FLUMEN_BENCH_DELTALAKE"); python != "" {
			said = rs.run(b, r, python, "testdata/vacuum.py", r.vacuum(), r.table, r.endpoint)
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
	if image := os.Getenv("FLUMEN_BENCH_SPARK"); image != "" && r.floor != nil {
		bySpark(b, image, r.table, middle(agent.wall))
	}
}

// bySpark has Spark plan a table once: it takes minutes. Its start counts for itself.
func bySpark(b *testing.B, image, table string, agent time.Duration) {
	out, err := python(b, image, "testdata/vacuum_spark.py", []string{"-v", table + ":/table:ro"}, "/table")
	if err != nil {
		b.Fatal(err)
	}
	var named, wrong int
	var start, vacuum, peak float64
	if _, err := fmt.Sscan(out, &named, &wrong, &start, &vacuum, &peak); err != nil || named == 0 {
		b.Fatalf("Spark: %v\n%s", err, out)
	}
	b.Logf("Spark names %d files, %d of which are not dead", named, wrong)
	b.ReportMetric(start, "spark-start-s")
	b.ReportMetric(vacuum, "spark-s")
	b.ReportMetric(peak, "spark-peak-MiB")
	b.ReportMetric(agent.Seconds()/vacuum, "agent/spark-time")
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
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+r.user, "AWS_SECRET_ACCESS_KEY="+r.secret)
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
func checkPlan(b *testing.B, l deltatest.Large, lite bool, out string) {
	b.Helper()
	if lite {
		l.Orphans = 0 // which the log does not name
	}
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
