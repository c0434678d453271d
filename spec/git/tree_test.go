package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
	"pgregory.net/rapid"
)

// mustEnter moves the live tree, and gives what was found changed.
func mustEnter(t *testing.T, s *Source, commit, good string) Moved {
	t.Helper()
	moved, err := s.Enter(t.Context(), commit, good)
	if err != nil {
		t.Fatal(err)
	}
	return moved
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// followed gives a source of a new repository with one commit.
func followedFiles(t *testing.T, files map[string]string) (r repository, s *Source, first string) {
	t.Helper()
	r = newRepository(t)
	for name, content := range files {
		r.write(name, content)
	}
	first = r.push("First")
	s = r.source(Options{URL: r.bare})
	mustPoll(t, s, true)
	return r, s, first
}

func TestLiveTreeMovesOnlyWhenItIsEnteredAndKeepsWhatDoesNotChange(t *testing.T) {
	r, s, first := followedFiles(t, map[string]string{"conf/same": "same", "conf/other": "one"})
	mustEnter(t, s, first, "")
	live := s.Live()
	dir, same, other := inode(t, live+"/conf"), inode(t, live+"/conf/same"), inode(t, live+"/conf/other")
	mounted, err := os.Open(live + "/conf/other") // as a running container has it
	if err != nil {
		t.Fatal(err)
	}
	defer mounted.Close()

	r.write("conf/other", "two")
	second := r.push("Second")
	mustPoll(t, s, true)
	mustHave(t, s, second, "conf/other", "two")
	mustRead(t, live+"/conf/other", "one")

	mustEnter(t, s, second, first)
	mustRead(t, live+"/conf/other", "two")
	if inode(t, live+"/conf") != dir || inode(t, live+"/conf/same") != same {
		t.Error("what did not change was replaced")
	}
	if inode(t, live+"/conf/other") == other {
		t.Error("a changed file was written in place")
	}
	text := make([]byte, 3)
	if _, err := mounted.ReadAt(text, 0); err != nil || string(text) != "one" {
		t.Errorf("a container that has the file open reads %q (%v)", text, err)
	}
}

func TestTreeGoesBackAndNothingIsStartedOnItThen(t *testing.T) {
	r, s, first := followedFiles(t, map[string]string{"conf": "one"})
	mustEnter(t, s, first, "")
	r.write("conf", "two")
	second := r.push("Second")
	mustPoll(t, s, true)
	started := 0
	start := func() error { started++; return nil }

	mustEnter(t, s, second, first)
	if err := s.Use(start); err != nil || started != 1 {
		t.Fatalf("started %d times: %v", started, err)
	}
	if back, err := s.GoBack(t.Context()); err != nil || !back {
		t.Fatalf("went back: %v %v", back, err)
	}
	mustRead(t, s.Live()+"/conf", "one")
	if err := s.Use(start); !errors.Is(err, ErrWentBack) || started != 1 {
		t.Errorf("started %d times: %v", started, err)
	}
	mustEnter(t, s, first, first)
	if err := s.Use(start); err != nil {
		t.Error(err)
	}
	mustEnter(t, s, second, "")
	if back, err := s.GoBack(t.Context()); back || err != nil {
		t.Errorf("went back to nothing: %v %v", back, err)
	}
}

func TestFilesThatOthersChangedAreNeverLost(t *testing.T) {
	r, s, first := followedFiles(t, map[string]string{"a": "a1", "b": "b1", "c": "c1", "dir/d": "d1"})
	mustEnter(t, s, first, "")
	live := s.Live()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(live, name), "mine")
	}
	writeFile(t, live+"/dir/new", "untracked")
	r.write("a", "a2")
	r.git("rm", "-q", "c", "dir/d")
	second := r.push("Change a, remove c and dir/d")
	mustPoll(t, s, true)
	moved := mustEnter(t, s, second, first)

	mustRead(t, live+"/a", "a2")
	mustRead(t, live+"/b", "mine")
	mustRead(t, live+"/c", "mine")
	mustRead(t, live+"/dir/d", "")
	mustRead(t, live+"/dir/new", "untracked")
	if len(moved.Aside) != 1 || !slices.Equal(moved.Left, []string{"b", "c"}) {
		t.Fatalf("got %+v", moved)
	}
	mustRead(t, filepath.Join(live, moved.Aside[0]), "mine")
}

func TestMissingFilesOfTheTreeComeBack(t *testing.T) {
	_, s, first := followedFiles(t, map[string]string{"a": "a1", "dir/b": "b1"})
	mustEnter(t, s, first, "")
	if err := os.RemoveAll(s.Live() + "/dir"); err != nil {
		t.Fatal(err)
	}
	mustEnter(t, s, first, "")
	mustRead(t, s.Live()+"/dir/b", "b1")
}

func TestFilesBecomeDirectoriesAndBack(t *testing.T) {
	r, s, first := followedFiles(t, map[string]string{"x": "file", "y/z": "file"})
	mustEnter(t, s, first, "")
	r.git("rm", "-q", "x", "y/z")
	r.write("x/deep/er", "in x")
	r.write("y", "now a file")
	second := r.push("Swap")
	mustPoll(t, s, true)
	mustEnter(t, s, second, first)
	mustRead(t, s.Live()+"/x/deep/er", "in x")
	mustRead(t, s.Live()+"/y", "now a file")
	mustEnter(t, s, first, second)
	mustRead(t, s.Live()+"/x", "file")
	mustRead(t, s.Live()+"/y/z", "file")
}

func TestNothingIsWrittenThroughALinkThatAContainerMade(t *testing.T) {
	r, s, first := followedFiles(t, map[string]string{"conf/a": "one"})
	mustEnter(t, s, first, "")
	outside := t.TempDir()
	writeFile(t, outside+"/a", "theirs")
	if err := errors.Join(os.RemoveAll(s.Live()+"/conf"), os.Symlink(outside, s.Live()+"/conf")); err != nil {
		t.Fatal(err)
	}
	r.write("conf/a", "two")
	second := r.push("Second")
	mustPoll(t, s, true)
	if _, err := s.Enter(t.Context(), second, first); err == nil {
		mustRead(t, s.Live()+"/conf/a", "two")
	}
	mustRead(t, outside+"/a", "theirs")
}

func TestWhatLeadsOutIsRefusedWhereTheSpecNamesIt(t *testing.T) {
	r := newRepository(t)
	r.write("ok/file", "x")
	r.write("big.bin", lfsPointer+"v1\noid sha256:abc\nsize 5\n")
	for name, target := range map[string]string{"ok/in": "file", "ok/up": "../ok/file", "passwd": "/etc/passwd", "up/out": "../../x", "down/up": "sub/../../../x"} {
		at := filepath.Join(r.work, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(target, at)); err != nil {
			t.Fatal(err)
		}
	}
	r.git("add", "-A")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("a", 40)+",vendor/lib")
	r.git("commit", "-q", "-m", "First")
	r.git("push", "-q", "origin", "HEAD")
	s := r.source(Options{URL: r.bare})
	snap, err := snapshot(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, snap.Dir+"/ok/in", "x")
	mustRead(t, snap.Dir+"/ok/up", "x")
	for _, name := range []string{"passwd", "up/out", "down/up"} {
		if _, err := os.Lstat(filepath.Join(snap.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if err := s.Refused([]string{snap.Dir + "/ok", snap.Dir + "/ok/in", "/etc/passwd"}); err != nil {
		t.Errorf("good files are refused: %v", err)
	}
	for name, says := range map[string]string{
		"passwd": "symbolic link to /etc/passwd", "up": "outside the repository", "down/up": "outside", "vendor/lib/x.conf": "git submodule",
		"vendor": "git submodule", "big.bin": "git LFS", ".": "git LFS",
	} {
		if err := s.Refused([]string{filepath.Join(snap.Dir, name)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, expected %q", name, err, says)
		}
	}
}

func TestNamesThatLeadOutOfTheRepositoryAreRefused(t *testing.T) {
	for _, name := range []string{"../x", "a/../../x", ".git/config", "a/.GIT/x", "a//b", "a\\b", "./x"} {
		if checkName(name) == nil {
			t.Errorf("%q was taken", name)
		}
	}
	for _, name := range []string{"a", "a/b.c", ".github/x", "..a/b..", "a.git/b"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// world is a tree on disk that commits, people and interruptions meet in.
type world struct {
	*rapid.T
	storage *memory.Storage
	tree    tree
	edits   map[string]bool // every content that somebody wrote by hand
}

// commitOf makes a commit of files in memory.
func (w world) commitOf(files map[string]string) *object.Commit {
	hash := w.treeOf(files, "")
	commit := &object.Commit{TreeHash: hash, Message: fmt.Sprint(files)}
	o := w.storage.NewEncodedObject()
	w.must(commit.Encode(o))
	h, err := w.storage.SetEncodedObject(o)
	w.must(err)
	got, err := object.GetCommit(w.storage, h)
	w.must(err)
	return got
}

func (w world) treeOf(files map[string]string, dir string) plumbing.Hash {
	var t object.Tree
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rest, ok := strings.CutPrefix(name, dir)
		first, _, isDir := strings.Cut(rest, "/")
		if !ok || seen[first] {
			continue
		}
		seen[first] = true
		if isDir {
			t.Entries = append(t.Entries, object.TreeEntry{Name: first, Mode: filemode.Dir, Hash: w.treeOf(files, dir+first+"/")})
			continue
		}
		t.Entries = append(t.Entries, object.TreeEntry{Name: first, Mode: filemode.Regular, Hash: w.blob(files[name])})
	}
	slices.SortFunc(t.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	o := w.storage.NewEncodedObject()
	w.must(t.Encode(o))
	hash, err := w.storage.SetEncodedObject(o)
	w.must(err)
	return hash
}

func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func (w world) blob(content string) plumbing.Hash {
	o := w.storage.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	writer, err := o.Writer()
	w.must(err)
	_, err = writer.Write([]byte(content))
	w.must(err)
	w.must(writer.Close())
	hash, err := w.storage.SetEncodedObject(o)
	w.must(err)
	return hash
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// contents are all files on disk, by path.
func (w world) contents() map[string]string {
	all := map[string]string{}
	_ = fs.WalkDir(w.tree.root.FS(), w.tree.name, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			text, err := w.tree.root.ReadFile(name)
			w.must(err)
			all[strings.TrimPrefix(name, w.tree.name+"/")] = string(text)
		}
		return nil
	})
	return all
}

// stopsAfter ends a context after it was asked n times, like a kill in the middle.
type stopsAfter struct {
	context.Context
	left *int
}

func (c stopsAfter) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestTreeIsTheCommitsAndLosesNoEdit draws commits, edits by hand and moves that are broken
// off anywhere, and holds after each: what people wrote is still there, under some name; and
// after a move that ended, each file is the commit's or somebody's.
func TestTreeIsTheCommitsAndLosesNoEdit(t *testing.T) {
	names := []string{"a", "b", "d", "d/a", "d/b", "d/e/f"}
	base := t.TempDir()
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		count++
		dir := filepath.Join(base, fmt.Sprint(count))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			rt.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		defer root.Close()
		w := world{rt, memory.NewStorage(), tree{root, "live"}, map[string]bool{}}
		for range rapid.IntRange(1, 8).Draw(rt, "moves") {
			w.edit(names)
			w.move(names)
		}
	})
}

func (w world) edit(names []string) {
	for range rapid.IntRange(0, 2).Draw(w.T, "edits") {
		name := rapid.SampledFrom(names).Draw(w.T, "edited")
		content := fmt.Sprintf("by hand %d", len(w.edits))
		at := path.Join(w.tree.name, name)
		if w.tree.root.MkdirAll(path.Dir(at), 0o755) == nil && w.tree.root.WriteFile(at, []byte(content), 0o644) == nil {
			// What lay there before was this person's to overwrite.
			w.edits[content] = true
			for one := range w.edits {
				if one != content && !slices.Contains(slices.Collect(maps.Values(w.contents())), one) {
					delete(w.edits, one)
				}
			}
		}
	}
}

func (w world) move(names []string) {
	files := map[string]string{}
	for _, name := range names {
		if rapid.Bool().Draw(w.T, "has "+name) && !clashes(files, name) {
			files[name] = rapid.SampledFrom([]string{"one", "two", "three"}).Draw(w.T, name)
		}
	}
	commit := w.commitOf(files)
	ctx := context.Context(w.Context())
	if rapid.Bool().Draw(w.T, "broken off") {
		left := rapid.IntRange(0, 4).Draw(w.T, "after")
		ctx = stopsAfter{ctx, &left}
	}
	_, err := w.tree.move(ctx, commit)
	have := w.contents()
	for edit := range w.edits {
		if !slices.Contains(slices.Collect(maps.Values(have)), edit) {
			w.Fatalf("%q is lost; there are %v", edit, have)
		}
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			w.Fatal(err)
		}
		return
	}
	for name, content := range files {
		if have[name] != content && !w.edits[have[name]] {
			w.Errorf("%s holds %q, expected %q", name, have[name], content)
		}
	}
	for name, content := range have {
		if _, wanted := files[name]; !wanted && !w.edits[content] {
			w.Errorf("%s (%q) is left over", name, content)
		}
	}
}

func clashes(files map[string]string, name string) bool {
	for other := range files {
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			return true
		}
	}
	return false
}
