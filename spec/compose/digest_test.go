package compose

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

func digestNow(t *testing.T, path string, directories bool) digest {
	t.Helper()
	d, err := digestOf(path, directories)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigestOfAFileFollowsItsContent(t *testing.T) {
	t.Parallel()
	dir := write(t, "a", "one")
	path := filepath.Join(dir, "a")
	before := digestNow(t, path, false)
	put(t, dir, "a", "two")
	if after := digestNow(t, path, false); after.sum == before.sum || !strings.HasPrefix(after.sum, "sha256:") {
		t.Errorf("%v, then %v", before, after)
	}
}

func TestDigestIgnoresWhenFilesChanged(t *testing.T) {
	t.Parallel()
	dir := write(t, "a/b", "one")
	before := digestNow(t, dir, true)
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(dir, "a", "b"), later, later); err != nil {
		t.Fatal(err)
	}
	after := digestNow(t, dir, true)
	if after.sum != before.sum {
		t.Error("another digest for the same content")
	}
	if !after.modified.Equal(later) {
		t.Errorf("modified %v, the newest file is of %v", after.modified, later)
	}
}

func TestDigestOfADirectoryFollowsNamesModesAndLinks(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(dir string) error{
		"content": func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("two"), 0o644) },
		"name":    func(dir string) error { return os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c")) },
		"mode":    func(dir string) error { return os.Chmod(filepath.Join(dir, "a"), 0o755) },
		"link":    func(dir string) error { return os.Symlink("a", filepath.Join(dir, "l")) },
		"removal": func(dir string) error { return os.Remove(filepath.Join(dir, "b")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "a", "one", "b", "")
			before := digestNow(t, dir, true)
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			if digestNow(t, dir, true).sum == before.sum {
				t.Error("still the same digest")
			}
		})
	}
}

func TestWritableDirectoriesSocketsAndDevicesHaveNoDigest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, path := range []string{dir, socket, os.DevNull} {
		if d := digestNow(t, path, path != dir); d.sum != "" {
			t.Errorf("%s: %v", path, d)
		}
	}
}

func TestLargeDirectoriesAreNotDigested(t *testing.T) {
	t.Parallel()
	files := []string{"flumen.yaml", `services: {a: {image: b, volumes: ["./big:/b:ro"]}}`}
	for i := range maxFiles {
		files = append(files, "big/"+strconv.Itoa(i), "")
	}
	l := mustLoad(t, options(write(t, files...)))
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0].Message, "holds more than 1000 files or 16MiB") {
		t.Errorf("warnings %v", l.Warnings)
	}
	if m := spec.Resources[*spec.Service](l.Desired)[0].Mounts[0]; m.Digest != "" {
		t.Errorf("digest %s", m.Digest)
	}
}

func TestMountedFileFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := write(t, "..1/conf", "one", "..2/conf", "two")
	link, path := filepath.Join(dir, "..data"), filepath.Join(dir, "conf")
	if err := os.Symlink("..1", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/conf", path); err != nil {
		t.Fatal(err)
	}
	before := digestNow(t, path, false)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..2", link); err != nil {
		t.Fatal(err)
	}
	if digestNow(t, path, false).sum == before.sum {
		t.Error("a directory was swapped behind the link, and the digest is the same")
	}
}

// buildSum is the digest of a build in dir, as it is changed by edit.
func buildSum(t *testing.T, dir string, edit ...func(*spec.Build)) string {
	t.Helper()
	b := &spec.Build{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile")}
	for _, e := range edit {
		e(b)
	}
	d, err := buildDigest(b, "")
	if err != nil {
		t.Fatal(err)
	}
	return d.sum
}

func TestBuildDigestFollowsTheContext(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, dir string){
		"Dockerfile": func(t *testing.T, dir string) { put(t, dir, "Dockerfile", "FROM other") },
		"file":       func(t *testing.T, dir string) { put(t, dir, "src/main.go", "changed") },
		"new file":   func(t *testing.T, dir string) { put(t, dir, "src/new.go", "") },
		"mode": func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "src/main.go"), 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"exception": func(t *testing.T, dir string) { put(t, dir, "logs/keep", "changed") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := buildContext(t)
			before := buildSum(t, dir)
			change(t, dir)
			if buildSum(t, dir) == before {
				t.Error("still the same digest")
			}
		})
	}
}

func buildContext(t *testing.T) string {
	return write(t, "Dockerfile", "FROM scratch", ".dockerignore", "logs/*\n!logs/keep\n**/*.tmp\n",
		"src/main.go", "package main", "src/x.tmp", "x", "logs/a", "a", "logs/keep", "k")
}

func TestBuildDigestLeavesOutWhatIsIgnored(t *testing.T) {
	t.Parallel()
	dir := buildContext(t)
	before := buildSum(t, dir)
	put(t, dir, "logs/a", "changed")
	put(t, dir, "src/x.tmp", "changed")
	put(t, dir, "logs/new", "new")
	if buildSum(t, dir) != before {
		t.Error("another digest though only ignored files changed")
	}
}

func TestIgnoreFileOfTheDockerfileGoesBefore(t *testing.T) {
	t.Parallel()
	dir := buildContext(t)
	put(t, dir, "Dockerfile.dockerignore", "src\nDockerfile.dockerignore\n")
	before := buildSum(t, dir)
	put(t, dir, "src/main.go", "changed")
	if buildSum(t, dir) != before {
		t.Error("Dockerfile.dockerignore was not read")
	}
	put(t, dir, "logs/a", "changed")
	if buildSum(t, dir) == before {
		t.Error(".dockerignore was read as well")
	}
}

func TestBuildDigestFollowsItsSettings(t *testing.T) {
	t.Parallel()
	dir := buildContext(t)
	seen := map[string]string{buildSum(t, dir): "none"}
	for name, edit := range map[string]func(*spec.Build){
		"argument": func(b *spec.Build) { b.Args = map[string]spec.Value{"A": spec.Plain("b")} },
		"label":    func(b *spec.Build) { b.Labels = map[string]string{"A": "b"} },
		"target":   func(b *spec.Build) { b.Target = "t" },
		"network":  func(b *spec.Build) { b.Network = "host" },
		"inline":   func(b *spec.Build) { b.Dockerfile, b.DockerfileInline = "", "FROM scratch" },
	} {
		sum := buildSum(t, dir, edit)
		if other, taken := seen[sum]; taken {
			t.Errorf("%s: the digest of %s", name, other)
		}
		seen[sum] = name
	}
}

func TestLinkedDirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "real/app.conf", "first")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	before, err := digestOf(link, true)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "real/app.conf", "second")
	after, err := digestOf(link, true)
	if err != nil {
		t.Fatal(err)
	}
	if before.sum == after.sum {
		t.Error("the content changed, and the digest is the same")
	}
}

func TestABuildFollowsTheOneItIsBuiltFrom(t *testing.T) {
	t.Parallel()
	dir := write(t, "flumen.yaml", "name: p\nservices:\n  app: {image: app, build: {context: app}}\n  base: {image: base, build: base}\n",
		"app/Dockerfile", "FROM base\n", "base/Dockerfile", "FROM scratch\nCOPY a /\n", "base/a", "one")
	digests := func() (app, base string) {
		images := spec.Resources[*spec.Image](mustLoad(t, options(dir)).Desired)
		return images[1].Build.Digest, images[0].Build.Digest
	}
	app, base := digests()
	put(t, dir, "base/a", "two")
	if nextApp, nextBase := digests(); nextApp == app || nextBase == base {
		t.Errorf("the image below changed: %s → %s, above: %s → %s", base, nextBase, app, nextApp)
	}
	app, base = digests()
	put(t, dir, "app/b", "new")
	if nextApp, nextBase := digests(); nextApp == app || nextBase != base {
		t.Errorf("the image above changed: %s → %s, below: %s → %s", app, nextApp, base, nextBase)
	}
}
