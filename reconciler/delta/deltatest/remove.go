package deltatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// version is one of a file in a store with versions.
type version struct {
	object
	id      string
	removed bool // it is the mark of a removal
}

// Versions has the store keep versions from now on.
func (s *Store) Versions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = map[string][]version{}
}

// Clone is the store as it is now; what is done to one is not done to the other.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := NewStore(s.Now)
	c.TimesStay = s.TimesStay
	c.files, c.serial = maps.Clone(s.files), s.serial
	if s.versions != nil {
		c.versions = map[string][]version{}
		for path, all := range s.versions {
			c.versions[path] = slices.Clone(all)
		}
	}
	return c
}

// Versioned implements delta.Remover.
func (s *Store) Versioned(context.Context, string) (all, some bool, err error) {
	if err := s.call("versioned", ""); err != nil {
		return false, true, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.versions != nil, s.versions != nil, nil
}

// Copy implements delta.Remover.
func (s *Store) Copy(_ context.Context, from, to string, _ int64, tag string) error {
	if err := s.call("copy", from); err != nil {
		return err
	}
	err := s.copy(from, to, tag)
	s.after("copy", from)
	return err
}

func (s *Store) copy(from, to, tag string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, there := s.files[from]
	_, taken := s.files[to]
	switch {
	case taken:
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	case !there:
		return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
	case tag != "" && one.tag() != tag:
		return fmt.Errorf("%s: %w", from, fs.ErrInvalid)
	}
	s.serial++
	one.serial = s.serial
	if !s.TimesStay {
		one.written = s.Now
	}
	s.files[to] = one
	return nil
}

// KeepsTimes tells whether a copy has the time of what it is a copy of.
func (s *Store) KeepsTimes() bool { return s.TimesStay }

// Remove implements delta.Remover. Each file is asked for by "removing".
func (s *Store) Remove(_ context.Context, paths []string, done func(path, mark string, err error)) {
	if err := s.call("remove", paths[0]); err != nil {
		for _, p := range paths {
			done(p, "", err)
		}
		return
	}
	for _, p := range paths {
		if err := s.call("removing", p); err != nil {
			done(p, "", err)
			continue
		}
		mark := s.remove(p)
		s.after("removing", p)
		done(p, mark, nil)
	}
}

func (s *Store) remove(path string) (mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		delete(s.files, path)
		return ""
	}
	if one, there := s.files[path]; there {
		s.versions[path] = append(s.versions[path], version{object: one, id: fmt.Sprintf("v%d", one.serial)})
		delete(s.files, path)
	}
	s.serial++
	mark = fmt.Sprintf("m%d", s.serial)
	s.versions[path] = append(s.versions[path], version{object{written: s.Now}, mark, true})
	return mark
}

// Recover implements delta.Remover.
func (s *Store) Recover(_ context.Context, path, mark, tag string, since time.Time) error {
	if err := s.call("recover", path); err != nil {
		return err
	}
	err := s.recover(path, mark, tag, since)
	s.after("recover", path)
	return err
}

func (s *Store) recover(path, mark, tag string, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions == nil {
		return errors.New("the store keeps no versions")
	}
	if _, there := s.files[path]; there {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	all := s.versions[path]
	below := len(all) - 1
	for below >= 0 && all[below].removed {
		below--
	}
	if below < 0 || tag != "" && all[below].tag() != tag {
		return fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	all = slices.DeleteFunc(slices.Clone(all), func(v version) bool {
		return v.removed && (v.id == mark || mark == "" && !v.written.Before(since))
	})
	if last := all[len(all)-1]; !last.removed {
		s.files[path], all = last.object, all[:len(all)-1]
	}
	s.versions[path] = all
	return nil
}
