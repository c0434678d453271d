package delta_test

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// readersVariable names the environment variable with the image that .ci/readers builds.
const readersVariable = "FLUMEN_TEST_READERS"

// inReaders is where the readers see the tables: what one of them names by its full path is there.
const inReaders = "/var/lib/delta-tables"

// oldVersions are, of each table that Spark made, those that were committed 60 days ago; the rest
// was 20 days ago. The rule keeps 30 days.
var oldVersions = map[string]int64{
	"change_data": 2, "checkpoint_parts": 7, "checkpoint_v2": 7, "clocked": 3, "cloned": 1, "cloned_source": 2, "column_mapping": 3,
	"hidden_partition": 2, "merged": 3, "partitions": 3, "replaced": 1, "restored": 3, "vectors": 3, "vectors_prefixed": 2,
}

// committedAt is when a version of a table was committed, if it is now.
func committedAt(table string, now time.Time) func(int64) time.Time {
	return func(version int64) time.Time {
		age := 60 * day
		switch {
		case version <= oldVersions[table]:
		case table == "replaced":
			age = 30*day + time.Hour // and some minutes younger: see below
		default:
			age = 20 * day
		}
		return now.Add(-age).Add(time.Duration(version) * 15 * time.Minute)
	}
}

// sparkFiles are the files of the tables that Spark made, by table.
func sparkFiles(t *testing.T) map[string][]deltatest.Stored {
	t.Helper()
	f, err := os.Open("testdata/spark-4.0.1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]deltatest.Stored{}
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return tables
		}
		content, readErr := io.ReadAll(in)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if table, path, ok := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/"); ok && h.Typeflag == tar.TypeReg {
			tables[table] = append(tables[table], deltatest.Stored{Path: path, Content: content, Written: h.ModTime})
		}
	}
}

// session is a container with real readers of Delta tables, which are asked one thing at a time.
type session struct {
	*testing.T
	in  io.Writer
	out *bufio.Reader
}

// newSession starts one, with these options of docker run.
func newSession(t *testing.T, options ...string) *session {
	if testing.Short() {
		t.Skip("Spark takes minutes")
	}
	image := os.Getenv(readersVariable)
	if image == "" {
		enginetest.Lacks(t, "an image with Spark and delta-rs, whose name is in "+readersVariable)
	}
	// To compile what runs for hours would take half of all its time.
	const short = "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
	cmd := exec.CommandContext(t.Context(), "docker", append(append([]string{"run", "-i", "--rm", "-e", short}, options...), image)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+enginetest.Hosts(t)[0])
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() }) // it ends when nobody can ask any more
	s := &session{t, in, bufio.NewReader(out)}
	if line, err := s.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the readers say %q: %v", line, err)
	}
	return s
}

// ask asks something about a table.
func ask[T any](s *session, what, table string, argument any) (answer T) {
	s.Helper()
	question, err := json.Marshal([]any{what, table, argument})
	if err == nil {
		_, err = fmt.Fprintf(s.in, "%s\n", question)
	}
	var line []byte
	if err == nil {
		line, err = s.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err != nil {
		s.Fatalf("%s %s: %v: %s", what, table, err, line)
	}
	return answer
}

// programs is a folder for what tests build.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "flumen-test-")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build builds the agent for all tests.
var build = sync.OnceValues(func() (agent string, err error) {
	agent = filepath.Join(programs, "flumen-agent")
	if out, err := exec.Command("go", "build", "-o", agent, "../../cmd/flumen-agent").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the agent: %w\n%s", err, out)
	}
	return agent, nil
})

func program(t *testing.T) string {
	t.Helper()
	agent, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

// retention runs a command of the program with its own clock, and gives its report and exit code.
func retention(t *testing.T, agent, file string, args ...string) (report proof.Report, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), agent, append([]string{"retention"}, append(args, "-o", "json", "-f", file)...)...)
	cmd.Env = []string{
		"FLUMEN_STATE=" + filepath.Dir(file), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "DOCKER_HOST=unix:///nowhere.sock",
		"AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword,
	}
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("retention %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return report, cmd.ProcessState.ExitCode()
}

// readers are real readers, and tables before them.
type readers struct {
	*session
	dir    string // of the tables
	agent  string
	spec   string
	newest map[string]int64      // the newest version of each table
	made   map[string][][]string // the files of each version of each table
}

func newReaders(t *testing.T) *readers {
	dir := t.TempDir()
	r := &readers{
		session: newSession(t, "-v", dir+":"+inReaders+":ro"),
		dir:     dir, agent: program(t), spec: filepath.Join(t.TempDir(), "flumen.yaml"), newest: map[string]int64{}, made: map[string][][]string{},
	}
	rule := "mode: enforce, max_delete_ratio: 1, properties: off"
	spec := fmt.Sprintf(`name: lake
services: {a: {image: busybox}}
stores: {local: {path: %s}}
retention:
  discover: [{store: local}]
  defaults: {%s}
  rules: [{match: "*.checkpoint_v2", min_age: 1s, vacuum: full, %s}]
`, r.dir, rule, rule)
	r.must(os.WriteFile(r.spec, []byte(spec), 0o600))
	r.fill(time.Now())
	return r
}

func (r *readers) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// fill lays the tables out as they would be now, and files beside that no version knows.
func (r *readers) fill(now time.Time) {
	r.Helper()
	for table, files := range sparkFiles(r.T) {
		aged, err := deltatest.Aged(files, committedAt(table, now))
		r.must(err)
		for _, f := range aged {
			writeFile(r.T, filepath.Join(r.dir, table, f.Path), strings.NewReader(string(f.Content)), f.Written)
			if name := filepath.Base(f.Path); filepath.Dir(f.Path) == "_delta_log" && strings.HasSuffix(name, ".json") && !strings.Contains(name, "checkpoint") {
				r.newest[table]++
			}
		}
		r.newest[table]--
	}
	old := now.Add(-60 * day)
	for path, written := range map[string]time.Time{
		"checkpoint_parts/part-orphan.parquet":                                   old, // seen too lately
		"checkpoint_v2/part-orphan.parquet":                                      old, // goes
		"checkpoint_v2/deletion_vector_2b6ed5cf-3e2d-4d21-9a6b-9d0d3a9a61a1.bin": old,
		"checkpoint_v2/_tmp/part-hidden.parquet":                                 old,
		"checkpoint_v2/part-young.parquet":                                       now,
		"partitions/p=50%25/notes.txt":                                           old,
		"partitions/p=a b/_hidden/part-hidden.parquet":                           old,
	} {
		writeFile(r.T, filepath.Join(r.dir, path), strings.NewReader("no version of "+path), written)
	}
	empty := filepath.Join(r.dir, "partitions/p=empty")
	r.must(errors.Join(os.Mkdir(empty, 0o755), os.Chtimes(empty, old, old), os.Chmod(r.dir, 0o755)))
}

// reading is what a reader made of a version.
type reading struct {
	Rows          int
	Digest, Error string
}

// read reads every version of every table.
func (r *readers) read(what string) map[string][]reading {
	r.Helper()
	all := map[string][]reading{}
	for table := range r.newest {
		all[table] = ask[[]reading](r.session, what, inReaders+"/"+table, r.versions(table))
	}
	return all
}

func (r *readers) versions(table string) (all []int64) {
	for v := range r.newest[table] + 1 {
		all = append(all, v)
	}
	return all
}

func (r *readers) report(args ...string) proof.Report {
	r.Helper()
	report, _ := retention(r.T, r.agent, r.spec, args...)
	if len(report.Tables) != len(r.newest) {
		r.Fatalf("a report of %d tables", len(report.Tables))
	}
	return report
}

// files lists what the tables hold, but for what was set aside.
func (r *readers) files() map[string]bool {
	r.Helper()
	all := map[string]bool{}
	r.must(filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "/_flumen_quarantine/") {
			all[strings.TrimPrefix(path, r.dir+"/")] = true
		}
		return err
	}))
	return all
}

// TestSparkAndDeltaRsReadEveryVersionThatStays ages tables that Spark made, has the program remove
// what may go of them, and has both readers read every version of every table before and after.
func TestSparkAndDeltaRsReadEveryVersionThatStays(t *testing.T) {
	t.Parallel()
	r := newReaders(t)
	r.report("plan") // for those whose orphans have to be seen earlier
	before, listed := map[string]map[string][]reading{}, r.files()
	for _, reader := range []string{"spark", "delta-rs"} {
		before[reader] = r.read(reader)
	}
	if diff := cmp.Diff(before["spark"], before["delta-rs"]); diff != "" {
		t.Errorf("before anything was removed, -Spark +delta-rs read:\n%s", diff)
	}
	vacuum := map[string][]string{}
	for table := range r.newest {
		for version, one := range before["spark"][table] {
			if one.Error != "" {
				t.Errorf("%s@%d cannot be read before anything is removed: %s", table, version, one.Error)
			}
		}
		r.made[table] = ask[[][]string](r.session, "files", inReaders+"/"+table, r.versions(table))
		vacuum[table] = ask[[]string](r.session, "vacuum", inReaders+"/"+table, 30*24)
	}
	changes := ask[[]reading](r.session, "changes", inReaders+"/change_data", r.versions("change_data"))

	plan := r.report("plan")
	report := r.report("run")
	gone := listed
	for path := range r.files() {
		delete(gone, path)
	}
	for i, table := range plan.Tables {
		if removed := report.Tables[i].Removal; table.Goes.Files > 0 && (removed == nil || removed.Removed != table.Goes || !removed.Verified) {
			t.Errorf("%s: %+v were removed, and the plan said %+v", table.Name, removed, table.Goes)
		}
	}
	if len(gone) != int(plan.Goes.Files) || len(gone) < 20 {
		t.Errorf("%d files are gone, and the plan said %d", len(gone), plan.Goes.Files)
	}
	for _, reader := range []string{"spark", "delta-rs"} {
		after := r.read(reader)
		for _, table := range plan.Tables {
			name := filepath.Base(table.Place)
			r.compare(reader, table, gone, before[reader][name], after[name])
		}
	}
	r.compareChanges(changes, ask[[]reading](r.session, "changes", inReaders+"/change_data", r.versions("change_data")))
	t.Run("VacuumOfSparkDiffersOnlyByRules", func(t *testing.T) { differ(t, r, vacuum, gone) })

	retention(t, r.agent, r.spec, "undo", report.Run)
	if diff := cmp.Diff(before["delta-rs"], r.read("delta-rs")); diff != "" {
		t.Errorf("when it was undone, -before +after:\n%s", diff)
	}
}

// compare holds what a reader reads of a table against what it read before: a version is as it
// was, or it has lost a file and is older than the oldest that the plan says can be read.
func (r *readers) compare(reader string, table proof.Table, gone map[string]bool, before, after []reading) {
	r.Helper()
	name, oldest := filepath.Base(table.Place), int64(0)
	if table.Readable != nil {
		oldest = table.Readable.Version
	}
	var unread []int
	for version, one := range after {
		if one.Error != "" {
			unread = append(unread, version)
		}
		var lost []string
		for _, file := range r.made[name][version] {
			if gone[name+"/"+file] {
				lost = append(lost, file)
			}
		}
		switch {
		case one.Error == "" && one != before[version]:
			r.Errorf("%s reads %d rows of %s@%d, and %d before, or others", reader, one.Rows, name, version, before[version].Rows)
		case one.Error != "" && int64(version) >= oldest:
			r.Errorf("%s cannot read %s@%d, and the plan says that %d can be: %s", reader, name, version, oldest, one.Error)
		case (one.Error != "") != (len(lost) > 0):
			r.Errorf("%s@%d has lost %q, and %s reads it as %+v", name, version, lost, reader, one)
		}
	}
	if len(unread) > 0 {
		r.Logf("%s reads %s but for versions %v of %d; the plan said from %d on", reader, name, unread, len(after), oldest)
	}
}

// compareChanges expects change data of the versions that stay, and none of others.
func (r *readers) compareChanges(before, after []reading) {
	r.Helper()
	for first, one := range after {
		switch stays := int64(first) > oldVersions["change_data"]; {
		case before[first].Error != "":
			r.Errorf("changes since %d cannot be read before anything is removed: %s", first, before[first].Error)
		case stays && one != before[first]:
			r.Errorf("changes since %d are %+v, and were %+v", first, one, before[first])
		case !stays && one.Error == "":
			r.Errorf("changes since %d can be read without their files: %+v", first, one)
		}
	}
}

// A difference is why a file is in Spark's list of what a VACUUM would remove and does not go.
type difference struct {
	rule string
	is   func(r *readers, table, key string) bool
}

// differences are those that the rules make. The first that fits explains a file.
var differences = []difference{
	{"1.1: a removal is old an hour later", func(_ *readers, table, _ string) bool { return table == "replaced" }},
	{"1.4 P7: a shallow clone uses it", func(r *readers, table, key string) bool {
		return table == "cloned_source" && r.names("cloned", "file:"+inReaders+"/cloned_source/"+key)
	}},
	{"1.4 P11: no writer of Delta names its files so", func(_ *readers, _, key string) bool { return filepath.Ext(key) == ".txt" }},
	{"1.4 P12: a folder stays", func(r *readers, table, key string) bool {
		info, err := os.Stat(filepath.Join(r.dir, table, key))
		return err == nil && info.IsDir()
	}},
	{"1.6.2: a table without a live file is held", func(_ *readers, table, _ string) bool {
		return table == "clocked" || table == "cloned_source"
	}},
	{"1.7: our lists have not shown the orphan for a day", func(r *readers, table, key string) bool {
		return table != "checkpoint_v2" && !r.names(table, key)
	}},
	// The table says 7 days, and what VACUUM is told does not bring back what Spark has forgotten by then.
	{"0.6: it left the table within the 30 days of the rule", func(r *readers, table, key string) bool {
		return oldVersions[table] < r.newest[table] && slices.Contains(r.made[table][oldVersions[table]], key)
	}},
}

// names tells whether a version of a table has a file.
func (r *readers) names(table, file string) bool {
	return slices.ContainsFunc(r.made[table], func(files []string) bool { return slices.Contains(files, file) })
}

// differ compares what Spark's VACUUM would remove with what went, as sets. Every difference has
// a rule, and every rule makes one.
func differ(t *testing.T, r *readers, vacuum map[string][]string, gone map[string]bool) {
	used, only := map[string][]string{}, maps.Clone(gone)
	for table, paths := range vacuum {
		if len(paths) >= 1000 {
			t.Fatalf("Spark lists no more than 1,000 files, and %d of %s", len(paths), table)
		}
		for _, path := range paths {
			key := strings.TrimPrefix(strings.TrimPrefix(path, "file:"), inReaders+"/"+table+"/")
			if gone[table+"/"+key] {
				delete(only, table+"/"+key)
				continue
			}
			i := slices.IndexFunc(differences, func(d difference) bool { return d.is(r, table, key) })
			if i < 0 {
				t.Errorf("Spark would remove %s of %s, it stays, and no rule says why", key, table)
				continue
			}
			used[differences[i].rule] = append(used[differences[i].rule], table+"/"+key)
		}
	}
	for path := range only {
		t.Errorf("%s went, and Spark would not remove it", path)
	}
	for _, d := range differences {
		if t.Logf("%s: %q", d.rule, used[d.rule]); len(used[d.rule]) == 0 {
			t.Errorf("rule %s makes no difference", d.rule)
		}
	}
}
