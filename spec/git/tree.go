package git

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// scratch is where files are written before they get their place: on the same file system,
// and seen by no container.
const scratch = "tmp"

// tree is the files of one commit on disk, in a directory of their own that never becomes
// another one. All paths go through the root, which no symbolic link leads out of, whoever
// made it.
type tree struct {
	root *os.Root // holds the tree, its manifest and the scratch directory
	name string
}

// manifest says what a tree is made of. It lies beside the tree.
type manifest struct {
	Commit string             `json:"commit"`
	Files  map[string]written `json:"files"`
	// Next is there while the tree moves: the hashes of what may have been written, by path.
	Next map[string][]string `json:"next,omitempty"`
}

// written is a file as it was written. One that looks otherwise was changed by others.
type written struct {
	file
	Size     int64     `json:"size,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
}

// Moved says what of a tree others have changed.
type Moved struct {
	Aside []string // what was changed by others and by the new commit: kept under these names
	Left  []string // what was changed by others alone, and is left as it is
}

func (t tree) manifest() (manifest, error) {
	var m manifest
	text, err := t.root.ReadFile(t.name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	// One that cannot be read knows nothing: every file is then looked at.
	if json.Unmarshal(text, &m) != nil {
		return manifest{}, nil
	}
	return m, nil
}

func (t tree) save(m manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return t.place(t.name+".json", func(tmp string) error {
		f, err := t.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return errors.Join(err, f.Sync(), f.Close())
	})
}

// place makes something in the scratch directory and moves it where it belongs.
func (t tree) place(name string, makeAt func(tmp string) error) error {
	if err := t.root.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	tmp := path.Join(scratch, rand.Text())
	err := makeAt(tmp)
	if err == nil {
		err = t.root.Rename(tmp, name)
	}
	if err != nil {
		_ = t.root.RemoveAll(tmp)
	}
	return err
}

// whole tells whether a tree is at a commit and nothing of it is missing.
func (t tree) whole(commit string) bool {
	m, err := t.manifest()
	if err != nil || m.Commit != commit || m.Next != nil {
		return false
	}
	for name, f := range m.Files {
		if f.absent() {
			continue
		}
		if _, err := t.root.Lstat(path.Join(t.name, name)); err != nil {
			return false
		}
	}
	return true
}

// absent tells of a file that is not put on disk.
func (f file) absent() bool { return f.Refused != "" && f.Kind != regular && f.Kind != executable }

// move makes the tree that of a commit. It may be called again after any failure, and after
// the process was killed in the middle of it.
func (t tree) move(ctx context.Context, commit *object.Commit) (Moved, error) {
	from, err := commit.Tree()
	if err != nil {
		return Moved{}, err
	}
	files, err := listFiles(from)
	if err != nil {
		return Moved{}, err
	}
	before, err := t.manifest()
	if err != nil {
		return Moved{}, err
	}
	if err := t.root.MkdirAll(t.name, 0o755); err != nil {
		return Moved{}, err
	}
	m := &mover{tree: t, from: from, before: before, after: manifest{Commit: commit.Hash.String(), Files: map[string]written{}}}
	before.Next = map[string][]string{}
	maps.Copy(before.Next, m.before.Next) // what moves that were broken off have written
	for name, f := range files {
		before.Next[name] = append(slices.Clone(before.Next[name]), f.Hash)
	}
	if err := t.save(before); err != nil {
		return Moved{}, err
	}
	if err := m.move(ctx, files); err != nil {
		return m.moved, err
	}
	return m.moved, t.save(m.after)
}

// mover is one move on its way.
type mover struct {
	tree
	from          *object.Tree
	before, after manifest
	moved         Moved
}

func (m *mover) move(ctx context.Context, files map[string]file) error {
	gone := slices.Collect(maps.Keys(m.before.Files))
	gone = slices.AppendSeq(gone, maps.Keys(m.before.Next))
	slices.Sort(gone)
	gone = slices.DeleteFunc(slices.Compact(gone), func(name string) bool { _, stays := files[name]; return stays })
	// What is in the way goes first, the rest last: a directory that gets other files stays
	// the same directory.
	later, dirs := gone[:0], dirsOf(files)
	for _, name := range gone {
		if !inTheWay(name, files, dirs) {
			later = append(later, name)
			continue
		}
		if err := m.remove(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.put(name, files[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range later {
		if err := m.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// inTheWay tells whether a file has to go before the new ones can be written: where a
// directory is to be, or below a name that is to be a file.
func inTheWay(name string, files map[string]file, dirs map[string]bool) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, isFile := files[dir]; isFile {
			return true
		}
	}
	return dirs[name]
}

// dirsOf are the directories that files lie in.
func dirsOf(files map[string]file) map[string]bool {
	dirs := map[string]bool{}
	for name := range files {
		for dir := path.Dir(name); dir != "." && !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	return dirs
}

// put sees to it that a file is there with its content.
func (m *mover) put(name string, want file) error {
	at := path.Join(m.name, name)
	if want.absent() {
		m.after.Files[name] = written{file: want}
		return m.remove(name)
	}
	info, err := m.root.Lstat(at)
	if notThere(err) {
		return m.write(name, want)
	}
	if err != nil {
		return err
	}
	hash, kind, known := m.have(name, at, info)
	switch {
	case hash == want.Hash && kind == want.Kind:
		m.note(name, want, info)
		return nil
	case known:
		return m.write(name, want)
	case m.before.Files[name].Hash == want.Hash && !info.IsDir():
		m.after.Files[name] = written{file: want}
		m.moved.Left = append(m.moved.Left, name)
		return nil
	}
	if err := m.putAside(name, at); err != nil {
		return err
	}
	return m.write(name, want)
}

// notThere tells of an error that there is nothing under a name, also since something on the
// way to it is no directory.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// have tells what a file on disk is, and whether it is one that was written here.
func (m *mover) have(name, at string, info fs.FileInfo) (hash string, kind kind, known bool) {
	was, ok := m.before.Files[name]
	if ok && was.Size == info.Size() && was.Modified.Equal(info.ModTime()) && was.Kind == kindOf(info) {
		return was.Hash, was.Kind, true
	}
	hash, err := m.hash(at, info)
	if err != nil {
		return "", kindOf(info), false
	}
	return hash, kindOf(info), ok && hash == was.Hash || slices.Contains(m.before.Next[name], hash)
}

func kindOf(info fs.FileInfo) kind {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return link
	case info.Mode()&0o100 != 0:
		return executable
	}
	return regular
}

// hash is the one that git gives to a file's content.
func (m *mover) hash(at string, info fs.FileInfo) (string, error) {
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := m.root.Readlink(at)
		return plumbing.ComputeHash(plumbing.BlobObject, []byte(target)).String(), err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	f, err := m.root.Open(at)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := plumbing.NewHasher(plumbing.BlobObject, info.Size())
	_, err = io.Copy(h, f)
	return h.Sum().String(), err
}

// write gives a file its content: a new one, so that a container which has mounted the old
// one goes on reading that.
func (m *mover) write(name string, want file) error {
	blob, err := m.from.File(name)
	if err != nil {
		return err
	}
	at := path.Join(m.name, name)
	if err := m.makeDir(path.Dir(at)); err != nil {
		return err
	}
	if info, err := m.root.Lstat(at); err == nil && info.IsDir() {
		if err := m.putAside(name, at); err != nil {
			return err
		}
	}
	err = m.place(at, func(tmp string) error {
		if want.Kind == link {
			target, err := blob.Contents()
			if err != nil {
				return err
			}
			return m.root.Symlink(target, tmp)
		}
		return m.copy(blob, want, tmp)
	})
	if err != nil {
		return err
	}
	info, err := m.root.Lstat(at)
	if err != nil {
		return err
	}
	m.note(name, want, info)
	return nil
}

func (m *mover) copy(blob *object.File, want file, tmp string) error {
	mode := fs.FileMode(0o644)
	if want.Kind == executable {
		mode = 0o755
	}
	content, err := blob.Reader()
	if err != nil {
		return err
	}
	defer content.Close()
	f, err := m.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// makeDir makes a directory for a file, and puts aside what others have put there instead.
func (m *mover) makeDir(dir string) error {
	err := m.root.MkdirAll(dir, 0o755)
	for at := dir; err != nil && at != m.name && at != "."; at = path.Dir(at) {
		if info, lookErr := m.root.Lstat(at); lookErr == nil && !info.IsDir() {
			if err := m.putAside(strings.TrimPrefix(at, m.name+"/"), at); err != nil {
				return err
			}
			return m.root.MkdirAll(dir, 0o755)
		}
	}
	return err
}

// putAside keeps what others have written under another name.
func (m *mover) putAside(name, at string) error {
	suffix := ".local-" + time.Now().UTC().Format("20060102T150405")
	for n, stem := 2, suffix; ; n++ {
		if _, err := m.root.Lstat(at + suffix); err != nil {
			break // the name is free
		}
		suffix = fmt.Sprintf("%s-%d", stem, n)
	}
	if err := m.root.Rename(at, at+suffix); err != nil {
		return err
	}
	m.moved.Aside = append(m.moved.Aside, name+suffix)
	return nil
}

func (m *mover) note(name string, f file, info fs.FileInfo) {
	m.after.Files[name] = written{file: f, Size: info.Size(), Modified: info.ModTime()}
}

// remove takes a file away that the commit does not have, and the directories that become
// empty. What others have changed stays.
func (m *mover) remove(name string) error {
	at := path.Join(m.name, name)
	info, err := m.root.Lstat(at)
	if notThere(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, _, known := m.have(name, at, info); !known {
		m.moved.Left = append(m.moved.Left, name)
		return nil
	}
	if err := m.root.Remove(at); err != nil {
		return err
	}
	for dir := path.Dir(at); dir != m.name; dir = path.Dir(dir) {
		if m.root.Remove(dir) != nil {
			break // others have files in it
		}
	}
	return nil
}

// refused gives what of the tree is not to be used at or below a path, or on the way to it.
func (t tree) refused(below string) ([]error, error) {
	m, err := t.manifest()
	if err != nil {
		return nil, err
	}
	var all []error
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		f := m.Files[name]
		if f.Refused != "" && (within(name, below) || within(below, name)) {
			all = append(all, fmt.Errorf("%s: %s", name, f.Refused))
		}
	}
	return all, nil
}

func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, filepath.ToSlash(dir)+"/")
}
