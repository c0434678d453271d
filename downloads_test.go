package flumen_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFailedDownloadIsTriedAgain(t *testing.T) {
	for name, c := range map[string]struct{ fails, want string }{
		"never": {"0", "try 1\nended with 0\n"},
		"once":  {"1", "try 1\nreading it: this failed, trying again in 10 s\nwaits 10\ntry 2\nended with 0\n"},
		"always": {"9", "try 1\nreading it: this failed, trying again in 10 s\nwaits 10\ntry 2\nreading it: this failed, trying again in 60 s\nwaits 60\ntry 3\n" +
			"reading it: this failed three times; what it said is above\nended with 1\n"},
	} {
		const script = `sleep() { echo "waits $1"; }; . .ci/again
			n=0; reads() { n=$((n + 1)); echo "try $n"; [ "$n" -gt "$1" ]; }
			again "reading it" reads "$1"; echo "ended with $?"`
		out, err := exec.Command("bash", "-c", "exec 2>&1; "+script, "-", c.fails).Output()
		if diff := cmp.Diff(c.want, string(out)); diff != "" || err != nil {
			t.Errorf("%s (%v, -want +got):\n%s", name, err, diff)
		}
	}
}

var (
	downloads = regexp.MustCompile(`\b(apt-get -qq|pip" install|go install|go mod download|go run|go list -deps|debootstrap --|docker run --rm "debian)`)
	// What is fetched already, or is told of itself that it may fail.
	fetched = regexp.MustCompile(`go run "\$(staticcheck|govulncheck)" \./\.\.\.|go mod download -json`)
	// What again calls: apt_once, bootstrap, and a line in a container.
	retried = regexp.MustCompile(`\bagain |apt-get -qq download "\$1"|^ +quietly as_root (apt-get|env DEBIAN_FRONTEND)|^ +as_root env PATH="[^"]*" debootstrap`)
)

// TestEveryDownloadOfAScriptIsTriedAgain looks at each line of what make calls; those of Dockerfiles
// have a test of their own.
func TestEveryDownloadOfAScriptIsTriedAgain(t *testing.T) {
	scripts, err := filepath.Glob(".ci/*")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, script := range scripts {
		content, _ := os.ReadFile(script) // or it is a folder
		for line := range strings.Lines(string(content)) {
			if line = strings.TrimRight(line, "\n"); strings.HasPrefix(strings.TrimSpace(line), "#") || !downloads.MatchString(line) || fetched.MatchString(line) {
				continue
			}
			seen++
			if !retried.MatchString(line) {
				t.Errorf("%s: a download that fails once fails it: %s", script, line)
			}
		}
	}
	if seen < 11 {
		t.Errorf("only %d downloads were found", seen)
	}
}
