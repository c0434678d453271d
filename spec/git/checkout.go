package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/flumendata/flumen-agent/spec"
)

// The two trees of a source.
const (
	candidate = "candidate"
	live      = "live"
)

// Head is the commit that was fetched last. Only where nothing was fetched yet is the remote
// asked.
func (s *Source) Head(ctx context.Context) (commit string, err error) {
	at := func(c *clone) error {
		head, ok := c.head()
		if !ok {
			return plumbing.ErrReferenceNotFound
		}
		found, err := c.commit(head)
		if err == nil {
			commit = found.Hash.String()
		}
		return err
	}
	if c := openClone(s.cloneDir()); at(c) == nil {
		return commit, c.close()
	}
	err = s.fetching(func(c *clone) error {
		if at(c) == nil {
			return nil
		}
		if err := s.poll(ctx, c); err != nil {
			return err
		}
		if head, ok := c.head(); ok && !c.has(head) {
			if err := s.get(ctx, c, head); err != nil {
				return err
			}
		}
		return at(c)
	})
	return commit, err
}

// Read has the tree of a commit read, which stays as it is meanwhile. The remote is called
// only if the clone does not have the commit.
func (s *Source) Read(ctx context.Context, commit string, read func(spec.Snapshot) error) error {
	_, err := s.moveTo(ctx, candidate, commit, func(found *object.Commit) error {
		subject, _, _ := strings.Cut(strings.TrimSpace(found.Message), "\n")
		return read(spec.Snapshot{
			Dir:      filepath.Join(s.options.Dir, candidate),
			Revision: spec.Revision{Source: s.options.String(), Commit: commit, Subject: subject, Author: author(found)},
		})
	})
	return err
}

// author is who wrote a commit, or "" where it does not say.
func author(c *object.Commit) string {
	switch by := c.Author; {
	case by.Email == "":
		return by.Name
	default:
		return strings.TrimSpace(by.Name + " <" + by.Email + ">")
	}
}

// moveTo moves a tree to a commit and does something with it before others may move it. If
// the clone turns out not to have all of the commit, it is fetched again.
func (s *Source) moveTo(ctx context.Context, name, commit string, do func(*object.Commit) error) (moved Moved, err error) {
	hash := plumbing.NewHash(commit)
	var broken error
	move := func() error {
		return s.alone(&s.dir, "trees", func() error {
			c := openClone(s.cloneDir())
			var found *object.Commit
			if found, moved, broken, err = s.move(ctx, c, name, hash); err == nil && broken == nil {
				err = do(found)
			}
			return errors.Join(err, c.close())
		})
	}
	if err := move(); err != nil || broken == nil {
		return moved, err
	}
	if err := s.fetching(func(c *clone) error { return s.get(ctx, c, hash) }); err != nil {
		return moved, fmt.Errorf("commit %s is not in the clone any more, and cannot be had: %w", short(hash), err)
	}
	if err := move(); err != nil || broken == nil {
		return moved, err
	}
	return moved, fmt.Errorf("commit %s of %s: %w", short(hash), s.options.public(), broken)
}

// move moves a tree to a commit. broken says that the clone does not have it as a whole.
func (s *Source) move(ctx context.Context, c *clone, name string, hash plumbing.Hash) (commit *object.Commit, moved Moved, broken, err error) {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return nil, moved, nil, err
	}
	defer root.Close()
	commit, broken = c.commit(hash)
	if broken != nil {
		return nil, moved, broken, nil
	}
	t := tree{root, name}
	if t.whole(commit.Hash.String()) {
		return commit, moved, nil, nil
	}
	moved, err = t.move(ctx, commit)
	// What goes wrong with the disk is no fault of the clone.
	var onDisk *fs.PathError
	if err == nil || ctx.Err() != nil || errors.As(err, &onDisk) && !strings.HasPrefix(onDisk.Path, c.dir) {
		return commit, moved, nil, err
	}
	return nil, moved, err, nil
}

func short(hash plumbing.Hash) string { return hash.String()[:12] }

// Enter moves the live tree to a commit, and says which one it goes back to if that fails:
// "" is none. What others have changed in it is put aside or left.
func (s *Source) Enter(ctx context.Context, commit, good string) (Moved, error) {
	s.live.Lock()
	defer s.live.Unlock()
	s.good, s.left = good, false
	return s.moveTo(ctx, live, commit, func(*object.Commit) error { return nil })
}

// Entered is the commit that the live tree is at, or "".
func (s *Source) Entered() string {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	m, err := tree{root, live}.manifest()
	if err != nil {
		return ""
	}
	return m.Commit
}

// Live is the directory that containers mount files of.
func (s *Source) Live() string { return filepath.Join(s.options.Dir, live) }

// Holds tells whether a path, as the engine calls it, lies in the live tree.
func (s *Source) Holds(path string) bool {
	rel, err := filepath.Rel(filepath.Join(cmp.Or(s.options.Host, s.options.Dir), live), path)
	return err == nil && filepath.IsLocal(rel)
}

// Use has the live tree stay as it is while a container is started.
func (s *Source) Use(start func() error) error {
	s.live.RLock()
	defer s.live.RUnlock()
	if s.left {
		return ErrWentBack
	}
	return start()
}

// GoBack moves the live tree back, before a container is started again that was made with
// the files of the last good commit. Nothing else is started until the next Enter. It tells
// false if there is nothing to go back to.
func (s *Source) GoBack(ctx context.Context) (bool, error) {
	s.live.Lock()
	defer s.live.Unlock()
	if s.left || s.good == "" {
		return s.left, nil
	}
	// A container waits: if the commit is not at hand it is not waited for long.
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	_, err := s.moveTo(ctx, live, s.good, func(*object.Commit) error { return nil })
	s.left = err == nil
	return s.left, err
}

// Refused says which of the paths that a spec has named, absolute and in the tree that Read
// gave, are not to be used: links that lead out, submodules, files kept by LFS.
func (s *Source) Refused(paths []string) error {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var all []error
	for _, p := range paths {
		rel, err := filepath.Rel(filepath.Join(s.options.Dir, candidate), p)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		refused, err := tree{root, candidate}.refused(path.Clean(filepath.ToSlash(rel)))
		if err != nil {
			return err
		}
		all = append(all, refused...)
	}
	return errors.Join(all...)
}
