package enginetest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// VersityGWVariable names the environment variable with the path of versitygw, the second S3
// server: it keeps buckets in folders, and has no users, lifecycle or encryption.
const VersityGWVariable = "FLUMEN_TEST_VERSITYGW"

// VersityGW starts a versitygw server on this machine, which is gone after the test, with the
// keys of MinIO, and gives the address at which it answers.
func VersityGW(t testing.TB) (address string) {
	t.Helper()
	program := Program(t, VersityGWVariable)
	address = net.JoinHostPort("127.0.0.1", freePort(t))
	folder := t.TempDir()
	server := exec.Command(program, "--access", MinIOUser, "--secret", MinIOPassword, "--port", address, "--quiet",
		"posix", "--versioning-dir", madeFolder(t, folder, "versions"), madeFolder(t, folder, "buckets"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // killed
	})
	for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
	}
	t.Fatalf("versitygw at %s does not answer within 10 minutes", address)
	return ""
}

// freePort gives a port on which nothing listens.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// madeFolder makes a folder.
func madeFolder(t testing.TB, in, name string) string {
	t.Helper()
	path := filepath.Join(in, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
