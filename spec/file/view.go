package file

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// mostLinks is how many symlinks one path may lead through, as in the kernel.
	mostLinks = 40
	// mostEntries is how large a followed directory may be. The content of a larger
	// one is not part of the spec either, and somebody may have mounted "/".
	mostEntries = 1000
)

// sight is what a look sees on the way to one followed path and below it, by path.
type sight map[string]stamp

// view is what one look sees. It is not changed after that.
type view struct {
	sights map[string]sight    // by followed path
	dirs   map[string]struct{} // the directories to watch, free of symlinks
	trees  map[string]struct{} // those of dirs in which every entry counts
}

// takeView looks at all paths, which are absolute.
func takeView(paths []string) *view {
	v := &view{sights: map[string]sight{}, dirs: map[string]struct{}{}, trees: map[string]struct{}{}}
	for _, path := range paths {
		s := sight{}
		v.sights[path] = s
		real, info := v.trace(path, s)
		if info != nil && info.IsDir() && !v.addTree(real, s) {
			v.sights[path] = sight{real: stamp{info: info}}
		}
	}
	return v
}

// concerns tells whether something that happened to name can be a change.
func (v *view) concerns(name string) bool {
	if _, ok := v.dirs[name]; ok {
		return true
	}
	if _, ok := v.trees[filepath.Dir(name)]; ok {
		return true
	}
	for _, s := range v.sights {
		if _, ok := s[name]; ok {
			return true
		}
	}
	return false
}

// sameDirs tells whether o watches the same directories.
func (v *view) sameDirs(o *view) bool { return maps.Equal(v.dirs, o.dirs) }

// changedFrom tells whether a followed path looks different from the view before. A
// path that was not followed then has changed if that was after since.
func (v *view) changedFrom(before *view, since time.Time) bool {
	for path, s := range v.sights {
		old, followed := before.sights[path]
		if followed && !maps.EqualFunc(s, old, stamp.equal) || !followed && s.newerThan(since) {
			return true
		}
	}
	return false
}

func (s sight) newerThan(t time.Time) bool {
	for _, one := range s {
		if one.info != nil && one.info.Mode().IsRegular() && one.info.ModTime().After(t) {
			return true
		}
	}
	return false
}

// trace walks to path one name at a time, through every symlink, and notes in s what
// decides where it leads. It gives the real path, and no info if the path ends before.
func (v *view) trace(path string, s sight) (real string, info fs.FileInfo) {
	at, rest, links := string(filepath.Separator), names(path), 0
	for len(rest) > 0 {
		next := filepath.Join(at, rest[0])
		var err error
		if info, err = os.Lstat(next); err != nil {
			return v.miss(at, next, err, s)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at, rest = next, rest[1:]
			continue
		}
		target, err := os.Readlink(next)
		if links++; err == nil && links > mostLinks {
			err = errors.New("too many symbolic links")
		}
		if err != nil {
			return v.miss(at, next, err, s)
		}
		s[next], v.dirs[at] = stamp{link: target}, struct{}{}
		if filepath.IsAbs(target) {
			at = string(filepath.Separator)
		}
		rest = slices.Concat(names(target), rest[1:])
	}
	if info == nil || info.Mode()&fs.ModeSymlink != 0 { // nothing but links, up to the root
		info, _ = os.Lstat(at)
	}
	s[at] = stamp{info: info}
	v.dirs[filepath.Dir(at)] = struct{}{}
	return at, info
}

// miss notes that a walk ended at a name that cannot be looked at. It may turn up in
// the deepest directory there is.
func (v *view) miss(dir, name string, err error, s sight) (string, fs.FileInfo) {
	fault := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		fault = "not there"
	}
	s[name], v.dirs[dir] = stamp{fault: fault}, struct{}{}
	return name, nil
}

func names(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
}

// addTree notes everything below a real directory, unless that is too much.
func (v *view) addTree(root string, s sight) (whole bool) {
	dirs := []string{root}
	for i := 0; i < len(dirs); i++ {
		entries, err := readDir(dirs[i], mostEntries+1-len(s))
		if err != nil {
			s[dirs[i]] = stamp{fault: err.Error()}
		}
		for _, entry := range entries {
			path := filepath.Join(dirs[i], entry.Name())
			if entry.Type()&fs.ModeSymlink != 0 {
				v.trace(path, s)
				continue
			}
			s[path] = stampOf(path)
			if entry.IsDir() {
				dirs = append(dirs, path)
			}
		}
		if len(s) > mostEntries {
			return false
		}
	}
	for _, dir := range dirs {
		v.dirs[dir], v.trees[dir] = struct{}{}, struct{}{}
	}
	return true
}

// readDir gives at most n entries of a directory.
func readDir(dir string, n int) ([]fs.DirEntry, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(max(n, 1))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return entries, err
}

func stampOf(path string) stamp {
	info, err := os.Lstat(path)
	if err != nil {
		return stamp{fault: err.Error()}
	}
	return stamp{info: info}
}
