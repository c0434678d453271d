package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Versioned implements delta.Remover: a folder keeps no versions.
func (s *Store) Versioned(context.Context, string) (all, some bool, err error) {
	return false, false, nil
}

// probeFile shows by which clock files are stamped. Readers of tables take its name for a hidden one.
const probeFile = ".flumen_clock"

// Probe gives the time with which a file is stamped that is written now. See delta.Probing.
func (s *Store) Probe(_ context.Context, folder string) (at time.Time, err error) {
	err = s.in(func(root *os.Root) (err error) {
		path := filepath.Join(filepath.FromSlash(folder), probeFile)
		if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed
			return err
		}
		f, err := root.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // empty, or a full disk would not have it
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err := errors.Join(err, f.Close(), root.Remove(path)); err != nil {
			return err
		}
		at = info.ModTime()
		return nil
	})
	return at, err
}

// Copy gives a file a second name, which takes no room and overwrites nothing. See delta.Remover.
// What is a link on the way to a file is followed only within the store.
func (s *Store) Copy(_ context.Context, from, to string, _ int64, tag string) error {
	return s.in(func(root *os.Root) error {
		info, err := root.Lstat(filepath.FromSlash(from))
		switch {
		case err != nil:
			return err
		case tag != "" && tagOf(info.Size(), info.ModTime()) != tag || !info.Mode().IsRegular():
			return fmt.Errorf("%s is not the file that it was: %w", from, fs.ErrInvalid)
		}
		target := filepath.FromSlash(to)
		if err := root.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return root.Link(filepath.FromSlash(from), target)
	})
}

// KeepsTimes tells that a second name of a file has the file's time.
func (s *Store) KeepsTimes() bool { return true }

// Remove removes files. See delta.Remover.
func (s *Store) Remove(_ context.Context, paths []string, done func(path, mark string, err error)) {
	err := s.in(func(root *os.Root) error {
		for _, path := range paths {
			done(path, "", remove(root, filepath.FromSlash(path)))
		}
		return nil
	})
	if err != nil {
		for _, path := range paths {
			done(path, "", err)
		}
	}
}

// remove removes what is no folder.
func remove(root *os.Root, path string) error {
	info, err := root.Lstat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	if err == nil {
		err = root.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Recover implements delta.Remover.
func (s *Store) Recover(context.Context, string, string, string, time.Time) error {
	return errors.New("a folder keeps no versions")
}

// in does something below the store's folder, and nowhere else whatever links there are.
func (s *Store) in(do func(*os.Root) error) error {
	root, err := os.OpenRoot(s.root)
	if err != nil {
		return err
	}
	defer root.Close()
	return do(root)
}
