package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const (
	// headRef is where a clone keeps what was fetched last.
	headRef = plumbing.ReferenceName("refs/flumen/head")
	// pastRefs keeps what was fetched before, so that it can be gone back to.
	pastRefs = "refs/flumen/past/"
	// cacheSize is what of a repository is kept in memory while it is read, and
	// largeObject what is never read into memory as a whole.
	cacheSize   = 8 * cache.MiByte
	largeObject = 1 << 20
	// mostPast is how many of these a clone keeps. One with more is made anew.
	mostPast = 200
)

// remote is the other side of a clone, at the time of one call.
type remote struct {
	url      string
	local    string // the path of one on this machine, which is read as it is
	auth     transport.AuthMethod
	caBundle []byte
	depth    int // 0: with the whole history
	proxy    transport.ProxyOptions
}

// clone is a bare repository on disk that holds what was fetched. It is a cache: whatever
// is wrong with it, it can be thrown away and made anew.
type clone struct {
	dir     string
	storage *filesystem.Storage
}

// openClone opens a clone to read it. One that is not there has nothing in it.
func openClone(dir string) *clone {
	return &clone{dir, sparing(osfs.New(dir))}
}

// sparing gives the storage of a repository that keeps little in memory.
func sparing(files billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(files, cache.NewObjectLRU(cacheSize), filesystem.Options{LargeObjectThreshold: largeObject})
}

// makeClone opens a clone to fetch into it, and makes it if there is none. The caller is the
// only one to fetch.
func makeClone(dir string) (*clone, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := openClone(dir)
	c.removeScraps()
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		return c, nil
	}
	if _, err := git.Init(c.storage, nil); err != nil && !errors.Is(err, git.ErrRepositoryAlreadyExists) {
		return nil, err
	}
	return c, nil
}

func (c *clone) close() error { return c.storage.Close() }

// removeScraps removes what fetches that were broken off have left.
func (c *clone) removeScraps() {
	scraps, _ := filepath.Glob(filepath.Join(c.dir, "objects", "pack", "tmp_*")) // the pattern is good
	for _, file := range scraps {
		_ = os.Truncate(file, 0) // go-git may still have it open, and a full disk needs the room
		_ = os.Remove(file)      // or the next one does
	}
}

// anew makes the clone anew by get. The old one stays until the new one is whole, since
// there may be nothing else to go on with; alone calls back when nobody reads it.
func (c *clone) anew(get func(*clone) error, alone func(swap func() error) error) error {
	dir := c.dir + ".new"
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	fresh, err := makeClone(dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	err = errors.Join(get(fresh), fresh.close())
	if err == nil {
		err = alone(func() error { return errors.Join(c.close(), os.RemoveAll(c.dir), os.Rename(dir, c.dir)) })
	}
	if err != nil {
		fresh.removeScraps()
		return errors.Join(err, os.RemoveAll(dir))
	}
	*c = *openClone(c.dir)
	return nil
}

// worn tells whether a clone has fetched so often that it had better be made anew.
func (c *clone) worn() bool {
	past, err := os.ReadDir(filepath.Join(c.dir, filepath.FromSlash(pastRefs)))
	return err == nil && len(past) > mostPast
}

// ask gives the references that a remote has.
func (r remote) ask(ctx context.Context) ([]*plumbing.Reference, error) {
	if r.local != "" {
		return askLocal(r.local)
	}
	from := git.NewRemote(nil, &config.RemoteConfig{Name: "origin", URLs: []string{r.url}})
	return from.ListContext(ctx, &git.ListOptions{Auth: r.auth, CABundle: r.caBundle, ProxyOptions: r.proxy})
}

// fetch gets what a remote has under a name, or a commit, and keeps it as a reference.
func (c *clone) fetch(ctx context.Context, from remote, what string, to plumbing.ReferenceName) error {
	if from.local != "" {
		return c.fetchLocal(from.local, what, to)
	}
	origin := git.NewRemote(c.storage, &config.RemoteConfig{Name: "origin", URLs: []string{from.url}})
	err := origin.FetchContext(ctx, &git.FetchOptions{
		RefSpecs: []config.RefSpec{config.RefSpec("+" + what + ":" + to.String())},
		Depth:    from.depth, Auth: from.auth, CABundle: from.caBundle, ProxyOptions: from.proxy, Tags: git.NoTags, Force: true,
	})
	if errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil
	}
	return err
}

// remember keeps something from being forgotten.
func (c *clone) remember(hash plumbing.Hash) error {
	return c.storage.SetReference(plumbing.NewHashReference(pastRef(hash), hash))
}

func pastRef(hash plumbing.Hash) plumbing.ReferenceName {
	return plumbing.ReferenceName(pastRefs + hash.String())
}

// head is what was fetched last: a commit, or a tag that leads to one.
func (c *clone) head() (plumbing.Hash, bool) {
	ref, err := c.storage.Reference(headRef)
	if err != nil {
		return plumbing.ZeroHash, false
	}
	return ref.Hash(), true
}

// commit gives a commit, by its hash or that of a tag.
func (c *clone) commit(hash plumbing.Hash) (*object.Commit, error) {
	commit, _, err := peel(c.storage, hash)
	return commit, err
}

// peel gives the commit that a hash leads to, and the tags on the way.
func peel(from storer.EncodedObjectStorer, hash plumbing.Hash) (commit *object.Commit, tags []plumbing.Hash, err error) {
	for {
		tag, err := object.GetTag(from, hash)
		if err != nil {
			break
		}
		tags = append(tags, hash)
		hash = tag.Target
	}
	commit, err = object.GetCommit(from, hash)
	return commit, tags, err
}

// has tells whether a commit and all its files are there.
func (c *clone) has(hash plumbing.Hash) bool {
	commit, err := c.commit(hash)
	if err != nil {
		return false
	}
	tree, err := commit.Tree()
	if err != nil {
		return false
	}
	_, err = listFiles(tree)
	return err == nil
}

// find picks of a remote's references the one that is followed, by the name under which it
// can be fetched.
func (o Options) find(refs []*plumbing.Reference) (name plumbing.ReferenceName, hash plumbing.Hash, err error) {
	named := map[plumbing.ReferenceName]*plumbing.Reference{}
	for _, ref := range refs {
		named[ref.Name()] = ref
	}
	name = plumbing.HEAD
	what := "head"
	switch {
	case o.Branch != "":
		name, what = plumbing.NewBranchReferenceName(o.Branch), "branch "+o.Branch
	case o.Tag != "":
		name, what = plumbing.NewTagReferenceName(o.Tag), "tag "+o.Tag
	}
	ref := named[name]
	if ref != nil && ref.Type() == plumbing.SymbolicReference {
		name = ref.Target()
		ref, what = named[name], "branch "+name.Short()
	}
	if ref == nil {
		return "", plumbing.ZeroHash, fmt.Errorf("repository %s has no %s%s", o.public(), what, others(refs, o.Tag != ""))
	}
	return name, ref.Hash(), nil
}

// others names what a remote has instead.
func others(refs []*plumbing.Reference, tags bool) string {
	const most = 8
	var names []string
	for _, ref := range refs {
		if n := ref.Name(); tags && n.IsTag() || !tags && n.IsBranch() {
			names = append(names, n.Short())
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return "; it has " + strings.Join(names, ", ")
}
