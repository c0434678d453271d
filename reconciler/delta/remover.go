package delta

import (
	"context"
	"time"
)

// Remover is a store from which files can be taken, in a way that they can be had back. Whoever
// holds one may remove data: only a run and its undoing do.
type Remover interface {
	Store
	// Versioned tells whether the store keeps, as another version, all that Remove takes from a
	// folder (in doubt it does not), and whether it may keep some of it (in doubt it does), so that
	// to remove a file need not free its room.
	Versioned(ctx context.Context, folder string) (all, some bool, err error)
	// Copy makes a file beside another one of that size, if that still has the tag ("": whatever it
	// has), all of it or nothing. It overwrites nothing: the error is fs.ErrExist if there is a file
	// at to already, fs.ErrNotExist if there is none at from, and fs.ErrInvalid if that has another
	// tag, or gets another one before all is copied.
	Copy(ctx context.Context, from, to string, size int64, tag string) error
	// Remove takes files away, BatchFiles at most, and accounts for each to done, in any order and
	// from one goroutine: with the mark that a store with versions leaves in its place, or with
	// why it was not removed. A file that is not there counts as removed, with no mark. Those of
	// which done does not hear may be there or not. It may be repeated.
	Remove(ctx context.Context, paths []string, done func(path, mark string, err error))
	// Recover takes away what Remove has left in the place of a file, so that the file is there
	// again: the mark, or, where that is "", every mark that was left at since or later. It does
	// so only if the version below the marks has the tag, and touches nothing else. The error is
	// fs.ErrNotExist if there is no such version, and fs.ErrExist if the file is there anyhow.
	Recover(ctx context.Context, path, mark, tag string, since time.Time) error
}

// BatchFiles is how many files go at once at most: as many as S3 takes in one request.
const BatchFiles = 1000

// passing tells whether an error of a store is worth waiting for its end, as SlowDown is.
type passing interface{ Passing() bool }
