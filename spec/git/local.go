package git

import (
	"errors"
	"fmt"
	"io"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// A repository on this machine is read as files: without the git command, which may not be
// there and refuses repositories of other users, and without its history.

func openLocal(path string) (*git.Repository, error) {
	r, err := git.PlainOpenWithOptions(path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, transport.ErrRepositoryNotFound
	}
	if err != nil {
		return nil, err
	}
	if s, ok := r.Storer.(*filesystem.Storage); ok {
		r.Storer = sparing(s.Filesystem())
	}
	return r, nil
}

// askLocal gives the references of a repository on this machine.
func askLocal(path string) (refs []*plumbing.Reference, err error) {
	r, err := openLocal(path)
	if err != nil {
		return nil, err
	}
	all, err := r.References()
	if err != nil {
		return nil, err
	}
	err = all.ForEach(func(ref *plumbing.Reference) error {
		refs = append(refs, ref)
		return nil
	})
	if err == nil && len(refs) < 2 { // HEAD alone leads nowhere
		return nil, transport.ErrEmptyRemoteRepository
	}
	return refs, err
}

// fetchLocal copies a commit (and the tags that lead to it) with its files from a repository
// on this machine, and keeps it as a reference.
func (c *clone) fetchLocal(path, what string, to plumbing.ReferenceName) error {
	r, err := openLocal(path)
	if err != nil {
		return err
	}
	hash := plumbing.NewHash(what)
	if !plumbing.IsHash(what) {
		ref, err := r.Reference(plumbing.ReferenceName(what), true)
		if err != nil {
			return err
		}
		hash = ref.Hash()
	}
	objects, err := objectsOf(r.Storer, hash)
	if err != nil {
		return fmt.Errorf("read %s: %w", hash, err)
	}
	if err := c.copyFrom(r.Storer, objects); err != nil {
		return err
	}
	return c.storage.SetReference(plumbing.NewHashReference(to, hash))
}

// objectsOf lists what makes up a commit: itself, tags before it, its trees and files.
func objectsOf(from storer.EncodedObjectStorer, hash plumbing.Hash) (all []plumbing.Hash, err error) {
	commit, all, err := peel(from, hash)
	if err != nil {
		return nil, err
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, err
	}
	all = append(all, commit.Hash, tree.Hash)
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		_, entry, err := walker.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if entry.Mode != filemode.Submodule {
			all = append(all, entry.Hash)
		}
	}
}

// copyFrom takes over those objects that are not there yet, one by one: a large repository
// does not go through memory.
func (c *clone) copyFrom(from storer.EncodedObjectStorer, objects []plumbing.Hash) error {
	for _, hash := range objects {
		if c.storage.HasEncodedObject(hash) == nil {
			continue
		}
		o, err := from.EncodedObject(plumbing.AnyObject, hash)
		if err == nil {
			_, err = c.storage.SetEncodedObject(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
