package examples

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// newExample is a stack of examples under a name of its own, whose file is copied so that it
// may be changed. Its images are those of the lakehouse.
func newExample(t *testing.T, name string, env map[string]string) *lakehouse {
	t.Helper()
	if os.Getenv(lakehouseVariable) == "" {
		t.Skip("needs the images of the lakehouse: run make test-lakehouse")
	}
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	l := &lakehouse{t: t, agent: build(t), project: enginetest.Project(t, engine), repo: filepath.Join(t.TempDir(), "examples"), env: env}
	for _, part := range []string{name, "lakehouse"} {
		if err := os.CopyFS(filepath.Join(l.repo, part), os.DirFS(part)); err != nil {
			t.Fatal(err)
		}
	}
	maps.Copy(l.env, compiledOnce)
	for name, value := range map[string]string{
		"DOCKER_HOST": engine.DaemonHost(), "FLUMEN_PROJECT": l.project, "FLUMEN_STATE": t.TempDir(), "FLUMEN_FILE": filepath.Join(l.repo, name, "flumen.yaml"),
	} {
		l.env[name] = value
	}
	return l
}

// plannedSteps lists what a plan would change, as in "create service/trino".
func (l *lakehouse) plannedSteps() []string {
	l.t.Helper()
	_, out := l.run(l.agent, "plan", "-o", "json")
	return stepsOf(l.t, out)
}

func TestLakehouseWorkersAreScaledByOneLine(t *testing.T) {
	l := newExample(t, "workers", map[string]string{"SPARK_UI_PORT": freePort(t)})
	scale := func(from, to int, want ...string) {
		t.Helper()
		file := l.env["FLUMEN_FILE"]
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(content), fmt.Sprintf("scale: %d", from), fmt.Sprintf("scale: %d", to), 1)
		if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := l.plannedSteps(); !slices.Equal(got, want) {
			t.Errorf("from %d to %d workers the plan is %q", from, to, got)
		}
		l.exits(0, "apply", "--yes")
		l.exits(0, "plan")
		if workers := l.aliveWorkers(); workers != to {
			t.Errorf("the master knows %d workers, not %d", workers, to)
		}
	}
	l.exits(0, "apply", "--yes")
	l.exits(0, "plan")
	scale(2, 3, "create service/spark-worker#3")
	scale(3, 2, "remove service/spark-worker#3")
	out := l.sparkSQL("spark-worker", "SELECT sum(id) FROM range(0, 1000, 1, 4)", "--master", "spark://spark-master:7077", "--conf", "spark.driver.host="+l.docker("exec", l.container("spark-worker"), "hostname"))
	if !strings.Contains("\n"+out+"\n", "\n499500\n") {
		t.Errorf("a job on them says:\n%s", out)
	}
}

// aliveWorkers asks the master.
func (l *lakehouse) aliveWorkers() int {
	l.t.Helper()
	const ask = `exec 3<>/dev/tcp/spark-master/8080; printf 'GET /json/ HTTP/1.0\r\n\r\n' >&3; tr -d ' \n' <&3 | grep -o '"aliveworkers":[0-9]*'`
	var n int
	if _, err := fmt.Sscanf(l.docker("exec", l.container("spark-master"), "bash", "-c", ask), `"aliveworkers":%d`, &n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestLakehouseTablesLieInAStoreOutsideTheStack(t *testing.T) {
	image := enginetest.MinIOImage(t)
	l := newExample(t, "external-s3", map[string]string{"JUPYTER_TOKEN": "TheTokenOfATest", "JUPYTER_PORT": freePort(t), "S3_ACCESS_KEY": "outside", "S3_SECRET_KEY": "TheSecretOfATest", "S3_BUCKET": "of-a-test"})
	// The store has one address, for this machine and for containers: that of the engine's own
	// bridge.
	store := l.project + "-outside"
	t.Cleanup(func() { l.run("docker", "rm", "-fv", store) })
	l.docker("run", "-d", "--name", store, image, "server", "/data")
	gateway := l.docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", store)
	l.docker("rm", "-fv", store)
	l.docker("run", "-d", "--name", store, "-p", gateway+"::9000", "-e", "MINIO_ROOT_USER=outside", "-e", "MINIO_ROOT_PASSWORD=TheSecretOfATest", image, "server", "/data")
	l.env["S3_ENDPOINT"] = "http://" + l.docker("port", store, "9000/tcp")

	l.exits(0, "apply", "--yes")
	l.exits(0, "plan")
	const table = "delta.`s3a://of-a-test/numbers`"
	out := l.sparkSQL("jupyterlab",
		"CREATE TABLE "+table+" (n INT) USING delta; INSERT INTO "+table+" VALUES (41), (1); SELECT sum(n) FROM "+table)
	if !strings.Contains("\n"+out+"\n", "\n42\n") {
		t.Errorf("Spark says:\n%s", out)
	}
	l.docker("exec", store, "test", "-e", "/data/of-a-test/numbers/_delta_log/00000000000000000001.json")
	l.exits(0, "down", "--yes")
	l.docker("exec", store, "test", "-e", "/data/of-a-test/numbers/_delta_log/00000000000000000001.json")
}
