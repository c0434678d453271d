// Package state keeps on disk what the agent remembers: the runs it did, what it knows
// of revisions, and what people ask of it while it holds the project.
//
//	agent, commands ──▶ Store ──▶ one SQLite file for each project and engine
//
// It is only memory, never truth: what runs is found out by looking. A file that is lost
// or broken costs history, pause, pin and quarantine, and nothing else. Nothing here
// knows what the remembered values mean.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// schema is made in an empty file; its version is kept in user_version.
const (
	version = 1
	schema  = `
CREATE TABLE runs (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	at      INTEGER NOT NULL, -- nanoseconds since 1970
	report  BLOB NOT NULL     -- report.Report as JSON
);
CREATE TABLE acts ( -- which run did something to what
	run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
	ref TEXT NOT NULL
);
CREATE INDEX acts_by_ref ON acts (ref, run);
CREATE INDEX acts_by_run ON acts (run);
CREATE TABLE notes (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
);
CREATE TABLE requests (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	at     INTEGER NOT NULL,
	verb   TEXT NOT NULL,
	args   BLOB NOT NULL,
	answer BLOB -- NULL until it was taken up and done with
);`
)

// busyTimeout is how long one process waits for another's write: each takes milliseconds.
const busyTimeout = 5 * time.Second

// Store is an open memory. Its methods may be called from several goroutines, and several
// processes may have the same file open.
type Store struct {
	db      atomic.Pointer[sql.DB]
	options Options
	path    string // "" for one that is in memory and stays there

	mu   sync.Mutex
	file fs.FileInfo // that was opened; nil: none, all is in memory
	seen [2]stamp    // of the file and its log, when Stirred was called last
}

// stamp is how a file looks from outside.
type stamp struct {
	size     int64
	modified time.Time
}

// Options say how a memory is opened.
type Options struct {
	// Hide takes the secrets out of a JSON text before it is written; nil: there are
	// none.
	Hide func(json []byte) []byte
}

// Broken says that a memory could not be read and was set aside.
type Broken struct {
	Path, Aside string
	Err         error
}

func (b *Broken) Error() string {
	return fmt.Sprintf("the agent's memory %s cannot be read (%v); it was set aside as %s, and history, pause, pin and quarantine begin anew", b.Path, b.Err, b.Aside)
}

// Open opens the memory in a file, and makes it if there is none. A file that cannot be
// read is set aside: then the Store is new and empty, and broken says so.
func Open(ctx context.Context, path string, o Options) (s *Store, broken *Broken, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of the agent's memory: %w", err)
	}
	s, err = open(ctx, path, o)
	if err == nil || !unreadable(err) {
		return s, nil, err
	}
	broken = &Broken{Path: path, Aside: fmt.Sprintf("%s.broken-%s", path, time.Now().UTC().Format("20060102T150405Z")), Err: err}
	if err := setAside(path, broken.Aside); err != nil {
		return nil, nil, fmt.Errorf("%w (and it cannot be set aside: %w)", broken.Err, err)
	}
	s, err = open(ctx, path, o)
	return s, broken, err
}

// OpenInMemory gives a Store that forgets everything when the process ends: for where
// nothing can be written. path is the file that Reopen opens when that has changed; it may be
// empty.
func OpenInMemory(ctx context.Context, path string, o Options) (*Store, error) {
	db, err := prepare(ctx, "file::memory:")
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, options: o}
	s.db.Store(db)
	return s, nil
}

// Fleeting tells whether everything is in memory, and what is on disk is not known.
func (s *Store) Fleeting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file == nil
}

// Lost tells whether the file that was opened is not, or no longer, the one on the disk: it was
// removed, something was mounted over it, or it could not be opened yet.
func (s *Store) Lost() bool {
	if s.path == "" {
		return false
	}
	now, err := os.Stat(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file == nil || err != nil || !os.SameFile(s.file, now)
}

// Reopen opens the file anew, as Open does; what the file says counts from then on. With an error
// the Store goes on as it was.
func (s *Store) Reopen(ctx context.Context) (*Broken, error) {
	anew, broken, err := Open(ctx, s.path, s.options)
	if err != nil {
		return broken, err
	}
	s.mu.Lock()
	s.file, s.seen = anew.file, [2]stamp{}
	s.mu.Unlock()
	return broken, s.db.Swap(anew.db.Load()).Close()
}

// Read opens a memory that is there, and errs with fs.ErrNotExist if none is.
func Read(ctx context.Context, path string) (*Store, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the agent's memory: %w", err)
	}
	return open(ctx, path, Options{})
}

func open(ctx context.Context, path string, o Options) (*Store, error) {
	// Made here, for SQLite would let others read it; its other files follow its mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the agent's memory: %w", err)
	}
	file, err := f.Stat()
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("open the agent's memory: %w", err)
	}
	db, err := prepare(ctx, "file:"+(&url.URL{Path: path}).EscapedPath())
	if err != nil {
		return nil, fmt.Errorf("open the agent's memory %s: %w", path, err)
	}
	s := &Store{path: path, options: o, file: file}
	s.db.Store(db)
	return s, nil
}

// Stirred tells whether somebody may have written since it was called last. It costs two
// looks at the file system; two writes within a few milliseconds may count as one.
func (s *Store) Stirred() bool {
	if s.Fleeting() {
		return false // nobody else can write
	}
	var now [2]stamp
	for i, path := range []string{s.path, s.path + "-wal"} {
		if info, err := os.Stat(path); err == nil {
			now[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.seen
	s.seen = now
	return now != before
}

// prepare connects, checks the file and makes the tables that are not there.
func prepare(ctx context.Context, name string) (*sql.DB, error) {
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_size_limit(1048576)",
		"synchronous(FULL)", "foreign_keys(1)", "cache_size(-256)",
	}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", name+"?"+pragmas.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // one writer at a time is enough, and one cache
	if err := errors.Join(check(ctx, db), migrate(ctx, db)); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// hide takes the secrets out of a JSON text.
func (s *Store) hide(text []byte) []byte {
	if s.options.Hide == nil {
		return text
	}
	return s.options.Hide(text)
}

// Close closes the file. What was written is there.
func (s *Store) Close() error { return s.db.Load().Close() }

// check finds a file that was damaged.
func check(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return &damage{verdict}
	}
	return nil
}

// migrate makes the tables that are not there. Where they are, it waits for nobody who writes.
func migrate(ctx context.Context, db *sql.DB) error {
	if done, err := migrated(ctx, db); done || err != nil {
		return err
	}
	// The file keeps these, of which the first takes the lock of who writes also when it changes nothing.
	if _, err := db.ExecContext(ctx, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"); err != nil {
		return err
	}
	return change(ctx, db, func(tx *sql.Tx) error {
		if done, err := migrated(ctx, tx); done || err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, schema+fmt.Sprintf("PRAGMA user_version = %d;", version))
		return err
	})
}

// migrated tells whether the tables are those of this version.
func migrated(ctx context.Context, db interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (bool, error) {
	var have int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return false, err
	}
	if have > version {
		return false, fmt.Errorf("it was written by a newer flumen-agent (format %d, this one knows %d): use that one, or name another directory with --state", have, version)
	}
	return have == version, nil
}

// change does several things, or none of them.
func change(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
