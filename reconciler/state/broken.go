package state

import (
	"errors"
	"io/fs"
	"os"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// damage is what the check of a file has found.
type damage struct{ verdict string }

func (d *damage) Error() string { return d.verdict }

// unreadable tells a file whose content is no use, from one that cannot be reached.
func unreadable(err error) bool {
	if d := (*damage)(nil); errors.As(err, &d) {
		return true
	}
	failure := (*sqlite.Error)(nil)
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// setAside renames a file and what SQLite keeps beside it.
func setAside(path, aside string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
