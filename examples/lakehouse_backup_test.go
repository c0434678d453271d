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

// everyTable reads all data of each table that Trino knows the name of, and gives how many rows it
// has and a checksum of them, whatever their order. The count alone Trino may take from a table's log.
func (l *lakehouse) everyTable() map[string]string {
	l.t.Helper()
	var err error
	if !within(15*time.Minute, time.Second, func() bool {
		_, err = l.trino("SELECT count(*) FROM delta.information_schema.tables")
		return err == nil
	}) {
		l.t.Fatalf("Trino, which may only just have started, answers no query: %v", err)
	}
	sums := map[string]string{}
	for _, catalog := range []string{"delta", "hive"} {
		columns := l.columnsOfTables(catalog)
		names, err := l.trino("SELECT table_schema || '.' || table_name FROM " + catalog + ".information_schema.tables WHERE table_schema NOT IN ('information_schema', 'default')")
		if err != nil {
			l.t.Fatal(err)
		}
		for _, name := range names {
			what := "count(*), checksum(ROW(" + columns[name] + "))"
			if columns[name] == "" {
				what = "*" // it says why it tells of none
			}
			rows, err := l.trino("SELECT " + what + " FROM " + catalog + "." + name)
			switch {
			case err == nil && columns[name] == "":
				l.t.Fatalf("%s.%s has no columns", catalog, name)
			case err == nil:
				sums[catalog+"."+name] = strings.Join(rows, " ")
			case !strings.Contains(err.Error(), "is not a Delta Lake table") && !strings.Contains(err.Error(), "Cannot query Delta Lake table"):
				l.t.Fatalf("%s.%s: %v", catalog, name, err)
			}
		}
	}
	return sums
}

// columnsOfTables gives for each table of a catalog the names of its columns, as SQL has them.
func (l *lakehouse) columnsOfTables(catalog string) map[string]string {
	l.t.Helper()
	rows, err := l.trino(`SELECT table_schema || '.' || table_name, array_join(array_agg('"' || column_name || '"' ORDER BY ordinal_position), ', ')
		FROM ` + catalog + `.information_schema.columns WHERE table_schema NOT IN ('information_schema', 'default') GROUP BY 1`)
	if err != nil {
		l.t.Fatal(err)
	}
	columns := map[string]string{}
	for _, row := range rows {
		name, all, _ := strings.Cut(row, " ")
		columns[name] = all
	}
	return columns
}

// aBackupIsRestored on another machine, where there is nothing at all, and every table has its
// rows. It was written while tables were, and while retention had something to do. The engine of
// that machine is then restarted.
func aBackupIsRestored(t *testing.T, l *lakehouse) {
	before := l.everyTable()
	if !strings.HasPrefix(before["delta.bronze.orders"], "3 ") || !strings.HasPrefix(before["hive.bronze.visits"], "2 ") || len(before) < 5 {
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

	began = time.Now()
	l, own := l.onAnotherMachine()
	t.Logf("another machine has its images after %s", time.Since(began).Round(time.Second))
	began = time.Now()
	l.script("--restore", backup)
	t.Logf("restored in %s, all of it up", time.Since(began).Round(time.Second))
	l.exits(0, "plan")
	after := l.everyTable()
	writer.lakehouse = l
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
	l.streams(40) // a streaming query goes on where it was
	l.session.end(l)

	t.Run("AndTheEngineRestarts", func(t *testing.T) { theEngineRestarts(t, l.in(t), own) })
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

// writer is the driver that stays, which writes without a pause (writer.py): each round adds a row to
// bronze.written, and makes a table of its own, whose name the metastore learns.
type writer struct {
	*lakehouse
	said chan string
}

// startWriter starts one, and waits for its first round.
func (l *lakehouse) startWriter() writer {
	l.t.Helper()
	l.session.start(l)
	w := writer{l, make(chan string, 1)}
	go func() {
		rounds, err := l.session.ask("write", "/tmp/enough")
		if err != nil {
			rounds = err.Error()
		}
		w.said <- rounds
	}()
	if !within(15*time.Minute, time.Second, func() bool { _, err := l.trino("SELECT n FROM delta.bronze.made_0"); return err == nil }) {
		l.t.Fatal("the writer writes nothing")
	}
	return w
}

// stop ends it after one more round, and tells how many it made.
func (w writer) stop() int {
	w.t.Helper()
	rows := func() int {
		got, err := w.trino("SELECT count(*) FROM delta.bronze.written")
		if err != nil {
			w.t.Fatal(err)
		}
		n, _ := strconv.Atoi(strings.Join(got, ""))
		return n
	}
	// The round that runs may have begun before the backup ended; the next one has not.
	if before := rows(); !within(15*time.Minute, 500*time.Millisecond, func() bool { return rows() >= before+2 }) {
		w.t.Fatalf("the writer has stopped at %d rows", before)
	}
	w.docker("exec", w.container(driver), "touch", "/tmp/enough")
	said := <-w.said
	w.session.end(w.lakehouse)
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
	const why = "a backup is being written"
	if !within(15*time.Minute, 200*time.Millisecond, func() bool { _, out := w.run(w.agent, "status"); return strings.Contains(out, why) }) {
		w.t.Error("a backup does not pause the agent")
		return
	}
	if code, out := w.runs(); code != 3 || !strings.Contains(out, why) {
		w.t.Errorf("a run beside a backup (exit code %d): %s", code, out)
	}
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
