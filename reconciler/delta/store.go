package delta

import (
	"context"
	"io"
	"time"
)

// Ordered is a Store that lists in the order of names.
type Ordered interface {
	// ListAfter gives what is directly in a folder and comes after a name, as List does. It may give more.
	ListAfter(ctx context.Context, folder, after string, each func(path string, size int64, written time.Time, tag string) error) error
}

// Naming is a Store that names files much sooner than it tells more of them, as a folder does: most files of a table are live,
// and nothing else counts of them than that they are there.
type Naming interface {
	// Names gives the paths of the files that a deep List gives, as that does.
	Names(ctx context.Context, folder string, each func(path string) error) error
	// StatAll looks for files by their names, as Stat does, and gives those that are there to each, by their places
	// among the paths. Those of one folder are best side by side.
	StatAll(ctx context.Context, paths []string, each func(i int, size int64, written time.Time, tag string)) error
}

// Probing is a Remover whose Clock need not be the one that stamps its files, as where a folder is another machine's.
type Probing interface {
	// Probe gives the time with which a file is stamped that is written now: it writes one to a folder, and removes it.
	Probe(ctx context.Context, folder string) (time.Time, error)
}

// Late is a Store that may list what was written only some time later.
type Late interface {
	// Late tells whether this one may, for all that it has said so far.
	Late() bool
}

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
	// Stat looks for one file by its name, as List would show it. What is behind a link is not there. The time may
	// be that of the whole second. The error is fs.ErrNotExist if there is none.
	Stat(ctx context.Context, path string) (size int64, written time.Time, tag string, err error)
	// Clock is the time by the clock that stamps the store's files, as far as it is known:
	// zero before anything was listed.
	Clock() time.Time
}
