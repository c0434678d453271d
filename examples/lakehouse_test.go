package examples

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// lakehouseVariable is set where the machine has the room for the whole lakehouse;
// make test-lakehouse looks and sets it.
const lakehouseVariable = "FLUMEN_TEST_LAKEHOUSE"

// TestLakehouse brings the lakehouse of the root's flumen.yaml up, tier by tier, and asks
// each system for what it is there for. Its parts build on one another, so the first that
// fails is the last that runs.
func TestLakehouse(t *testing.T) {
	if os.Getenv(lakehouseVariable) == "" {
		t.Skip("needs memory and minutes: run make test-lakehouse")
	}
	l := newLakehouse(t)
	maps.Copy(l.env, compiledOnce)
	for _, part := range []struct {
		name string
		test func(*testing.T, *lakehouse)
	}{
		{"FoundationConvergesAndStaysSo", foundationConverges},
		{"FoundationKeepsItsDataWhenKilled", foundationIsKilled},
		{"EachServiceMayDoItsOwnInMinIOAndNoMore", eachMayDoItsOwn},
		{"PasswordChangesWhereItIsUsed", passwordChanges},
		{"ASmallMachineLeavesMostOut", aSmallMachine},
		{"SparkKeepsDeltaTables", sparkKeepsDeltaTables},
		{"TrinoReadsWhatSparkWrote", trinoReadsWhatSparkWrote},
		{"RetentionRemovesWhatSparkLeftAndBringsItBack", retentionIsKept},
		{"SparkActsForRetention", sparkActsForRetention},
		{"AStreamingQueryBegins", aStreamingQueryBegins},
		{"JupyterRunsTheExample", jupyterRunsTheExample},
		{"SupersetAsksTrino", supersetAsksTrino},
		{"SupersetShowsItsPage", supersetShowsItsPage},
		{"ItRestsInFourGiB", itRestsInFourGiB},
		{"AChangeInGitReplacesTrinoAlone", aChangeReplacesTrinoAlone},
		{"ABrokenMetastoreIsRolledBack", aBrokenMetastoreIsRolledBack},
		{"SupersetIsDumpedBeforeItMigrates", supersetIsDumped},
		{"EverythingComesUpAgain", everythingComesUpAgain},
		{"EverySystemComesBack", everySystemComesBack},
		{"ABackupIsRestoredOnAnotherMachine", aBackupIsRestored},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, l.in(t)) }) {
			return
		}
	}
}

// lakehouse is the stack of the root's flumen.yaml, under a name of its own.
type lakehouse struct {
	t       *testing.T
	agent   string
	project string
	repo    string            // a git repository with the file and what it names
	data    string            // the folder of MinIO's objects and the notebooks
	env     map[string]string // the variables of the file
	tls     *tls.Config       // whom to trust; nil: it speaks no TLS
	session *session          // the driver that stays
}

// newLakehouse prepares one that takes itself down after the test, with its data.
func newLakehouse(t *testing.T) *lakehouse {
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	l := &lakehouse{t: t, agent: build(t), project: enginetest.Project(t, engine), repo: filepath.Join(t.TempDir(), "lake"), data: t.TempDir(), session: &session{}}
	t.Cleanup(l.session.kill)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 1000, 1000 // as make lakehouse: no service runs as root
	}
	l.env = map[string]string{
		"DOCKER_HOST": engine.DaemonHost(), "FLUMEN_PROJECT": l.project, "FLUMEN_STATE": t.TempDir(), "FLUMEN_REPO": l.repo,
		"DATA_DIR": l.data, "DATA_UID": strconv.Itoa(uid), "DATA_GID": strconv.Itoa(gid),
		"COMPOSE_PROFILES": "*",
	}
	l.makeFolders()
	for _, name := range lakehouseSecrets(t) {
		l.env[name] = "The" + strings.ReplaceAll(name, "_", "") + "OfATest"
	}
	for _, name := range []string{"POSTGRES", "MINIO", "MINIO_CONSOLE", "HIVE", "SPARK", "SPARK_UI", "JUPYTER", "TRINO", "SUPERSET"} {
		l.env[name+"_PORT"] = freePort(t)
	}
	l.fillRepository()
	return l
}

// makeFolders makes the data folders, as make lakehouse does.
func (l *lakehouse) makeFolders() {
	l.t.Helper()
	uid, _ := strconv.Atoi(l.env["DATA_UID"])
	gid, _ := strconv.Atoi(l.env["DATA_GID"])
	for _, name := range []string{"minio", "notebooks", "backups"} {
		dir := filepath.Join(l.data, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			l.t.Fatal(err)
		}
	}
}

// lakehouseSecrets are the variables that make lakehouse makes up.
func lakehouseSecrets(t *testing.T) []string {
	t.Helper()
	example, err := os.ReadFile("../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(example)) {
		if name, random := strings.CutSuffix(strings.TrimSpace(line), "=<random>"); random {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatal(".env.example names no secret")
	}
	return names
}

// fillRepository commits what flumen.yaml is made of.
func (l *lakehouse) fillRepository() {
	l.t.Helper()
	if err := os.CopyFS(filepath.Join(l.repo, "examples/lakehouse"), os.DirFS("lakehouse")); err != nil {
		l.t.Fatal(err)
	}
	file, err := os.ReadFile("../flumen.yaml")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.repo, "flumen.yaml"), file, 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.git("init", "-q", "-b", "main")
	l.commit()
}

func (l *lakehouse) git(args ...string) {
	l.t.Helper()
	if code, out := l.run("git", append([]string{"-C", l.repo, "-c", "user.name=A", "-c", "user.email=a@example.org"}, args...)...); code != 0 {
		l.t.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
}

// commit takes the repository as it is.
func (l *lakehouse) commit() {
	l.t.Helper()
	l.git("add", "-A")
	l.git("commit", "-q", "-m", "Change")
}

// edit appends a line to a file of the lakehouse and commits that.
func (l *lakehouse) edit(name, line string) {
	l.t.Helper()
	f, err := os.OpenFile(filepath.Join(l.repo, "examples/lakehouse", name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line + "\n"); err != nil {
		l.t.Fatal(err)
	}
	l.commit()
}

// in is the same stack in a part of the test.
func (l *lakehouse) in(t *testing.T) *lakehouse {
	part := *l
	part.t = t
	return &part
}

// run gives the exit code and the output of a program that sees the variables of the stack.
func (l *lakehouse) run(program string, args ...string) (int, string) {
	l.t.Helper()
	return run(l.t, l.environ(), program, args...)
}

// environ is this process's, with the variables of the stack.
func (l *lakehouse) environ() []string {
	environ := os.Environ()
	for name, value := range l.env {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// exits expects an exit code of the agent.
func (l *lakehouse) exits(want int, args ...string) string {
	l.t.Helper()
	code, out := l.run(l.agent, args...)
	if code != want {
		l.t.Fatalf("flumen-agent %s: exit code %d, want %d\n%s", strings.Join(args, " "), code, want, out)
	}
	return out
}

// converges brings a tier up, and those below it, and expects the next plan to be empty.
func (l *lakehouse) converges(tier string) {
	l.t.Helper()
	l.exits(0, "apply", "--yes", "--tier", tier)
	l.exits(0, "plan", "--tier", tier)
}

// host is where its ports are.
func (l *lakehouse) host() string { return cmp.Or(l.env["BIND"], "127.0.0.1") }

func (l *lakehouse) container(service string) string { return l.project + "-" + service + "-1" }

func (l *lakehouse) docker(args ...string) string {
	l.t.Helper()
	code, out := l.run("docker", args...)
	if code != 0 {
		l.t.Fatalf("docker %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return strings.TrimSpace(out)
}

// kill ends a container as a crash does.
func (l *lakehouse) kill(service string) {
	l.t.Helper()
	l.docker("kill", l.container(service))
}

// planned lists what the plan up to a tier would change, as in "replace service/trino".
func (l *lakehouse) planned(tier string) []string {
	l.t.Helper()
	_, out := l.run(l.agent, "plan", "--tier", tier, "-o", "json")
	return stepsOf(l.t, out)
}

// stepsOf reads the steps of a plan, which is JSON, behind what may be warned of.
func stepsOf(t *testing.T, text string) []string {
	t.Helper()
	var plan struct {
		Stages []struct {
			Steps []struct{ Verb, Ref string }
		}
	}
	if err := json.NewDecoder(strings.NewReader(text[max(0, strings.Index(text, "{")):])).Decode(&plan); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	var steps []string
	for _, stage := range plan.Stages {
		for _, step := range stage.Steps {
			steps = append(steps, step.Verb+" "+step.Ref)
		}
	}
	slices.Sort(steps)
	return steps
}

// sql asks PostgreSQL over the network, as a user does.
func (l *lakehouse) sql(user, password, database, query string) (int, string) {
	l.t.Helper()
	code, out := l.run("docker", "exec", "-e", "PGPASSWORD="+password, l.container("postgres"),
		"psql", "-qtAX", "-h", "postgres", "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1", "-c", query)
	return code, strings.TrimSpace(out)
}

func (l *lakehouse) mustSQL(user, password, database, query string) string {
	l.t.Helper()
	code, out := l.sql(user, password, database, query)
	if code != 0 {
		l.t.Fatalf("%s in %s: %s", query, database, out)
	}
	return out
}

func foundationConverges(t *testing.T, l *lakehouse) {
	l.converges("foundation")
	for user, database := range map[string]string{"hive": "metastore", "superset": "superset"} {
		password := l.env[strings.ToUpper(user)+"_DB_PASSWORD"]
		l.mustSQL(user, password, database, "CREATE TABLE kept (); DROP TABLE kept")
	}
	for _, bucket := range []string{"lakehouse", "storage"} {
		if _, err := os.Stat(filepath.Join(l.data, "minio", bucket)); err != nil {
			t.Errorf("bucket %s: %v", bucket, err)
		}
	}
	everyContainerIsModest(t, l)
}

// noServiceHasTheRootKey but MinIO itself.
func noServiceHasTheRootKey(t *testing.T, l *lakehouse) {
	t.Helper()
	for _, id := range strings.Fields(l.docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+l.project)) {
		if told := l.docker("inspect", id); strings.Contains(told, l.env["MINIO_ROOT_PASSWORD"]) && !strings.Contains(told, l.container("minio")) {
			t.Errorf("container %s has the root key of MinIO", id)
		}
	}
}

// volumeID is the name of a volume that nobody named.
var volumeID = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// everyContainerIsModest: it offers its ports to this machine alone, is started by nobody but
// the agent, leaves no data where nobody would look for it, has an init, and does its work as somebody else than root.
func everyContainerIsModest(t *testing.T, l *lakehouse) {
	t.Helper()
	const format = `{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}|{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}|{{.HostConfig.RestartPolicy.Name}}|{{.HostConfig.Init}}|{{.Config.User}}|{{.State.Running}}|{{.Name}}`
	ids := strings.Fields(l.docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+l.project))
	for _, id := range ids {
		told := strings.Split(l.docker("inspect", "-f", format, id), "|")
		for _, address := range strings.Fields(told[0]) {
			if address != "127.0.0.1" {
				t.Errorf("container %s listens on %s", id, address)
			}
		}
		if volumeID.MatchString(told[1]) {
			t.Errorf("container %s has a volume without a name: %s", id, told[1])
		}
		if told[2] != "no" {
			t.Errorf("container %s is restarted by the engine: %s", id, told[2])
		}
		if told[3] != "true" {
			t.Errorf("container %s has no init", told[6])
		}
		// PostgreSQL's makes its folder its own before it is somebody else.
		if user, _, _ := strings.Cut(told[4], ":"); (user == "" || user == "0" || user == "root") && told[6] != "/"+l.container("postgres") {
			t.Errorf("container %s is started as %q", told[6], told[4])
		}
		if told[5] == "true" {
			l.nobodyIsRootIn(id)
		}
	}
}

// nobodyIsRootIn a container that runs: what its init has started is not. A health check is none of that.
func (l *lakehouse) nobodyIsRootIn(id string) {
	l.t.Helper()
	_, processes, _ := strings.Cut(l.docker("top", id, "-eo", "pid,ppid,uid,comm"), "\n")
	init, started := "", 0
	for process := range strings.Lines(processes) {
		switch cells := strings.Fields(process); {
		case cells[3] == "docker-init":
			init = cells[0]
		case cells[1] == init:
			started++
			if cells[2] == "0" {
				l.t.Errorf("in container %s root runs %s", id, process)
			}
		}
	}
	if started == 0 {
		l.t.Errorf("container %s has no init that runs something:\n%s", id, processes)
	}
}

func foundationIsKilled(t *testing.T, l *lakehouse) {
	password := l.env["HIVE_DB_PASSWORD"]
	l.mustSQL("hive", password, "metastore", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
	for _, service := range []string{"postgres", "minio"} {
		l.kill(service)
		l.exits(2, "drift")
		l.converges("foundation")
	}
	if got := l.mustSQL("hive", password, "metastore", "SELECT n FROM kept"); got != "42" {
		t.Errorf("the row is %q", got)
	}
	l.mustSQL("hive", password, "metastore", "DROP TABLE kept")
}

func passwordChanges(t *testing.T, l *lakehouse) {
	before := l.env["HIVE_DB_PASSWORD"]
	l.env["HIVE_DB_PASSWORD"] = "AnotherPasswordOfATest" // from here on
	if got := l.planned("foundation"); !slices.Equal(got, []string{"replace service/postgres-roles"}) {
		t.Errorf("the plan is %q", got)
	}
	l.converges("foundation")
	l.mustSQL("hive", l.env["HIVE_DB_PASSWORD"], "metastore", "SELECT 1")
	if code, _ := l.sql("hive", before, "metastore", "SELECT 1"); code == 0 {
		t.Error("the password from before still opens the database")
	}
}
