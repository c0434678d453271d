package examples

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// TestPlatformOfComposeFilesIsTakenOver is what docs/migrate.md says, step by step: a platform
// that was started tier by tier with docker compose, with data in it, is kept up by the agent
// from then on. PostgreSQL, MinIO and docker compose are real, and so are all files, networks and volumes. For six
// of the eight systems a small program stands in: what is taken over is how a container was made, its
// mounted files and its health, of which it has the same, and not what runs inside. The images of such a platform are
// its own, and to build and start them takes a quarter of an hour; that the systems themselves come back with their data is
// what TestLakehouse shows.
func TestPlatformOfComposeFilesIsTakenOver(t *testing.T) {
	programs := strings.Fields(os.Getenv("FLUMEN_TEST_COMPOSE"))
	if len(programs) == 0 {
		enginetest.Lacks(t, "docker compose, whose binary is in FLUMEN_TEST_COMPOSE")
	}
	// The newest; that others start things no differently is tested beside the command.
	p := newPlatform(t, build(t), programs[len(programs)-1])
	p.startTierByTier()
	p.fill()
	before := p.containers()
	if len(before) != 9 {
		t.Fatalf("docker compose started %d containers:\n%s", len(before), strings.Join(before, "\n"))
	}

	p.exits(0, p.agent, "validate")
	p.exits(0, p.agent, "plan")
	p.exits(0, p.agent, "apply", "--yes")
	p.same(before, "it was taken over")
	p.exits(0, p.agent, "plan")
	p.exits(0, p.agent, "status")
	p.holdsItsData()

	// The way back is open: docker compose finds nothing to do either.
	p.exits(0, p.compose, append(p.files(3), "up", "-d")...)
	p.same(before, "docker compose had its turn again")

	p.isKeptUp()
	p.waitsForARestart("config/hive/hive-site.xml", "hive-metastore")
	p.changesAlone("docker-compose.tier3.yml", "-Xmx4G", "-Xmx3G", "trino")
	p.changesAlone("config/trino/config.properties", "true", "false", "trino")
	p.changesAlone("config/superset/superset.env", "admin", "operator", "superset")
	p.holdsItsData()
}

// platform is a folder of Compose files, as testdata/migrate has them, and what runs of it.
type platform struct {
	*testing.T
	agent, compose string
	dir, project   string
	env            map[string]string // what its .env says
}

func newPlatform(t *testing.T, agent, compose string) *platform {
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	enginetest.Images(t, engine)
	p := &platform{T: t, agent: agent, compose: compose, dir: filepath.Join(t.TempDir(), "platform"), project: enginetest.Project(t, engine)}
	if err := os.CopyFS(p.dir, os.DirFS("testdata/migrate")); err != nil {
		t.Fatal(err)
	}
	p.env = map[string]string{
		"COMPOSE_PROJECT_NAME": p.project, "PREFIX": p.project, "DATA_DIR": "../data", "MINIO_IMAGE": enginetest.MinIOImage(t),
		"POSTGRES_USER": "flumen", "POSTGRES_PASSWORD": "flumen_pass", "POSTGRES_DB": "flumendata",
		"MINIO_ROOT_USER": "minioadmin", "MINIO_ROOT_PASSWORD": "minioadmin123", "MINIO_SERVER_URL": "http://minio:9000", "MINIO_BROWSER_REDIRECT_URL": "http://localhost:9001",
		"POSTGRESQL_JDBC_VERSION": "42.7.4", "DELTA_VERSION": "4.0.0",
	}
	for _, name := range []string{"POSTGRES_PORT", "MINIO_PORT_API", "MINIO_PORT_CONSOLE", "HIVE_PORT", "SPARK_UI_PORT", "SPARK_PORT", "JUPYTER_PORT", "TRINO_PORT", "SUPERSET_PORT"} {
		p.env[name] = freePort(t)
	}
	var lines []string
	for name, value := range p.env {
		lines = append(lines, name+"="+value)
	}
	slices.Sort(lines)
	if err := os.WriteFile(filepath.Join(p.dir, ".env"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"minio", "notebooks/_examples"} {
		if err := os.MkdirAll(filepath.Join(p.dir, "../data", name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	enginetest.Build(t, enginetest.Hosts(t)[0], "flumen-test/postgres:17", "lakehouse/images/postgres")
	t.Cleanup(func() {
		for _, image := range []string{"hive:standalone-metastore-4.1.0", "spark:4.0.1-health", "jupyterlab:spark-4.0.1", "superset:5.0.0"} {
			p.run("docker", "image", "rm", "-f", p.project+"/"+image)
		}
	})
	return p
}

// run gives the exit code and the output of a program that sees the engine and nothing of .env.
func (p *platform) run(program string, args ...string) (int, string) {
	p.Helper()
	environ := append(os.Environ(), "DOCKER_HOST="+enginetest.Hosts(p)[0], "FLUMEN_STATE="+filepath.Join(p.dir, "../state"), "FLUMEN_FILE="+filepath.Join(p.dir, "flumen.yaml"))
	return run(p.T, environ, program, args...)
}

func (p *platform) exits(want int, program string, args ...string) string {
	p.Helper()
	code, out := p.run(program, args...)
	if code != want {
		p.Fatalf("%s %s: exit code %d, want %d\n%s", filepath.Base(program), strings.Join(args, " "), code, want, out)
	}
	return out
}

func (p *platform) docker(args ...string) string {
	p.Helper()
	return strings.TrimSpace(p.exits(0, "docker", args...))
}

// files are the options that name the Compose files up to a tier.
func (p *platform) files(tier int) []string {
	var args []string
	for i := range tier + 1 {
		args = append(args, "-f", filepath.Join(p.dir, fmt.Sprintf("docker-compose.tier%d.yml", i)))
	}
	return args
}

// startTierByTier is what the platform's own script does: it names the files up to a tier, and
// the services that are new in it.
func (p *platform) startTierByTier() {
	p.Helper()
	for tier, services := range [][]string{nil, {"hive-metastore", "spark-master", "spark-worker1", "spark-worker2"}, {"jupyterlab"}, {"trino", "superset"}} {
		p.exits(0, p.compose, append(append(p.files(tier), "up", "-d", "--wait"), services...)...)
	}
	for _, image := range []string{"hive:standalone-metastore-4.1.0", "spark:4.0.1-health", "jupyterlab:spark-4.0.1", "superset:5.0.0"} {
		// Not every engine tells when BuildKit built an image; this says that it is current.
		p.docker("tag", p.project+"/"+image, p.project+"/"+image)
	}
}

// sql asks PostgreSQL.
func (p *platform) sql(query string) string {
	p.Helper()
	return p.docker("exec", "-e", "PGPASSWORD=flumen_pass", p.project+"_postgres", "psql", "-qtAX", "-h", "127.0.0.1", "-U", "flumen", "-v", "ON_ERROR_STOP=1", "-d", "flumendata", "-c", query)
}

// mc calls MinIO's client as the platform's root user.
func (p *platform) mc(args ...string) string {
	p.Helper()
	program := os.Getenv("FLUMEN_TEST_MC")
	if program == "" {
		enginetest.Lacks(p, "MinIO's client, whose name is in FLUMEN_TEST_MC")
	}
	host := "MC_HOST_lake=http://minioadmin:minioadmin123@127.0.0.1:" + p.env["MINIO_PORT_API"]
	return p.exits(0, "env", append([]string{host, program, "--quiet", "--config-dir", filepath.Join(p.dir, "../mc")}, args...)...)
}

// fill leaves rows, objects and a notebook, as work on the platform does.
func (p *platform) fill() {
	p.Helper()
	p.sql("CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 1000)")
	for _, bucket := range []string{"lakehouse", "storage"} {
		p.mc("mb", "lake/"+bucket)
	}
	notebook := filepath.Join(p.dir, "../data/notebooks/mine.ipynb")
	if err := os.WriteFile(notebook, []byte("{}"), 0o644); err != nil {
		p.Fatal(err)
	}
	p.mc("cp", filepath.Join(p.dir, "docker-compose.tier1.yml"), "lake/lakehouse/warehouse/bronze.db/orders/part-0.parquet")
	for volume, at := range p.volumes() {
		kept := filepath.Join(p.TempDir(), "kept")
		if err := os.WriteFile(kept, []byte("of "+volume), 0o644); err != nil {
			p.Fatal(err)
		}
		p.docker("cp", kept, p.project+"_"+at.writes+":"+at.folder+"/kept")
		if there := p.docker("volume", "inspect", "-f", "{{.Name}}", p.project+"_"+volume); there != p.project+"_"+volume {
			p.Fatalf("no volume %s: %s", volume, there)
		}
	}
}

// mounted is where a volume is, in the container that writes it and in one that reads it.
type mounted struct{ folder, writes, reads string }

// volumes are those of the systems that have a stand-in.
func (p *platform) volumes() map[string]mounted {
	all := map[string]mounted{"superset_home": {"/app/superset_home", "superset", "superset"}}
	for volume, folder := range map[string]string{"spark_conf": "conf", "spark_ivy": ".ivy2", "spark_work": "work", "spark_logs": "logs"} {
		all[volume] = mounted{"/opt/spark/" + folder, "spark_master", "spark_worker1"}
	}
	return all
}

func (p *platform) holdsItsData() {
	p.Helper()
	if got := p.sql("SELECT count(*), sum(n) FROM kept"); got != "1000|500500" {
		p.Errorf("PostgreSQL has the rows %s", got)
	}
	want, err := os.ReadFile(filepath.Join(p.dir, "docker-compose.tier1.yml"))
	if err != nil {
		p.Fatal(err)
	}
	if got := p.mc("cat", "lake/lakehouse/warehouse/bronze.db/orders/part-0.parquet"); got != string(want) {
		p.Errorf("the object in MinIO is:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "../data/notebooks/mine.ipynb")); err != nil {
		p.Error(err)
	}
	for volume, at := range p.volumes() {
		if code, out := p.run("docker", "exec", p.project+"_"+at.reads, "/sleeper", "holds", at.folder+"/kept", "of "+volume); code != 0 {
			p.Errorf("volume %s has lost what was in it: %s", volume, out)
		}
	}
}

// containers are the platform's: which they are, and since when they run.
func (p *platform) containers() []string {
	p.Helper()
	ids := strings.Fields(p.docker("ps", "-aq", "--filter", "label=com.docker.compose.project="+p.project))
	all := strings.Split(p.docker(append([]string{"inspect", "-f", "{{.Name}} {{.Id}} {{.State.Status}} {{.State.StartedAt}}"}, ids...)...), "\n")
	slices.Sort(all)
	return all
}

// same expects that no container was made anew or started again.
func (p *platform) same(before []string, after string) {
	p.Helper()
	if now := p.containers(); !slices.Equal(before, now) {
		p.Errorf("after %s they are\n%s\nbefore\n%s", after, strings.Join(now, "\n"), strings.Join(before, "\n"))
	}
}

// isKeptUp kills what holds the data, and expects it back.
func (p *platform) isKeptUp() {
	p.Helper()
	for _, services := range [][]string{{"postgres"}, {"minio", "spark_worker1", "superset"}} {
		for _, service := range services {
			p.docker("update", "--restart=no", p.project+"_"+service) // or the engine is quicker than a look
			p.docker("kill", p.project+"_"+service)
		}
		p.exits(2, p.agent, "drift")
		p.exits(0, p.agent, "apply", "--yes")
		p.exits(0, p.agent, "plan")
		p.holdsItsData()
	}
}

// waitsForARestart changes a mounted file of a service that the agent has not started: nobody
// can know which content it has read, until a person restarts it.
func (p *platform) waitsForARestart(file, service string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte("<configuration></configuration>\n"), 0o644); err != nil {
		p.Fatal(err)
	}
	if _, out := p.run(p.agent, "plan"); !strings.Contains(out, "held") || !strings.Contains(out, "changed after the container started") {
		p.Errorf("the plan does not hold it:\n%s", out)
	}
	p.docker("restart", "--time", "1", p.project+"_"+strings.ReplaceAll(service, "-", "_"))
	p.exits(0, p.agent, "apply", "--yes") // waits for its health
	p.exits(0, p.agent, "plan")
}

// changesAlone changes a word in a file, and expects that one service to be replaced.
func (p *platform) changesAlone(file, old, changed, service string) {
	p.Helper()
	content, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil || !strings.Contains(string(content), old) {
		p.Fatalf("no %s in %s (%v)", old, file, err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, file), []byte(strings.ReplaceAll(string(content), old, changed)), 0o644); err != nil {
		p.Fatal(err)
	}
	one, others := p.containers(), p.containers()
	of := func(line string) bool { return strings.HasPrefix(line, "/"+p.project+"_"+service+" ") }
	one, others = slices.DeleteFunc(one, func(line string) bool { return !of(line) }), slices.DeleteFunc(others, of)
	p.exits(2, p.agent, "plan")
	p.exits(0, p.agent, "apply", "--yes")
	now := p.containers()
	if slices.Contains(now, one[0]) {
		p.Errorf("%s is the one from before %s changed", service, file)
	}
	if left := slices.DeleteFunc(now, of); !slices.Equal(left, others) {
		p.Errorf("others than %s changed:\n%s\nbefore\n%s", service, strings.Join(left, "\n"), strings.Join(others, "\n"))
	}
}
