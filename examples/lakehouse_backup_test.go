package examples

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// everyTable reads each table that Trino knows the name of, and gives how many rows it has.
func (l *lakehouse) everyTable() map[string]string {
	l.t.Helper()
	counts := map[string]string{}
	for _, catalog := range []string{"delta", "hive"} {
		names, err := l.trino("SELECT table_schema || '.' || table_name FROM " + catalog + ".information_schema.tables WHERE table_schema NOT IN ('information_schema', 'default')")
		if err != nil {
			l.t.Fatal(err)
		}
		for _, name := range names {
			rows, err := l.trino("SELECT count(*) FROM " + catalog + "." + name)
			switch {
			case err == nil:
				counts[catalog+"."+name] = strings.Join(rows, " ")
			case !strings.Contains(err.Error(), "is not a Delta Lake table") && !strings.Contains(err.Error(), "Cannot query Delta Lake table"):
				l.t.Fatalf("%s.%s: %v", catalog, name, err)
			}
		}
	}
	return counts
}

// aBackupIsRestored where there is nothing at all, and every table has its rows. It was written
// while tables were, and while retention had something to do.
func aBackupIsRestored(t *testing.T, l *lakehouse) {
	copied := l.stream("10").Rows
	before := l.everyTable()
	if before["delta.bronze.orders"] != "3" || before["hive.bronze.visits"] != "2" || len(before) < 5 {
		t.Fatalf("not all tables were read: %v", before)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	writer := l.startWriter()
	retention := l.retentionHasWork()
	began := time.Now()
	l.meanwhile(retention.standsStill, func() { l.script("--backup", backup) })
	t.Logf("written in %s", time.Since(began).Round(time.Second))
	retention.goesOn()
	rounds := writer.stop()

	l.losesEverything()
	began = time.Now()
	l.script("--restore", backup)
	t.Logf("restored in %s, all of it up", time.Since(began).Round(time.Second))
	l.exits(0, "plan")
	after := l.everyTable()
	writer.isRestored(rounds, after)
	for name := range after {
		if strings.Contains(name, ".made_") || strings.HasSuffix(name, ".written") {
			delete(after, name)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("rows of the tables (-before +restored):\n%s", diff)
	}
	l.tells(theOrders, orders...)
	l.hasDashboard("Kept")
	l.streams(copied + 10) // a streaming query goes on where it was
}

// losesEverything takes the stack down, and its volumes and folders away.
func (l *lakehouse) losesEverything() {
	l.t.Helper()
	l.exits(0, "down", "--yes")
	volumes := strings.Fields(l.docker("volume", "ls", "-q", "--filter", "label=com.docker.compose.project="+l.project))
	l.docker(append([]string{"volume", "rm"}, volumes...)...)
	if err := os.RemoveAll(l.data); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Mkdir(l.data, 0o755); err != nil {
		l.t.Fatal(err)
	}
}

// meanwhile runs two functions side by side.
func (l *lakehouse) meanwhile(other, this func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		other()
	}()
	this()
	<-done
}

// writer is a driver that writes without a pause (writer.py): each round adds a row to
// bronze.written, and makes a table of its own, whose name the metastore learns.
type writer struct {
	*lakehouse
	said chan string
}

// startWriter starts one, and waits for its first round.
func (l *lakehouse) startWriter() writer {
	l.t.Helper()
	l.docker("cp", "testdata/lakehouse/writer.py", l.container(driver)+":/tmp/writer.py")
	w := writer{l, make(chan string, 1)}
	go func() {
		_, out := l.run("docker", "exec", l.container(driver), "bash", "-c", "spark-submit /tmp/writer.py 2>/tmp/log || cat /tmp/log")
		w.said <- strings.TrimSpace(out)
	}()
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(time.Second) {
		if _, err := l.trino("SELECT n FROM delta.bronze.made_0"); err == nil {
			return w
		}
		if time.Now().After(end) {
			l.t.Fatal("the writer writes nothing")
		}
	}
}

// stop ends it, and tells how many rounds it made.
func (w writer) stop() int {
	w.t.Helper()
	w.docker("exec", w.container(driver), "touch", "/tmp/enough")
	said := <-w.said
	rounds, err := strconv.Atoi(said)
	if err != nil {
		w.t.Fatalf("the writer says: %s", said)
	}
	return rounds
}

// isRestored as it was at one time: its first rounds whole, and no name without files.
func (w writer) isRestored(rounds int, tables map[string]string) {
	w.t.Helper()
	made := 0
	for ; tables[fmt.Sprintf("delta.bronze.made_%d", made)] != ""; made++ {
		w.tells(fmt.Sprintf("SELECT n FROM delta.bronze.made_%d", made), strconv.Itoa(made))
	}
	rows, err := w.trino("SELECT count(DISTINCT n), max(n) + 1 FROM delta.bronze.written")
	if err != nil {
		w.t.Fatal(err)
	}
	var different, last int
	if _, err := fmt.Sscan(strings.Join(rows, " "), &different, &last); err != nil || different != last {
		w.t.Errorf("bronze.written has %q (%v)", rows, err)
	}
	// A table is made after its row, and the row's file is copied after the table's name.
	if made == 0 || made > different || made == rounds || different > rounds {
		w.t.Errorf("of %d rounds %d tables and %d rows are there", rounds, made, different)
	}
	w.t.Logf("of %d rounds %d tables and %d rows are there", rounds, made, different)
}

// work is what retention has to do: a table in a folder, of which one file may go.
type work struct {
	*lakehouse
	file string
}

// retentionHasWork that the next run would do.
func (l *lakehouse) retentionHasWork() work {
	l.t.Helper()
	dir := l.t.TempDir()
	w := work{l, filepath.Join(dir, "tables/db/t/old.parquet")}
	long := time.Now().AddDate(-1, 0, 0)
	for name, content := range map[string]string{
		"flumen.yaml": "name: retention\nstores: {tables: {path: " + dir + "/tables}}\nretention:\n  discover: [{store: tables}]\n  defaults: {mode: enforce, max_delete_ratio: 1, properties: off}\n",
		"tables/db/t/_delta_log/00000000000000000000.json": `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}
{"add":{"path":"old.parquet","partitionValues":{},"size":3,"modificationTime":1,"dataChange":true}}`,
		"tables/db/t/_delta_log/00000000000000000001.json": `{"remove":{"path":"old.parquet","deletionTimestamp":1,"dataChange":true}}
{"add":{"path":"new.parquet","partitionValues":{},"size":3,"modificationTime":1,"dataChange":true}}`,
		"tables/db/t/old.parquet": "old", "tables/db/t/new.parquet": "new",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, long, long)); err != nil {
			l.t.Fatal(err)
		}
	}
	if code, out := w.runs(); code != 2 {
		l.t.Fatalf("retention finds nothing: %s", out)
	}
	return w
}

// runs retention for the project, of another file.
func (w work) runs() (int, string) {
	return w.run("env", "-u", "FLUMEN_REPO", w.agent, "retention", "run", "-f", filepath.Join(filepath.Dir(w.file), "../../../flumen.yaml"))
}

// standsStill expects a run to be refused as soon as the agent is paused.
func (w work) standsStill() {
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if _, out := w.run(w.agent, "status"); !strings.Contains(out, "a backup is being written") {
			continue
		}
		if code, out := w.runs(); code != 3 || !strings.Contains(out, "a backup is being written") {
			w.t.Errorf("a run beside a backup (exit code %d): %s", code, out)
		}
		return
	}
	w.t.Error("a backup does not pause the agent")
}

// goesOn once the backup is written.
func (w work) goesOn() {
	w.t.Helper()
	if _, err := os.Stat(w.file); err != nil {
		w.t.Error(err)
	}
	if code, out := w.runs(); code != 0 {
		w.t.Errorf("a run after a backup (exit code %d): %s", code, out)
	}
	if _, err := os.Stat(w.file); err == nil {
		w.t.Error("it was not paused: nothing would have gone")
	}
}
