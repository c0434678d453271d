package examples

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// script runs .ci/lakehouse in a folder as a user has it who cloned the repository, against
// this stack.
func (l *lakehouse) script(args ...string) {
	l.t.Helper()
	dir := l.t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".ci"), 0o755); err != nil {
		l.t.Fatal(err)
	}
	for _, name := range []string{".env.example", ".ci/lakehouse", ".ci/s3-program", ".ci/engine", ".ci/base-image", ".ci/again"} {
		content, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			l.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			l.t.Fatal(err)
		}
	}
	environ := append(l.environ(), "FLUMEN_AGENT="+l.agent)
	if code, out := run(l.t, environ, filepath.Join(dir, ".ci/lakehouse"), args...); code != 0 {
		l.t.Fatalf("lakehouse %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
}

// services are those that a plan for nothing would make, jobs too.
func (l *lakehouse) services() []string {
	l.t.Helper()
	var all []string
	for _, step := range l.planned("sql") {
		if name, ok := strings.CutPrefix(step, "create service/"); ok {
			all = append(all, name)
		}
	}
	return all
}

// least is what runs without any profile.
var least = []string{"hive-metastore", "hive-schema", "minio", "postgres", "postgres-roles", "spark-master", "spark-worker1"}

func TestEveryProfileOfTheLakehouseHasItsServices(t *testing.T) {
	enginetest.Hosts(t)
	l := newLakehouse(t)
	superset := []string{"superset", "superset-dump", "superset-init", "trino"}
	for profiles, more := range map[string][]string{
		"": nil, "worker2": {"spark-worker2"}, "notebooks": {"jupyterlab"}, "sql": {"trino"}, "bi": superset,
		"sql,notebooks": {"jupyterlab", "trino"}, "*": append([]string{"jupyterlab", "spark-worker2"}, superset...),
	} {
		l.env["COMPOSE_PROFILES"] = profiles
		if out := l.exits(0, "validate"); strings.Contains(out, "warning") {
			t.Errorf("profiles %q: %s", profiles, out)
		}
		want := slices.Sorted(slices.Values(append(slices.Clone(least), more...)))
		if diff := cmp.Diff(want, l.services()); diff != "" {
			t.Errorf("profiles %q (-want +got):\n%s", profiles, diff)
		}
	}
}

// aSmallMachine runs no more than what a table needs, and makes one.
func aSmallMachine(t *testing.T, l *lakehouse) {
	l.env["COMPOSE_PROFILES"] = ""
	defer func() { l.env["COMPOSE_PROFILES"] = "*" }()
	l.converges("sql")
	running := strings.Fields(l.docker("ps", "--filter", "label=com.docker.compose.project="+l.project, "--format", `{{.Label "com.docker.compose.service"}}`))
	slices.Sort(running)
	if diff := cmp.Diff([]string{"hive-metastore", "minio", "postgres", "spark-master", "spark-worker1"}, running); diff != "" {
		t.Errorf("running (-want +got):\n%s", diff)
	}
	const small = "CREATE DATABASE small; CREATE TABLE small.t (n INT); INSERT INTO small.t VALUES (41), (1); SELECT sum(n) FROM small.t; DROP TABLE small.t; DROP DATABASE small; SET spark.app.id"
	out := l.sparkSQL("spark-worker1", small)
	if !strings.Contains("\n"+out+"\n", "\n42\n") {
		t.Errorf("Spark says:\n%s", out)
	}
	l.hasEventLog(t, applicationID(t, out))
}

// aFutureSuperset is an end of Superset's Dockerfile whose job changes the database as a newer
// version might, loses something over it, and fails.
const aFutureSuperset = `ENTRYPOINT ["python3", "-c", "import sys, sqlalchemy, superset_config; e = sqlalchemy.create_engine(superset_config.SQLALCHEMY_DATABASE_URI); c = e.connect(); t = c.begin(); c.execute(sqlalchemy.text('DROP TABLE dashboards CASCADE')); c.execute(sqlalchemy.text(\"UPDATE alembic_version SET version_num = 'future'\")); t.commit(); sys.exit(1)"]`

// supersetIsDumped before a new version changes its database; the dump brings all of it back.
func supersetIsDumped(t *testing.T, l *lakehouse) {
	l.converges("sql")
	l.keepDashboard("Kept")
	next := l.project + "/superset:next"
	t.Cleanup(func() { l.run("docker", "image", "rm", "-f", next) })
	before := l.dumps()
	l.replace("flumen.yaml", "flumendata/superset:6.1.0", next)
	l.edit("images/superset/Dockerfile", aFutureSuperset)
	if out := l.exits(1, "apply", "--yes"); !strings.Contains(out, "service/superset-init") {
		t.Errorf("not Superset's job has failed:\n%s", out)
	}
	if version := l.mustSQL("superset", l.env["SUPERSET_DB_PASSWORD"], "superset", "SELECT version_num FROM alembic_version"); version != "future" {
		t.Fatalf("the new version has not migrated: %s", version)
	}
	made := slices.DeleteFunc(l.dumps(), func(name string) bool { return slices.Contains(before, name) })
	if len(made) != 1 || strings.Contains(made[0], "future") {
		t.Fatalf("the dumps before the migration are %q", made)
	}

	l.script("--restore-superset", made[0])
	l.git("revert", "--no-edit", "HEAD~2..HEAD")
	l.converges("sql")
	l.hasDashboard("Kept")
}

// dumps are those of Superset's database.
func (l *lakehouse) dumps() []string {
	l.t.Helper()
	all, err := filepath.Glob(filepath.Join(l.data, "backups/superset-*.dump"))
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// replace exchanges a text in a file of the repository and commits that.
func (l *lakehouse) replace(name, old, text string) {
	l.t.Helper()
	file := filepath.Join(l.repo, name)
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), old) {
		l.t.Fatalf("no %q in %s (%v)", old, name, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(content), old, text)), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.commit()
}

func (l *lakehouse) keepDashboard(title string) {
	l.t.Helper()
	s, err := l.logIn(l.env["SUPERSET_ADMIN_PASSWORD"])
	if err == nil {
		err = s.ask(http.MethodPost, "/api/v1/dashboard/", map[string]any{"dashboard_title": title, "published": true}, &struct{}{})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lakehouse) hasDashboard(title string) {
	l.t.Helper()
	s, err := l.logIn(l.env["SUPERSET_ADMIN_PASSWORD"])
	var all struct {
		Result []struct {
			Title string `json:"dashboard_title"`
		}
	}
	if err == nil {
		err = s.ask(http.MethodGet, "/api/v1/dashboard/", nil, &all)
	}
	if err != nil || len(all.Result) != 1 || all.Result[0].Title != title {
		l.t.Errorf("the dashboards are %+v (%v)", all.Result, err)
	}
}
