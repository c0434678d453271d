package delta_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// race is one table for all programs, and one way of looking at it.
type race struct {
	truth
	spec     string // of the agent, without the last brace
	table    string // for delta-rs
	endpoint string
	// The keys of the store.
	user, secret string

	lite   bool            // by the log alone
	floors []*floor        // bare lists, beside which the programs are shown
	calls  func() requests // since it was asked last; nil: there is no store that counts
	spark  string          // the folder of the table; "" if Spark is not asked
	cold   bool            // no round comes before those that count
	alone  bool            // nobody but the agent
}

// lightly is the same by the log alone.
func (r race) lightly() race {
	r.lite, r.floors = true, nil
	return r
}

func (r race) vacuum() string {
	if r.lite {
		return "lite"
	}
	return "full"
}

// requests are what a store was asked.
type requests struct{ lists, gets, heads int64 }

// took are the measurements of one program.
type took struct {
	wall, cpu []time.Duration
	peak      []float64 // MiB
	requests
}

// contender is a program that says what it would remove. Each round is a process of its own.
type contender struct {
	name  string
	round func(b *testing.B, t *took) (names []string)
	took
	score
}

// rounds is how often each program is measured.
func rounds(b *testing.B) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("FLUMEN_BENCH_COUNT"), "5"))
	if err != nil || n < 1 {
		b.Fatalf("FLUMEN_BENCH_COUNT is %q, want a number", os.Getenv("FLUMEN_BENCH_COUNT"))
	}
	return n
}

// compare has all programs and lists take turns. The first round fills what the kernel keeps in memory, and does not count.
func compare(b *testing.B, r race) took {
	all := []*contender{agent(b, r)}
	if !r.alone {
		all = append(all, deltalakes(b, r)...)
	}
	count, load := rounds(b), loadNow()
	for round := range count + 1 {
		warm := round == 0
		if warm && r.cold {
			continue
		}
		for _, c := range all {
			t := &c.took
			if warm {
				t = new(took)
			}
			c.score = r.judge(c.round(b, t), r.lite)
		}
		for _, f := range r.floors {
			f.round(b, warm)
		}
	}
	if c := all[0]; !c.perfect() {
		b.Errorf("the agent: %+v: a plan that is wrong is not fast", c.score)
	}
	if image := os.Getenv("FLUMEN_BENCH_SPARK"); image != "" && r.spark != "" {
		if c, err := askSpark(b, image, r); err != nil {
			b.Logf("Spark is left out: %v", err)
		} else {
			all = append(all, c)
		}
	}
	first := "the first round is left out"
	if r.cold {
		first = "from the first round on"
	}
	b.Logf("%s: %s live files, and %s that it could name; rounds that count: %d, in turn, %s; medians, and from the least to the most; load %s before, %s after\n\n%s",
		r.vacuum(), grouped(r.live), grouped(r.findable(r.lite)), count, first, load, loadNow(), table(all, r.floors))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(all[0].wall).Seconds(), "agent-s")
	b.ReportMetric(middle(all[0].peak), "agent-peak-MiB")
	return all[0].took
}

// loadNow is how much the machine has to do, as the kernel says it; numbers of a busy one say little.
func loadNow() string {
	text, _ := os.ReadFile("/proc/loadavg") // "" where there is none
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// table shows what all were worth, and then what it cost.
func table(all []*contender, floors []*floor) string {
	var t strings.Builder
	t.WriteString("| | named | precision | recall | |\n| --- | --- | --- | --- | --- |\n")
	for _, c := range all {
		fmt.Fprintf(&t, "| %s | %s | %.6f | %.6f | %s |\n", c.name, grouped(c.named), c.precision(), c.recall(), c.verdict())
	}
	t.WriteString("\n| | time | CPU | peak memory | lists, reads, looks | the agent's time to this | its memory to this |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	agent := all[0]
	for _, c := range all {
		cpu, asked := "", ""
		if len(c.cpu) > 0 {
			cpu = seconds(c.cpu)
		}
		if c.lists > 0 {
			asked = fmt.Sprintf("%d, %d, %d", c.lists, c.gets, c.heads)
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %.0f MiB | %s | %.3f | %.3f |\n", c.name, seconds(c.wall), cpu, middle(c.peak), asked,
			ratio(agent.wall, c.wall), middle(agent.peak)/middle(c.peak))
	}
	for _, f := range floors {
		fmt.Fprintf(&t, "| %s: %s files | %s | | | | %.3f | |\n", f.name, grouped(f.files), seconds(f.wall), ratio(agent.wall, f.wall))
	}
	return t.String()
}

// seconds are those of the middle one, and of the least and the most.
func seconds(all []time.Duration) string {
	text := fmt.Sprintf("%.2f s", middle(all).Seconds())
	if len(all) > 1 {
		text += fmt.Sprintf(" (%.2f to %.2f)", slices.Min(all).Seconds(), slices.Max(all).Seconds())
	}
	return text
}

func ratio(a, b []time.Duration) float64 { return float64(middle(a)) / float64(middle(b)) }

func middle[T time.Duration | float64](all []T) T {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// agent has a memory of its own in each round, as at the first look at a table.
func agent(b *testing.B, r race) *contender {
	dir := b.TempDir()
	config := filepath.Join(dir, "flumen.yaml")
	configure(b, config, r, "vacuum: "+r.vacuum())
	return &contender{name: "the agent", round: func(b *testing.B, t *took) []string {
		state, err := os.MkdirTemp(dir, "state")
		if err != nil {
			b.Fatal(err)
		}
		defer os.RemoveAll(state)
		checkPlan(b, r, t.run(b, r, os.Getenv("FLUMEN_BENCH_AGENT"), "retention", "plan", "-o", "json", "-f", config, "--state", state))
		return planned(b, state)
	}}
}

// configure writes a file for the agent, with more of the rule.
func configure(b *testing.B, path string, r race, rule string) {
	b.Helper()
	text := "name: bench\nservices: {}\n" + r.spec + ", defaults: {data: 7d, min_age: 1 microsecond, max_delete_files: 10000000, " + rule + "}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// checkPlan fails unless the agent counts as many files of each kind as there are.
func checkPlan(b *testing.B, want race, out string) {
	b.Helper()
	if want.lite {
		want.orphans = 0 // which the log does not name
	}
	var r struct {
		Tables []struct {
			Files   int                 `json:"files"`
			Goes    struct{ Files int } `json:"goes"`
			Dead    struct{ Files int } `json:"dead"`
			Orphans struct{ Files int } `json:"orphans"`
		} `json:"tables"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Tables) != 1 {
		b.Fatalf("the plan is %v, %d tables\n%s", err, len(r.Tables), out)
	}
	if t := r.Tables[0]; t.Dead.Files != want.dead || t.Orphans.Files != want.orphans || t.Goes.Files != want.dead+want.orphans || t.Files != want.live {
		b.Fatalf("of %d dead files, %d orphans and %d live ones the plan has %d, %d and %d\n%s", want.dead, want.orphans, want.live, t.Dead.Files, t.Orphans.Files, t.Files, out)
	}
}

// planned reads what a plan has written down: which files would go. Those of the log are not what is compared.
func planned(b *testing.B, state string) (names []string) {
	b.Helper()
	manifests, err := filepath.Glob(filepath.Join(state, "retention", "bench", "tables", "*", "manifest.jsonl.zst"))
	if err != nil || len(manifests) != 1 {
		b.Fatalf("%d manifests, want one: %v", len(manifests), err)
	}
	f, err := os.Open(manifests[0])
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	in, err := zstd.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	for d := json.NewDecoder(in); ; {
		var line struct{ Key, Class string }
		switch err := d.Decode(&line); {
		case err == io.EOF:
			return names
		case err != nil:
			b.Fatal(err)
		case line.Key != "" && !strings.HasPrefix(line.Key, "_delta_log/"):
			names = append(names, line.Key)
		}
	}
}

// deltalakes are delta-rs in all versions there are.
func deltalakes(b *testing.B, r race) (all []*contender) {
	for _, python := range filepath.SplitList(os.Getenv("FLUMEN_BENCH_DELTALAKE")) {
		out := filepath.Join(b.TempDir(), "names")
		all = append(all, &contender{name: deltalake(b, python), round: func(b *testing.B, t *took) []string {
			t.run(b, r, python, "testdata/vacuum.py", r.vacuum(), r.table, out, r.endpoint)
			return namesIn(b, out)
		}})
	}
	return all
}

// deltalake is the name of delta-rs with its version.
func deltalake(b *testing.B, python string) string {
	b.Helper()
	version, err := exec.CommandContext(b.Context(), python, "-c", "import deltalake; print(deltalake.__version__)").Output()
	if err != nil {
		b.Fatalf("%s has no deltalake: %v", python, err)
	}
	return "delta-rs " + strings.TrimSpace(string(version))
}

// namesIn reads a file of names.
func namesIn(b *testing.B, path string) (names []string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		names = append(names, lines.Text())
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return names
}

// askSpark has Spark plan a table once: it takes minutes. Its start counts for itself.
func askSpark(b *testing.B, image string, r race) (*contender, error) {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { // Spark is a user of its own
		return nil, err
	}
	out, err := python(b, image, "testdata/vacuum_spark.py", []string{"-v", r.spark + ":/table:ro", "-v", dir + ":/names"}, strings.ToUpper(r.vacuum()), "/table", "/names/names")
	if err != nil {
		return nil, err
	}
	var start, vacuum, peak float64
	if _, err := fmt.Sscan(out, &start, &vacuum, &peak); err != nil {
		return nil, fmt.Errorf("it prints %q: %w", out, err)
	}
	names := namesIn(b, filepath.Join(dir, "names"))
	for i, name := range names {
		_, names[i], _ = strings.Cut(name, "/table/")
	}
	took := took{wall: []time.Duration{time.Duration(vacuum * float64(time.Second))}, peak: []float64{peak}}
	return &contender{name: fmt.Sprintf("Spark (once, heap of 4 GiB, and %.1f s to start)", start), took: took, score: r.judge(names, r.lite)}, nil
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
		t.requests = r.calls()
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
