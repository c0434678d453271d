package git

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// repository is a real one, bare, with a checkout that commits are made in.
type repository struct {
	testing.TB
	bare, work string
}

func newRepository(t testing.TB) repository {
	t.Helper()
	needs(t, "git")
	dir := t.TempDir()
	r := repository{t, filepath.Join(dir, "lake.git"), filepath.Join(dir, "work")}
	r.run(dir, "init", "-q", "--bare", "-b", "main", r.bare)
	r.run(r.bare, "config", "http.receivepack", "true")
	r.run(dir, "clone", "-q", r.bare, r.work)
	r.git("checkout", "-q", "-b", "main")
	return r
}

// needs has a test lack a program that is not there.
func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		enginetest.Lacks(t, program)
	}
}

// run runs git in a directory and gives what it prints.
func (r repository) run(dir string, args ...string) string {
	r.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r repository) git(args ...string) string { r.Helper(); return r.run(r.work, args...) }

// write writes a file of the checkout.
func (r repository) write(name, content string) {
	r.Helper()
	path := filepath.Join(r.work, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.Fatal(err)
	}
}

// push commits everything and pushes it, whatever is there, and gives the commit.
func (r repository) push(subject string) string {
	r.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", subject)
	r.git("push", "-q", "--force", "origin", "HEAD")
	return r.git("rev-parse", "HEAD")
}

// source follows a repository by an address.
func (r repository) source(o Options) *Source {
	r.Helper()
	if o.Dir == "" {
		o.Dir = r.TempDir()
	}
	s, err := New(o)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

const (
	user     = "reader"
	password = "correct horse"
)

// overHTTP serves the repository with git's own server, to those who know the password.
func (r repository) overHTTP(allowed func(password string) bool) (url string) {
	r.Helper()
	server := httptest.NewServer(r.served(allowed))
	r.Cleanup(server.Close)
	return server.URL + "/" + filepath.Base(r.bare)
}

// overTLS does so with a certificate of its own authority, which is in a file.
func (r repository) overTLS() (url, authority string) {
	r.Helper()
	server := httptest.NewUnstartedServer(r.served(rightPassword))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	r.Cleanup(server.Close)
	authority = filepath.Join(r.TempDir(), "ca.pem")
	writeFile(r, authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return server.URL + "/" + filepath.Base(r.bare), authority
}

func (r repository) served(allowed func(password string) bool) http.Handler {
	r.Helper()
	core := r.run(r.work, "--exec-path")
	backend := &cgi.Handler{
		Path:   filepath.Join(core, "git-http-backend"),
		Stderr: io.Discard,
		Env:    []string{"GIT_PROJECT_ROOT=" + filepath.Dir(r.bare), "GIT_HTTP_EXPORT_ALL=1"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, given, ok := req.BasicAuth(); !ok || !allowed(given) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, req)
	})
}

func rightPassword(given string) bool { return given == password }

// sshServer is a real one, with a host key of its own, that lets one key in.
type sshServer struct {
	url        string
	key        string // file of the client's private key
	knownHosts string
}

func (r repository) overSSH(passphrase string) sshServer {
	r.Helper()
	needs(r, "ssh-keygen")
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		if sshd = "/usr/sbin/sshd"; !isFile(sshd) {
			enginetest.Lacks(r, "sshd")
		}
	}
	dir := r.TempDir()
	s := sshServer{key: filepath.Join(dir, "key"), knownHosts: filepath.Join(dir, "known")}
	host := makeKey(r, filepath.Join(dir, "host"), "")
	authorized := filepath.Join(dir, "authorized")
	writeFile(r, authorized, makeKey(r, s.key, passphrase))
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil && os.Geteuid() == 0 {
		r.Fatal(err)
	}
	port := freePort(r)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, sshd, "-D", "-e", "-f", "/dev/null", "-h", filepath.Join(dir, "host"), "-p", fmt.Sprint(port),
		"-o", "ListenAddress=127.0.0.1", "-o", "AuthorizedKeysFile="+authorized, "-o", "StrictModes=no", "-o", "PidFile=none", "-o", "UsePAM=no")
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { cancel(); _ = cmd.Wait() })
	address := fmt.Sprintf("127.0.0.1:%d", port)
	awaitPort(r, address)
	s.url = fmt.Sprintf("ssh://%s@%s%s", me(r), address, r.bare)
	writeFile(r, s.knownHosts, fmt.Sprintf("[127.0.0.1]:%d %s", port, host))
	return s
}

func me(t testing.TB) string {
	out, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// makeKey makes a key pair and gives the public half.
func makeKey(t testing.TB, file, passphrase string) string {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return string(public)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func awaitPort(t testing.TB, address string) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
	}
	t.Fatalf("nobody listens at %s", address)
}

// importInto runs git fast-import in the bare repository.
func importInto(r repository, file string) {
	r.Helper()
	in, err := os.Open(file)
	if err != nil {
		r.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = r.bare, in
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("git fast-import: %v\n%s", err, out)
	}
}
