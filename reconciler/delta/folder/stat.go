package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// StatAll looks at files by their names, from the folder that several of them in a row lie in. See delta.Naming.
func (s *Store) StatAll(ctx context.Context, paths []string, each func(i int, size int64, written time.Time, tag string)) error {
	root, err := unix.Open(s.root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("look at %s: %v", s.root, err) // an empty store is not one that is gone
	}
	defer unix.Close(root)
	in := within{root: root, at: -1}
	defer in.leave()
	for i, p := range paths {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			continue
		}
		folder, name := path.Split(p)
		stat, err := in.look(folder, name)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENAMETOOLONG):
			continue // it is not there, or only through a link
		case err != nil:
			return fmt.Errorf("look at %s: %w", p, err)
		case stat.Mode&unix.S_IFMT == unix.S_IFDIR:
			continue
		}
		written := time.Unix(stat.Mtim.Unix())
		each(i, stat.Size, written, tagOf(stat.Size, written))
	}
	return nil
}

// within is a folder below another one, which no link leads to.
type within struct {
	root   int
	folder string
	at     int // the folder's; below 0: none is open
}

// look looks at a file of a folder.
func (w *within) look(folder, name string) (stat unix.Stat_t, err error) {
	if w.at < 0 || folder != w.folder {
		if err := w.enter(folder); err != nil {
			return stat, err
		}
	}
	err = retried(func() error { return unix.Fstatat(w.at, name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	return stat, err
}

// enter goes to a folder, step by step.
func (w *within) enter(folder string) error {
	w.leave()
	at := w.root
	for part := range strings.SplitSeq("./"+strings.TrimSuffix(folder, "/"), "/") {
		if part == "" {
			continue
		}
		next, err := unix.Openat(at, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if at != w.root {
			_ = unix.Close(at) // it was only gone through
		}
		if err != nil {
			return err
		}
		at = next
	}
	w.folder, w.at = folder, at
	return nil
}

func (w *within) leave() {
	if w.at >= 0 {
		_ = unix.Close(w.at) // it was only looked from
		w.at = -1
	}
}
