package deltatest

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Naming is a Store that names files without looking at them, as a folder does. See delta.Naming.
type Naming struct{ *Store }

// Names implements delta.Naming.
func (n Naming) Names(ctx context.Context, folder string, each func(string) error) error {
	return n.List(ctx, folder, true, func(path string, _ int64, _ time.Time, _ string) error { return each(path) })
}

// StatAll implements delta.Naming.
func (n Naming) StatAll(ctx context.Context, paths []string, each func(i int, size int64, written time.Time, tag string)) error {
	for i, path := range paths {
		size, written, tag, err := n.Stat(ctx, path)
		switch {
		case err == nil:
			each(i, size, written, tag)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	return nil
}
