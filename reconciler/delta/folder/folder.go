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
	"strconv"
	"strings"
	"time"
)

// Store reads below one folder. What is a link or a device in it is listed and never followed.
type Store struct{ root string }

// New makes a store of a folder, which is an absolute path.
func New(root string) *Store { return &Store{root} }

// List walks a folder. See delta.Store.
func (s *Store) List(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	if _, err := os.Stat(s.root); err != nil {
		return fmt.Errorf("list %s: %w", s.root, err) // an empty store is not one that is gone
	}
	return s.walk(ctx, folder, deep, each)
}

func (s *Store) walk(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	entries, err := os.ReadDir(filepath.Join(s.root, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list %s: %w", folder, err)
	}
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		path := folder + e.Name()
		switch {
		case e.IsDir() && deep:
			err = s.walk(ctx, path+"/", deep, each)
		case e.IsDir():
			err = each(path+"/", 0, time.Time{}, "")
		default:
			err = s.file(path, e, each)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) file(path string, e fs.DirEntry, each func(string, int64, time.Time, string) error) error {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went while the folder was read
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	return each(path, info.Size(), info.ModTime(), tagOf(info))
}

// tagOf is another one when a file was written again.
func tagOf(i fs.FileInfo) string {
	return strconv.FormatInt(i.Size(), 36) + "-" + strconv.FormatInt(i.ModTime().UnixNano(), 36)
}

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
