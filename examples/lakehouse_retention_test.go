package examples

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// ages makes a table of the stack older: its log, its checkpoints and the times of its objects.
// Versions up to old are from 60 days ago then, later ones from 20 days ago.
func (l *lakehouse) ages(table string, old int64) {
	l.t.Helper()
	agedTable := "warehouse/bronze.db/" + table + "/"
	store, err := minio.New("127.0.0.1:"+l.env["MINIO_PORT"], &minio.Options{Creds: credentials.NewStaticV4("flumendata", l.env["MINIO_ROOT_PASSWORD"], "")})
	must := func(err error) {
		l.t.Helper()
		if err != nil {
			l.t.Fatal(err)
		}
	}
	must(err)
	var files []deltatest.Stored
	for o := range store.ListObjectsIter(l.t.Context(), "lakehouse", minio.ListObjectsOptions{Prefix: agedTable, Recursive: true}) {
		must(o.Err)
		if strings.HasSuffix(o.Key, "/") {
			continue
		}
		in, err := store.GetObject(l.t.Context(), "lakehouse", o.Key, minio.GetObjectOptions{})
		must(err)
		content, err := io.ReadAll(in)
		must(err)
		files = append(files, deltatest.Stored{Path: strings.TrimPrefix(o.Key, agedTable), Content: content, Written: o.LastModified})
		must(store.RemoveObject(l.t.Context(), "lakehouse", o.Key, minio.RemoveObjectOptions{}))
	}
	now := time.Now()
	aged, err := deltatest.Aged(files, func(version int64) time.Time {
		age := 60
		if version > old {
			age = 20
		}
		return now.AddDate(0, 0, -age).Add(time.Duration(version) * time.Hour)
	})
	must(err)
	for _, f := range aged {
		// MinIO takes this time for the object's own.
		options := minio.PutObjectOptions{Internal: minio.AdvancedPutOptions{SourceMTime: f.Written}}
		_, err := store.PutObject(l.t.Context(), "lakehouse", agedTable+f.Path, bytes.NewReader(f.Content), int64(len(f.Content)), options)
		must(err)
	}
}

// retention runs a command of the agent over the stack's tables, with its own clock. It reads with
// Trino's key, which may only read, and removes with MinIO's own.
func (l *lakehouse) retention(file string, args ...string) (report proof.Report, text string) {
	l.t.Helper()
	_, out := run(l.t, append(os.Environ(), "FLUMEN_STATE="+filepath.Dir(file)), l.agent, append([]string{"retention"}, append(args, "-f", file)...)...)
	if i := strings.Index(out, "{"); i >= 0 {
		if err := json.NewDecoder(strings.NewReader(out[i:])).Decode(&report); err != nil {
			l.t.Fatalf("%v in:\n%s", err, out)
		}
	}
	return report, out
}

// retentionIsKept: Spark writes a table, which gets old; the agent finds it by its name, removes
// what may go, and brings it back. Spark and Trino read what stays, and afterwards all of it.
func retentionIsKept(t *testing.T, l *lakehouse) {
	l.converges("sql")
	l.session.file(l, "aged.sql")
	l.ages("aged", 4)
	file := filepath.Join(t.TempDir(), "flumen.yaml")
	spec := fmt.Sprintf(`name: retention-of-%s
services: {a: {image: busybox}}
stores:
  lake:
    endpoint: http://127.0.0.1:%s
    access_key: trino
    secret_key: %s
    delete_access_key: flumendata
    delete_secret_key: %s
retention:
  metastore: {uri: "thrift://127.0.0.1:%s"}
  discover: [{store: lake, prefix: lakehouse/warehouse}]
  defaults: {properties: off}
  rules: [{match: bronze.aged, mode: enforce, max_delete_ratio: 1, properties: off}]
`, l.project, l.env["MINIO_PORT"], l.env["TRINO_S3_SECRET"], l.env["MINIO_ROOT_PASSWORD"], l.env["HIVE_PORT"])
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	const asOf, now = "SELECT id, place FROM delta.bronze.aged FOR VERSION AS OF %d ORDER BY id", "SELECT id, place FROM delta.bronze.aged ORDER BY id"

	plan, text := l.retention(file, "plan", "-o", "json")
	if one := tableOf(plan, "bronze.aged"); one.Goes.Files != 2 || one.Readable == nil || one.Readable.Version != 4 {
		t.Fatalf("%+v\n%s", one, text)
	}
	run, text := l.retention(file, "run", "-o", "json")
	if one := tableOf(run, "bronze.aged"); one.Removal == nil || one.Removal.Removed.Files != 2 || !one.Removal.Verified {
		t.Fatalf("%+v\n%s", one, text)
	}
	l.reads("SELECT id, place FROM bronze.aged VERSION AS OF 4 ORDER BY id; SELECT id, place FROM bronze.aged ORDER BY id", "3\té\n6\ta b\n3\té\n5\té\n6\ta b\n")
	l.tells(fmt.Sprintf(asOf, 4), "3 é", "6 a b")
	l.tells(now, "3 é", "5 é", "6 a b")
	if rows, err := l.trino(fmt.Sprintf(asOf, 1)); err == nil {
		t.Errorf("version 1 has lost a file, and Trino reads %q", rows)
	}

	if _, text := l.retention(file, "undo", run.Run); !strings.Contains(text, "bronze.aged: 2 files") || !strings.Contains(text, "all are there") {
		t.Errorf("it was not undone:\n%s", text)
	}
	l.reads("SELECT id, place FROM bronze.aged VERSION AS OF 1 ORDER BY id", "1\ta b\n2\t10:30\n3\té\n4\ta b\n6\ta b\n")
	l.tells(fmt.Sprintf(asOf, 1), "1 a b", "2 10:30", "3 é", "4 a b", "6 a b")
	l.tells(now, "3 é", "5 é", "6 a b")
}

// reads expects Spark to give these lines.
func (l *lakehouse) reads(query, want string) {
	l.t.Helper()
	out := l.session.sql(l, query)
	if !strings.Contains(out, want) {
		l.t.Errorf("%s: Spark gives\n%s", query, out)
	}
}

// tableOf finds a table in a report.
func tableOf(r proof.Report, name string) proof.Table {
	for _, one := range r.Tables {
		if one.Name == name {
			return one
		}
	}
	return proof.Table{}
}
