package examples

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLakehouseForbiddenActsAreRefusedAndLogged does in each system of the example audit what
// its user may not do, and looks for that in the logs.
func TestLakehouseForbiddenActsAreRefusedAndLogged(t *testing.T) {
	env := map[string]string{"MINIO_PORT": freePort(t), "TRINO_PORT": freePort(t), "SUPERSET_PORT": freePort(t)}
	for _, name := range []string{"MINIO_ROOT_PASSWORD", "POSTGRES_PASSWORD", "SUPERSET_DB_PASSWORD", "SUPERSET_SECRET_KEY", "SUPERSET_ADMIN_PASSWORD", "SUPERSET_READER_PASSWORD", "READER_S3_SECRET"} {
		env[name] = "The" + strings.ReplaceAll(name, "_", "") + "OfATest"
	}
	l := newExample(t, "audit", env)
	l.exits(0, "apply", "--yes")
	l.exits(0, "plan")
	t.Run("MinIO", func(t *testing.T) { minioRefuses(t, l.in(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { postgresRefuses(t, l.in(t)) })
	t.Run("Trino", func(t *testing.T) { trinoRefuses(t, l.in(t)) })
	t.Run("Superset", func(t *testing.T) { supersetRefuses(t, l.in(t)) })
}

// logs waits until one line of a service's log has all these texts.
func (l *lakehouse) logs(service string, texts ...string) {
	l.t.Helper()
	var log string
	if !within(15*time.Minute, 500*time.Millisecond, func() bool {
		log = l.docker("logs", l.container(service))
		for line := range strings.Lines(log) {
			if hasAll(line, texts) {
				return true
			}
		}
		return false
	}) {
		l.t.Errorf("no line of %s has %q:\n%s", service, texts, log[max(0, len(log)-4000):])
	}
}

func hasAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

func minioRefuses(t *testing.T, l *lakehouse) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("of a test"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out := l.mcAs("root", l.env["MINIO_ROOT_PASSWORD"], "cp", file, "lake/lakehouse/allowed"); code != 0 {
		t.Errorf("the owner may not write: %s", out)
	}
	if code, out := l.mcAs("reader", l.env["READER_S3_SECRET"], "cat", "lake/lakehouse/allowed"); code != 0 {
		t.Errorf("the reader may not read: %s", out)
	}
	if code, out := l.mcAs("reader", l.env["READER_S3_SECRET"], "cp", file, "lake/lakehouse/forbidden"); code == 0 || !denied.MatchString(out) {
		t.Errorf("the reader may write (exit code %d): %s", code, out)
	}
	l.logs("audit", `"accessKey":"reader"`, `"object":"forbidden"`, `"statusCode":403`)
	l.logs("audit", `"accessKey":"reader"`, `"object":"allowed"`, `"statusCode":200`)
}

func postgresRefuses(t *testing.T, l *lakehouse) {
	l.mustSQL("superset", l.env["SUPERSET_DB_PASSWORD"], "superset", "SELECT 1")
	if code, out := l.sql("superset", l.env["SUPERSET_DB_PASSWORD"], "superset", "CREATE ROLE mine"); code == 0 || !strings.Contains(out, "permission denied") {
		t.Errorf("Superset's role may make roles (exit code %d): %s", code, out)
	}
	if code, _ := l.sql("superset", "not the password", "superset", "SELECT 1"); code == 0 {
		t.Error("another password opens the database")
	}
	l.logs("postgres", "superset@superset from", "connection authorized")
	l.logs("postgres", "superset@superset from", "permission denied to create role")
	l.logs("postgres", "superset@superset from", "password authentication failed")
}

func trinoRefuses(t *testing.T, l *lakehouse) {
	if _, err := l.trino("SHOW CATALOGS"); err != nil {
		t.Errorf("a reader may not look: %v", err)
	}
	if _, err := l.trino("CREATE SCHEMA delta.mine"); err == nil || !strings.Contains(err.Error(), "Access Denied") {
		t.Errorf("a reader may make a schema: %v", err)
	}
	l.logs("trino", "TIMELINE: Query", "FAILED (PERMISSION_DENIED)")
}

func supersetRefuses(t *testing.T, l *lakehouse) {
	s, err := l.logInAs("reader", l.env["SUPERSET_READER_PASSWORD"])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ask(http.MethodGet, "/api/v1/dashboard/", nil, &struct{}{}); err != nil {
		t.Errorf("the reader may not look: %v", err)
	}
	connect := map[string]any{"database_name": "mine", "sqlalchemy_uri": "trino://reader@trino:8080/delta"}
	if err := s.ask(http.MethodPost, "/api/v1/database/", connect, &struct{}{}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("the reader may connect databases: %v", err)
	}
	l.logs("superset", `"POST /api/v1/database/ HTTP/1.1" 403`)
}
