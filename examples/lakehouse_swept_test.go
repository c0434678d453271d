package examples

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sparkActsForRetention: what only Spark may do to a table it does in a container of its own, made
// of the stack's service for it, with the key of the user that removes files.
func sparkActsForRetention(t *testing.T, l *lakehouse) {
	l.converges("analytics")
	l.session.file(l, "swept.sql")
	l.ages("swept", 2)
	const statement = "ALTER TABLE `bronze`.`swept` SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 30 days')"

	l.rules("0 0 29 2 *")
	if got := l.planned("analytics"); len(got) > 0 {
		t.Errorf("rules about tables change what runs: %q", got)
	}
	if out := l.keeps(2); !strings.Contains(out, "bronze.swept: 1 file") || !strings.Contains(out, "to set its properties, while nobody writes to it: "+statement) {
		t.Errorf("outside of its window:\n%s", out)
	}
	l.rules("* * * * *")
	if out := l.keeps(2); !strings.Contains(out, "its properties were set; the next run goes by them: "+statement) {
		t.Errorf("in its window:\n%s", out)
	}
	if out := l.keeps(0); !strings.Contains(out, "bronze.swept: Spark removed 1 file") || !strings.Contains(out, "this cannot be undone") {
		t.Errorf("a VACUUM:\n%s", out)
	}
	l.reads("SHOW TBLPROPERTIES bronze.swept ('delta.deletedFileRetentionDuration'); SELECT * FROM bronze.swept VERSION AS OF 2; SELECT * FROM bronze.swept ORDER BY id", "interval 30 days\n2\n2\n3\n")
	if left := l.docker("ps", "-aq", "--filter", "name="+l.project+"-spark-maintenance"); left != "" {
		t.Errorf("a container was left: %s", left)
	}
}

// rules has retention enforce everything about one table, while all is quiet from times as cron has
// them.
func (l *lakehouse) rules(quiet string) {
	l.t.Helper()
	const before = "  defaults: {data: 7d}\n"
	path := filepath.Join(l.repo, "flumen.yaml")
	content, err := os.ReadFile("../flumen.yaml")
	if err != nil {
		l.t.Fatal(err)
	}
	now := strings.Replace(string(content), before, before+"  quiet: [{allow: \""+quiet+"\", duration: 1h}]\n"+
		"  rules: [{match: bronze.swept, mode: enforce, engine: spark, properties: enforce, data: 30d, max_delete_ratio: 1, undo: none}]\n", 1)
	if now == string(content) {
		l.t.Fatalf("flumen.yaml has no line %q", before)
	}
	if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.commit()
}

// keeps has retention run by the file in the repository, and expects an exit code.
func (l *lakehouse) keeps(code int) string {
	l.t.Helper()
	return l.exits(code, "retention", "run", "--table", "bronze.swept")
}
