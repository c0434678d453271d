package examples

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// talk is how a client of a system begins, and what is in the answer to it.
type talk struct {
	service, port string
	hello, answer string
	before        string // what a client says first that wants TLS on a port for both
}

var talks = []talk{
	{service: "minio", port: "MINIO", hello: get("/minio/health/live"), answer: " 200 OK"},
	{service: "trino", port: "TRINO", hello: get("/v1/info"), answer: " 200 OK"},
	{service: "jupyterlab", port: "JUPYTER", hello: get("/login"), answer: " 200 OK"},
	{service: "superset", port: "SUPERSET", hello: get("/health"), answer: " 200 OK"},
	{ // a user, and the wish for a password; first a request for TLS
		service: "postgres", port: "POSTGRES",
		hello: "\x00\x00\x00\x17\x00\x03\x00\x00user\x00postgres\x00\x00", answer: "R\x00\x00\x00", before: "\x00\x00\x00\x08\x04\xd2\x16\x2f",
	},
	{ // a call of getVersion, and an answer
		service: "hive-metastore", port: "HIVE",
		hello: "\x80\x01\x00\x01\x00\x00\x00\x0agetVersion\x00\x00\x00\x00\x00", answer: "\x80\x01\x00\x02",
	},
	{ // a frame with a request of one letter, and one that says that it has failed
		service: "spark-master", port: "SPARK",
		hello: "\x00\x00\x00\x00\x00\x00\x00\x16\x03\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01x", answer: "\x05\x00\x00\x00\x00\x00\x00\x00\x01",
	},
}

func get(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
}

// TestLakehouseSpeaksOnlyTLS: what each system answers over TLS it does not answer without, and
// a table is written and read through all of them.
func TestLakehouseSpeaksOnlyTLS(t *testing.T) {
	env := map[string]string{}
	for _, name := range []string{"MINIO_ROOT_PASSWORD", "POSTGRES_PASSWORD", "HIVE_DB_PASSWORD", "SUPERSET_DB_PASSWORD", "SUPERSET_SECRET_KEY", "SUPERSET_ADMIN_PASSWORD",
		"HIVE_S3_SECRET", "SPARK_S3_SECRET", "TRINO_S3_SECRET", "JUPYTER_TOKEN", "SPARK_SECRET", "TRINO_SECRET"} {
		env[name] = "The" + strings.ReplaceAll(name, "_", "") + "OfATest"
	}
	for _, talk := range talks {
		env[talk.port+"_PORT"] = freePort(t)
	}
	l := newExample(t, "tls", env)
	l.makesCertificates()
	l.exits(0, "apply", "--yes")
	l.exits(0, "plan")

	for _, talk := range talks {
		t.Run(talk.service, func(t *testing.T) { answersOnlyOverTLS(t, l.in(t), talk) })
	}
	t.Run("spark-worker", func(t *testing.T) { theWorkerAnswersOnlyOverTLS(t, l.in(t)) })
	t.Run("ATable", func(t *testing.T) { aTableOverTLS(t, l.in(t)) })
	t.Run("ANewCertificate", func(t *testing.T) { aNewCertificate(t, l.in(t)) })
}

// makesCertificates as a person does, and trusts the authority from here on.
func (l *lakehouse) makesCertificates(services ...string) {
	l.t.Helper()
	dir := filepath.Dir(l.env["FLUMEN_FILE"])
	if code, out := l.run(filepath.Join(dir, "authority"), services...); code != 0 {
		l.t.Fatalf("authority: %s", out)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "certs/ca.crt"))
	if err != nil {
		l.t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	l.tls = &tls.Config{RootCAs: trusted}
}

// says sends a text and gives the beginning of the answer, which is empty where there is none.
func says(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, text) // it may hang up at once
	answer := make([]byte, 64)
	n, _ := conn.Read(answer)
	return string(answer[:n])
}

func answersOnlyOverTLS(t *testing.T, l *lakehouse, talk talk) {
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", "127.0.0.1:"+l.env[talk.port+"_PORT"])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	if got := says(t, dial(), talk.hello); strings.Contains(got, talk.answer) {
		t.Errorf("it answers without TLS: %q", got)
	}
	overTLS := func(trusted *x509.CertPool) (*tls.Conn, error) {
		conn := dial()
		if talk.before != "" && says(t, conn, talk.before) != "S" {
			t.Error("it has no TLS")
		}
		client := tls.Client(conn, &tls.Config{RootCAs: trusted, ServerName: talk.service})
		return client, client.Handshake()
	}
	conn, err := overTLS(l.tls.RootCAs)
	if err != nil {
		t.Fatal(err)
	}
	if got := says(t, conn, talk.hello); !strings.Contains(got, talk.answer) {
		t.Errorf("over TLS it answers %q", got)
	}
	if _, err := overTLS(x509.NewCertPool()); err == nil {
		t.Error("it is trusted without the authority")
	}
}

// theWorkerAnswersOnlyOverTLS on each of its ports, which are not published: that of Spark's processes, which is another
// one each time, and its page. One only tells browsers where the page is.
func theWorkerAnswersOnlyOverTLS(t *testing.T, l *lakehouse) {
	const service = "spark-worker"
	host := l.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", l.container(service))
	encrypted := 0
	for _, address := range l.listens(service) {
		_, port, _ := net.SplitHostPort(address)
		dial := func() net.Conn {
			conn, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		var plain []string
		for _, talk := range talks {
			got := says(t, dial(), talk.hello)
			if strings.Contains(got, talk.answer) {
				t.Errorf("on port %s it answers without TLS: %q", port, got)
			}
			plain = append(plain, got)
		}
		switch err := tls.Client(dial(), &tls.Config{RootCAs: l.tls.RootCAs, ServerName: service}).Handshake(); {
		case err == nil:
			encrypted++
		case !slices.ContainsFunc(plain, func(got string) bool { return strings.HasPrefix(got, "HTTP/1.1 302 ") }):
			t.Errorf("port %s speaks no TLS (%v) and says without it %q", port, err, plain)
		}
	}
	if encrypted < 2 {
		t.Errorf("%d ports of %v speak TLS", encrypted, l.listens(service))
	}
}

func aTableOverTLS(t *testing.T, l *lakehouse) {
	out := l.sparkSQL("jupyterlab",
		"CREATE DATABASE safe; CREATE TABLE safe.numbers (n INT); INSERT INTO safe.numbers VALUES (41), (1); SELECT sum(n) FROM safe.numbers")
	if !strings.Contains("\n"+out+"\n", "\n42\n") {
		t.Fatalf("Spark says:\n%s", out)
	}
	const sum = "SELECT sum(n) AS sum FROM delta.safe.numbers"
	l.tells(sum, "42")
	s, err := l.logIn(l.env["SUPERSET_ADMIN_PASSWORD"])
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.askTrino(sum)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]map[string]any{{"sum": 42.0}}, rows); diff != "" {
		t.Errorf("Superset (-want +got):\n%s", diff)
	}
}

// aNewCertificate is one that takes the place of another, and no more than its service.
func aNewCertificate(t *testing.T, l *lakehouse) {
	file := filepath.Join(filepath.Dir(l.env["FLUMEN_FILE"]), "certs/minio.key")
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the mode of a key is %v (%v)", info.Mode(), err)
	}
	l.makesCertificates("superset")
	if got := l.plannedSteps(); !slices.Equal(got, []string{"replace service/superset"}) {
		t.Errorf("the plan is %q", got)
	}
}

// base is the address of a system for HTTP.
func (l *lakehouse) base(system string) string {
	scheme := "http://"
	if l.tls != nil {
		scheme = "https://"
	}
	return scheme + l.host() + ":" + l.env[system+"_PORT"]
}

// web is a client for HTTP, with connections of its own.
func (l *lakehouse) web() *http.Client {
	return &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{TLSClientConfig: l.tls, DisableKeepAlives: true}}
}
