package examples

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Debian's apt tries three times by itself; these do not, or only before a download has begun.
var (
	downloads = regexp.MustCompile(`\b(pip (install|download)|mvn|go install|npm|curl|wget) -?`)
	retried   = regexp.MustCompile(`\bagain \S*(pip|mvn|go|npm|curl|wget) |for try in `)
)

// TestEveryDownloadOfAnImageIsTriedAgain looks at each RUN of each Dockerfile.
func TestEveryDownloadOfAnImageIsTriedAgain(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "Dockerfile" {
			return err
		}
		content, err := os.ReadFile(path)
		text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(content), "")
		for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
			if !strings.HasPrefix(line, "RUN ") || !downloads.MatchString(packages.ReplaceAllString(line, "")) {
				continue
			}
			seen++
			if !retried.MatchString(line) {
				t.Errorf("%s: a download that fails once fails the build: %s", path, line)
			}
		}
		return err
	})
	if err != nil || seen < 7 {
		t.Errorf("%d downloads were found (%v)", seen, err)
	}
}

// packages are what apt installs, which may be called as a program is.
var packages = regexp.MustCompile(`apt-get [^&]*`)
