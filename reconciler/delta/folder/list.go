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
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// foldersAtOnce is how many folders are read side by side: a table has thousands of them, and
	// a disk answers more than one question at a time.
	foldersAtOnce = 4
	// entriesAtOnce is how much of a folder is read before it is handed on: a folder may have more
	// in it than fits into memory.
	entriesAtOnce = 1024
)

// List walks a folder. See delta.Store.
func (s *Store) List(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	w := &walk{store: s, deep: deep}
	return w.all(ctx, folder, func(e entry) error { return each(e.path, e.size, e.written, e.tag) })
}

// Names walks a folder and looks at none of its files. See delta.Naming.
func (s *Store) Names(ctx context.Context, folder string, each func(string) error) error {
	w := &walk{store: s, deep: true, named: true}
	return w.all(ctx, folder, func(e entry) error { return each(e.path) })
}

// all walks a folder, and gives what is in it to each from one goroutine.
func (w *walk) all(ctx context.Context, folder string, each func(entry) error) error {
	s := w.store
	if _, err := os.Stat(s.root); err != nil {
		return fmt.Errorf("list %s: %w", s.root, err) // an empty store is not one that is gone
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers, within := errgroup.WithContext(ctx)
	workers.SetLimit(foldersAtOnce)
	w.workers, w.found = workers, make(chan []entry)
	workers.Go(func() error { return w.folder(within, folder) })
	done := make(chan error, 1)
	go func() {
		done <- workers.Wait()
		close(w.found)
	}()
	for batch := range w.found {
		for _, e := range batch {
			if err := context.Cause(ctx); err != nil {
				break // the workers are ending
			}
			if err := each(e); err != nil {
				cancel(err)
			}
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return <-done
}

// entry is a file, or a folder that is not walked, as List tells of it.
type entry struct {
	path    string
	size    int64
	written time.Time
	tag     string
}

// walk is one List, or one of the names alone.
type walk struct {
	store   *Store
	deep    bool
	named   bool // files are not looked at
	workers *errgroup.Group
	found   chan []entry // by one worker after the other
}

// folder walks one, and those in it. One that is not there is empty.
func (w *walk) folder(ctx context.Context, folder string) error {
	below, err := w.read(ctx, folder)
	if err != nil {
		return err
	}
	for _, f := range below {
		if w.workers.TryGo(func() error { return w.folder(ctx, f) }) {
			continue
		}
		if err := w.folder(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// read tells of what is in a folder, and gives the folders in it that are still to be walked.
func (w *walk) read(ctx context.Context, folder string) (below []string, err error) {
	dir, err := os.Open(filepath.Join(w.store.root, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	defer dir.Close()
	for {
		names, last := dir.ReadDir(entriesAtOnce)
		batch := make([]entry, 0, len(names))
		for _, e := range names {
			path := folder + e.Name()
			switch {
			case e.IsDir() && w.deep:
				below = append(below, path+"/")
			case e.IsDir():
				batch = append(batch, entry{path: path + "/"})
			case w.named:
				batch = append(batch, entry{path: path})
			default:
				if batch, err = appendFile(batch, int(dir.Fd()), path, e.Name()); err != nil {
					return nil, err
				}
			}
		}
		if err := w.tell(ctx, batch); err != nil {
			return nil, err
		}
		switch {
		case errors.Is(last, io.EOF), errors.Is(last, fs.ErrNotExist): // it may go while it is read
			return below, nil
		case last != nil:
			return nil, fmt.Errorf("list %s: %w", folder, last)
		}
	}
}

func (w *walk) tell(ctx context.Context, batch []entry) error {
	select {
	case w.found <- batch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// appendFile looks at a file of a folder that is open. To look from there takes a third of the
// time that it takes to go through all folders above it again.
func appendFile(batch []entry, dir int, path, name string) ([]entry, error) {
	var stat unix.Stat_t
	err := retried(func() error { return unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	if errors.Is(err, fs.ErrNotExist) {
		return batch, nil // it went while the folder was read
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	written := time.Unix(stat.Mtim.Unix())
	return append(batch, entry{path, stat.Size, written, tagOf(stat.Size, written)}), nil
}

// retried makes a call again that a signal has interrupted.
func retried(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// tagOf is another one when a file was written again.
func tagOf(size int64, written time.Time) string {
	var text [32]byte
	b := strconv.AppendInt(text[:0], size, 36)
	b = strconv.AppendInt(append(b, '-'), written.UnixNano(), 36)
	return string(b)
}
