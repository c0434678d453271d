package delta

import (
	"context"
	"io"
	"time"
)

// Store is where tables are. It can look and nothing else.
type Store interface {
	// List gives the files below a folder ("" or a path with a slash at its end) to each, one
	// after the other in any order: the path, the size, when the store says it was written, and
	// a tag that changes when it is written again ("" where nothing tells). Without deep it gives the files directly in the folder, and every folder in it
	// as a path with a slash at its end. An error of each ends the list and is returned. A
	// folder that is not there is empty.
	List(ctx context.Context, folder string, deep bool, each func(path string, size int64, written time.Time, tag string) error) error
	// Get reads a file. The error is fs.ErrNotExist if there is none.
	Get(ctx context.Context, path string) (io.ReadCloser, error)
	// Clock is the time by the clock that stamps the store's files, as far as it is known:
	// zero before anything was listed.
	Clock() time.Time
}
