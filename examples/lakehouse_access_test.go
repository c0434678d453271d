package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// mcAs calls MinIO's client as a user of the stack's store.
func (l *lakehouse) mcAs(user, secret string, args ...string) (int, string) {
	l.t.Helper()
	program := os.Getenv("FLUMEN_TEST_MC")
	if program == "" {
		enginetest.Lacks(l.t, "MinIO's client, whose name is in FLUMEN_TEST_MC")
	}
	host := "MC_HOST_lake=http://" + user + ":" + secret + "@127.0.0.1:" + l.env["MINIO_PORT"]
	return l.run("env", append([]string{host, program, "--quiet", "--config-dir", l.t.TempDir()}, args...)...)
}

// denied is what MinIO's client says of a call that was refused, as against one that failed.
var denied = regexp.MustCompile(`Access ?Denied|Insufficient permissions`)

// eachMayDoItsOwn tries with each service's own key what it needs and what is not its business.
func eachMayDoItsOwn(t *testing.T, l *lakehouse) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("of a test"), 0o644); err != nil {
		t.Fatal(err)
	}
	const inWarehouse, inLakehouse, inStorage = "lake/lakehouse/warehouse/of-a-test", "lake/lakehouse/of-a-test", "lake/storage/of-a-test"
	for _, may := range []struct {
		user, secret string
		can, cannot  [][]string
	}{
		{"spark", "SPARK_S3_SECRET",
			[][]string{{"cp", file, inWarehouse}, {"cp", file, inLakehouse}, {"cp", file, inStorage}, {"cat", inStorage}},
			[][]string{{"mb", "lake/another"}, {"admin", "user", "list", "lake"}, {"rb", "--force", "lake/storage"}}},
		{"jupyter", "JUPYTER_S3_SECRET",
			[][]string{{"cp", file, inStorage}, {"rm", inStorage}, {"cp", file, inStorage}},
			[][]string{{"mb", "lake/another"}, {"admin", "user", "list", "lake"}}},
		{"hive", "HIVE_S3_SECRET",
			[][]string{{"cp", file, inWarehouse}, {"cat", inWarehouse}},
			[][]string{{"cp", file, inLakehouse}, {"cat", inLakehouse}, {"cp", file, inStorage}, {"cat", inStorage}, {"ls", "lake/storage"}, {"admin", "user", "list", "lake"}}},
		{"trino", "TRINO_S3_SECRET",
			[][]string{{"cat", inWarehouse}, {"cat", inStorage}, {"ls", "lake/lakehouse"}},
			[][]string{{"cp", file, inWarehouse}, {"cp", file, inStorage}, {"rm", inWarehouse}, {"admin", "user", "list", "lake"}}},
		{"sweeper", "SWEEPER_S3_SECRET",
			[][]string{{"cp", file, inWarehouse}, {"rm", inWarehouse}, {"cp", file, inWarehouse}},
			[][]string{{"cp", file, inLakehouse}, {"rm", inLakehouse}, {"cp", file, inStorage}, {"ls", "lake/storage"}, {"mb", "lake/another"}, {"admin", "user", "list", "lake"}}},
	} {
		for _, args := range may.can {
			if code, out := l.mcAs(may.user, l.env[may.secret], args...); code != 0 {
				t.Errorf("%s may not %q: %s", may.user, args, out)
			}
		}
		for _, args := range may.cannot {
			if code, out := l.mcAs(may.user, l.env[may.secret], args...); code == 0 || !denied.MatchString(out) {
				t.Errorf("%s may %q (exit code %d): %s", may.user, args, code, out)
			}
		}
	}
	for _, object := range []string{inWarehouse, inLakehouse, inStorage} {
		if code, out := l.mcAs("spark", l.env["SPARK_S3_SECRET"], "rm", object); code != 0 {
			t.Errorf("remove %s: %s", object, out)
		}
	}
}
