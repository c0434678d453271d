// Package folder is a store of Delta tables in a folder of this machine.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Store reads below one folder. What is a link or a device in it is listed and never followed.
type Store struct{ root string }

// New makes a store of a folder, which is an absolute path.
func New(root string) *Store { return &Store{root} }

// Get opens a file.
func (s *Store) Get(_ context.Context, path string) (io.ReadCloser, error) {
	local := filepath.FromSlash(path)
	if !filepath.IsLocal(local) || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%s leads out of the store: %w", path, fs.ErrNotExist)
	}
	return os.Open(filepath.Join(s.root, local))
}

// Clock is that of this machine.
func (s *Store) Clock() time.Time { return time.Now() }

// Stat looks at one file. See delta.Store.
func (s *Store) Stat(_ context.Context, path string) (size int64, written time.Time, tag string, err error) {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return 0, time.Time{}, "", fmt.Errorf("%s leads out of the store: %w", path, fs.ErrNotExist)
	}
	if _, err := os.Stat(s.root); err != nil {
		return 0, time.Time{}, "", fmt.Errorf("look at %s: %v", s.root, err) // an empty store is not one that is gone
	}
	info, err := s.lstat(path)
	if errors.Is(err, syscall.ENAMETOOLONG) {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return 0, time.Time{}, "", fmt.Errorf("look at %s: %w", path, err)
	}
	return info.Size(), info.ModTime(), tagOf(info.Size(), info.ModTime()), nil
}

// lstat looks at a file that no link leads to, as a walk does.
func (s *Store) lstat(path string) (info fs.FileInfo, err error) {
	at := s.root
	for i, part := range strings.Split(path, "/") {
		if i > 0 && !info.IsDir() {
			return nil, fs.ErrNotExist
		}
		at = filepath.Join(at, part)
		if info, err = os.Lstat(at); err != nil {
			return nil, err
		}
	}
	if info.IsDir() {
		return nil, fs.ErrNotExist
	}
	return info, nil
}
