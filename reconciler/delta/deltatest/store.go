// Package deltatest makes Delta tables for tests: in memory, of any age, and as wrong as a test
// wants them.
package deltatest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store is one in memory. It may be used by many at a time.
type Store struct {
	Now time.Time
	// Fail is asked before each call, with "list", "walk" (a deep list), "get", "stat", "versioned",
	// "copy", "remove" (of many), "removing" (of one of them) or "recover" and a path; nil:
	// nothing fails.
	Fail func(call, path string) error
	// TimesStay has copies have the time of what they are copies of, as in a folder.
	TimesStay bool
	// After hears of each call that has changed something.
	After func(call, path string)
	// Calls counts them. While there are more of them, Called does.
	Calls map[string]int

	mu      sync.Mutex
	failing sync.Mutex
	files   map[string]object
	serial  int64

	versions map[string][]version // nil: it keeps none
}

type object struct {
	content []byte
	size    int64
	written time.Time
	serial  int64 // of the writing
}

// tag is another one when the object was written again.
func (o object) tag() string { return fmt.Sprintf("%x-%d", o.size, o.serial) }

// NewStore makes an empty store whose clock shows a time.
func NewStore(now time.Time) *Store {
	return &Store{Now: now, files: map[string]object{}, Calls: map[string]int{}}
}

// Put writes a file.
func (s *Store) Put(path, content string, written time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.files[path] = object{[]byte(content), int64(len(content)), written, s.serial}
}

// Sized writes a file of which nobody reads the content.
func (s *Store) Sized(path string, size int64, written time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.files[path] = object{nil, size, written, s.serial}
}

// Touch changes when a file was written.
func (s *Store) Touch(path string, written time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.files[path]
	one.written = written
	s.files[path] = one
}

// Overwrite writes a file again, with other content: nothing but its tag shows that.
func (s *Store) Overwrite(path string, change func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.files[path]
	s.serial++
	one.content, one.serial = []byte(change(string(one.content))), s.serial
	s.files[path] = one
}

// Delete removes files.
func (s *Store) Delete(paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range paths {
		delete(s.files, p)
	}
}

// Paths are those of all files, in order.
func (s *Store) Paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.files))
}

// Has tells whether a file is there.
func (s *Store) Has(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.files[path]
	return ok
}

// Read gives the content of a file.
func (s *Store) Read(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.files[path].content)
}

func (s *Store) call(what, path string) error {
	s.mu.Lock()
	s.Calls[what]++
	fail := s.Fail
	s.mu.Unlock()
	if fail == nil {
		return nil
	}
	s.failing.Lock() // Fail may change the store, and is asked once at a time
	defer s.failing.Unlock()
	return fail(what, path)
}

// Called is how many calls of a kind there have been.
func (s *Store) Called(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Calls[what]
}

// Quietly does something of which neither Fail nor After hears, as from within them.
func (s *Store) Quietly(do func()) {
	s.mu.Lock()
	fail, after := s.Fail, s.After
	s.Fail, s.After = nil, nil
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fail, s.After = fail, after
}

// after tells that a call has changed something.
func (s *Store) after(what, path string) {
	s.mu.Lock()
	after := s.After
	s.mu.Unlock()
	if after != nil {
		s.failing.Lock()
		defer s.failing.Unlock()
		after(what, path)
	}
}

// List lists as an S3 store does. See delta.Store.
func (s *Store) List(ctx context.Context, folder string, deep bool, each func(string, int64, time.Time, string) error) error {
	call := "list"
	if deep {
		call = "walk"
	}
	if err := s.call(call, folder); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, path := range s.Paths() {
		rest, below := strings.CutPrefix(path, folder)
		if !below {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		name, _, nested := strings.Cut(rest, "/")
		switch {
		case nested && !deep && !told[name]:
			told[name] = true
			if err := each(folder+name+"/", 0, time.Time{}, ""); err != nil {
				return err
			}
			continue
		case nested && !deep:
			continue
		}
		s.mu.Lock()
		one := s.files[path]
		s.mu.Unlock()
		if err := each(path, one.size, one.written, one.tag()); err != nil {
			return err
		}
	}
	return nil
}

// ListAfter lists as List does, what comes after a name. See delta.Ordered. It is asked for as a list, and counted
// as "after" too.
func (s *Store) ListAfter(ctx context.Context, folder, after string, each func(string, int64, time.Time, string) error) error {
	s.mu.Lock()
	s.Calls["after"]++
	s.mu.Unlock()
	return s.List(ctx, folder, false, func(path string, size int64, written time.Time, tag string) error {
		if path <= folder+after {
			return nil
		}
		return each(path, size, written, tag)
	})
}

// Get reads a file. See delta.Store.
func (s *Store) Get(_ context.Context, path string) (io.ReadCloser, error) {
	if err := s.call("get", path); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.files[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(one.content)), nil
}

// Clock is the store's.
func (s *Store) Clock() time.Time { return s.Now }

// Stat looks for a file. See delta.Store.
func (s *Store) Stat(_ context.Context, path string) (size int64, written time.Time, tag string, err error) {
	if err := s.call("stat", path); err != nil {
		return 0, time.Time{}, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.files[path]
	if !ok {
		return 0, time.Time{}, "", fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return one.size, one.written, one.tag(), nil
}
