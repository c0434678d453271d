package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// askTime is how long a remote may take to say what it has, and fetchTime how long to
	// send it.
	askTime   = 30 * time.Second
	fetchTime = 30 * time.Minute
)

// ErrNothingYet says that nothing was fetched yet, so there is nothing to load.
var ErrNothingYet = errors.New("nothing was fetched yet")

// ErrWentBack says that a container cannot be started now, since the live tree has gone back
// to an earlier commit in the meantime.
var ErrWentBack = errors.New("the mounted files went back to those of the last good revision, since something of this one failed")

// Source follows a repository. Its methods may be called from any goroutine, and by several
// processes on one directory.
type Source struct {
	options  Options
	at       *transport.Endpoint
	access   credentials
	caBundle []byte
	hurry    chan struct{}

	dir sync.Mutex // one operation at a time on the directory

	live sync.RWMutex // the live tree stays where it is while it is read-locked
	good string       // where it goes back to
	left bool         // it has gone back

	mu      sync.Mutex
	told    plumbing.Hash // what Poll has told of
	reached time.Time     // when the remote has last said what it has
	fault   error         // why it has not since
}

// New gives a source. It reaches for nothing.
func New(o Options) (*Source, error) {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Hide == nil {
		o.Hide = func(string) {}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	at, err := transport.NewEndpoint(o.URL)
	if err != nil {
		return nil, err
	}
	if at.Protocol == "file" {
		o.URL = local(at)
	}
	s := &Source{options: o, at: at, access: credentials{access: o.Access, hide: o.Hide, at: at}, hurry: make(chan struct{}, 1)}
	if o.Access.CAFile != "" {
		if s.caBundle, err = os.ReadFile(o.Access.CAFile); err != nil {
			return nil, fmt.Errorf("the file of certificate authorities: %w", err)
		}
	}
	return s, nil
}

// String names the repository and what of it is followed, without a password.
func (s *Source) String() string { return s.options.String() }

// Live is the directory that containers mount files of.
func (s *Source) Live() string { return filepath.Join(s.options.Dir, "live") }

// SpecPath is where the spec lies in a tree.
func (s *Source) SpecPath() string { return filepath.FromSlash(s.options.specPath()) }

// Watch asks the remote again and again until ctx is done, and calls look when there is
// something new, or when asking has begun to fail or to work.
func (s *Source) Watch(ctx context.Context, look func(why string)) {
	for {
		_, before := s.Reached()
		changed, err := s.Poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case changed:
			look("git: new commit")
		case (err == nil) != (before == nil):
			look("git: " + map[bool]string{true: "reached again", false: "not reached"}[err == nil])
		}
		interval := s.options.Interval
		timer := time.NewTimer(interval - interval/20 + rand.N(interval/10+1))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-s.hurry:
			timer.Stop()
		}
	}
}

// Hurry has Watch ask at once.
func (s *Source) Hurry() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// Reached is when the remote has last answered, and why it has not since.
func (s *Source) Reached() (at time.Time, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reached, s.fault
}

// Poll asks the remote what it is at and fetches that if it is new. It tells whether it is
// something else than the last time; another process may have fetched it.
func (s *Source) Poll(ctx context.Context) (changed bool, err error) {
	var head plumbing.Hash
	err = s.inDir(func(c *clone) error {
		err := s.poll(ctx, c)
		head, _ = c.head()
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault = err; err != nil {
		return false, err
	}
	changed = s.told != head
	s.reached, s.told = time.Now(), head
	return changed, nil
}

func (s *Source) poll(ctx context.Context, c *clone) error {
	at, has := c.head()
	if s.options.Commit != "" {
		if has && at.String() == s.options.Commit && c.has(at) {
			return nil // a commit never changes
		}
		return s.fetch(ctx, c, s.options.Commit)
	}
	var name plumbing.ReferenceName
	var hash plumbing.Hash
	err := s.enter(ctx, askTime, func(ctx context.Context, r remote) error {
		refs, err := r.ask(ctx)
		if err != nil {
			return s.explain(err)
		}
		name, hash, err = s.options.find(refs)
		return err
	})
	if err != nil || has && at == hash {
		return err
	}
	return s.fetch(ctx, c, name.String())
}

// enter calls a remote with credentials, and once more with new ones if a command gives
// them.
func (s *Source) enter(ctx context.Context, limit time.Duration, call func(context.Context, remote) error) error {
	used := s.access.token // an earlier answer of the command, if there is one
	err := s.enterOnce(ctx, limit, call)
	refused := errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)
	if refused {
		s.access.token = ""
	}
	if refused && used != "" {
		return s.enterOnce(ctx, limit, call)
	}
	return err
}

func (s *Source) enterOnce(ctx context.Context, limit time.Duration, call func(context.Context, remote) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	auth, err := s.access.method(ctx)
	if err != nil {
		return fmt.Errorf("repository %s: %w", s.options.public(), err)
	}
	r := remote{url: s.options.URL, auth: auth, caBundle: s.caBundle, depth: 1}
	if s.at.Protocol == "file" {
		r.local = s.at.Path
	}
	return call(ctx, r)
}

// fetch gets what a remote has under a name. If it came and yet is not there, or cannot be
// taken in, the clone is broken: it is made anew.
func (s *Source) fetch(ctx context.Context, c *clone, what string) error {
	get := func(ctx context.Context, r remote) error { return s.explain(c.fetch(ctx, r, what)) }
	err := s.enter(ctx, fetchTime, get)
	head, ok := c.head()
	if err == nil && ok && !c.worn() && c.has(head) {
		return nil
	}
	if err != nil && s.outside(err) {
		return err
	}
	return c.anew(func(fresh *clone) error {
		err := s.enter(ctx, fetchTime, func(ctx context.Context, r remote) error { return s.explain(fresh.fetch(ctx, r, what)) })
		if err != nil {
			return err
		}
		if head, ok := fresh.head(); !ok || !fresh.has(head) {
			return fmt.Errorf("repository %s: what it sent is not whole", s.options.public())
		}
		return nil
	})
}

// outside tells of an error whether the remote or the way to it is to blame, and not the
// clone.
func (s *Source) outside(err error) bool {
	for _, e := range []error{
		transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrEmptyRemoteRepository,
		transport.ErrRepositoryNotFound, context.Canceled, context.DeadlineExceeded, git.ErrExactSHA1NotSupported, syscall.ENOSPC,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// inDir opens the clone for one operation, alone among goroutines and processes.
func (s *Source) inDir(do func(*clone) error) error {
	s.dir.Lock()
	defer s.dir.Unlock()
	if err := os.MkdirAll(s.options.Dir, 0o755); err != nil {
		return fmt.Errorf("directory for the clone of %s: %w", s.options.public(), err)
	}
	lock, err := os.OpenFile(filepath.Join(s.options.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which lets go of it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	c, err := openClone(filepath.Join(s.options.Dir, "clone"))
	if err != nil {
		return fmt.Errorf("open the clone of %s: %w", s.options.public(), err)
	}
	return errors.Join(do(c), c.close())
}

// Fetch gives the tree of what was fetched last, to be loaded and checked. It calls the
// remote only if nothing was fetched yet or the clone is broken.
func (s *Source) Fetch(ctx context.Context) (spec.Snapshot, error) {
	return s.checkOut(ctx, func(c *clone) (plumbing.Hash, error) {
		if head, ok := c.head(); ok {
			return head, nil
		}
		if err := s.poll(ctx, c); err != nil {
			return plumbing.ZeroHash, err
		}
		head, ok := c.head()
		if !ok {
			return head, ErrNothingYet
		}
		return head, nil
	})
}

// At gives the tree of an earlier commit, like Fetch.
func (s *Source) At(ctx context.Context, commit string) (spec.Snapshot, error) {
	return s.checkOut(ctx, func(*clone) (plumbing.Hash, error) { return plumbing.NewHash(commit), nil })
}

func (s *Source) checkOut(ctx context.Context, which func(*clone) (plumbing.Hash, error)) (snap spec.Snapshot, err error) {
	err = s.inDir(func(c *clone) error {
		hash, err := which(c)
		if err != nil {
			return err
		}
		commit, _, err := s.moveTo(ctx, c, "candidate", hash)
		if err != nil {
			return err
		}
		snap = spec.Snapshot{Dir: filepath.Join(s.options.Dir, "candidate"), Revision: s.revision(commit)}
		return nil
	})
	return snap, err
}

func (s *Source) revision(commit *object.Commit) spec.Revision {
	subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
	return spec.Revision{Source: s.options.String(), Commit: commit.Hash.String(), Subject: subject}
}

// moveTo moves a tree to a commit. If the clone turns out not to have all of it, it is
// fetched again.
func (s *Source) moveTo(ctx context.Context, c *clone, name string, hash plumbing.Hash) (*object.Commit, Moved, error) {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return nil, Moved{}, err
	}
	defer root.Close()
	t := tree{root, name}
	for again := false; ; again = true {
		commit, err := c.commit(hash)
		if err == nil && t.whole(commit.Hash.String()) {
			return commit, Moved{}, nil
		}
		var moved Moved
		if err == nil {
			moved, err = t.move(ctx, commit)
		}
		// What goes wrong with the disk is no fault of the clone.
		var onDisk *fs.PathError
		if err == nil || again || ctx.Err() != nil || errors.As(err, &onDisk) && !strings.HasPrefix(onDisk.Path, c.dir) {
			if err != nil {
				err = fmt.Errorf("commit %s of %s: %w", short(hash), s.options.public(), err)
			}
			return commit, moved, err
		}
		if err := s.get(ctx, c, hash); err != nil {
			return nil, moved, fmt.Errorf("commit %s is not in the clone any more, and cannot be had: %w", short(hash), err)
		}
	}
}

func short(hash plumbing.Hash) string { return hash.String()[:12] }

// get fetches one commit into a clone that does not have it as a whole, and leaves the head
// where it is.
func (s *Source) get(ctx context.Context, c *clone, hash plumbing.Hash) error {
	head, had := c.head()
	if had && head == hash {
		return s.fetchHead(ctx, c)
	}
	err := s.enter(ctx, fetchTime, func(ctx context.Context, r remote) error { return c.fetch(ctx, r, hash.String()) })
	if err != nil && !s.outside(err) || errors.Is(err, git.ErrExactSHA1NotSupported) {
		err = s.fetchWhole(ctx, c, hash)
	}
	if had {
		err = errors.Join(err, c.storage.SetReference(plumbing.NewHashReference(headRef, head)))
	}
	return s.explain(err)
}

// fetchHead makes a broken clone anew.
func (s *Source) fetchHead(ctx context.Context, c *clone) error {
	return c.anew(func(fresh *clone) error { return s.poll(ctx, fresh) })
}

// fetchWhole makes a clone anew with the whole history, where a server gives no single
// commits.
func (s *Source) fetchWhole(ctx context.Context, c *clone, hash plumbing.Hash) error {
	return c.anew(func(fresh *clone) error {
		err := s.enter(ctx, fetchTime, func(ctx context.Context, r remote) error {
			r.depth = 0
			refs, err := r.ask(ctx)
			if err != nil {
				return err
			}
			name, _, err := s.options.find(refs)
			if err != nil {
				return err
			}
			return fresh.fetch(ctx, r, name.String())
		})
		if err == nil && !fresh.has(hash) {
			err = fmt.Errorf("%s has no commit %s any more", s.options, short(hash))
		}
		return err
	})
}

// Enter moves the live tree to a commit, and says which one it goes back to if that fails:
// "" is none. What others have changed in it is put aside or left.
func (s *Source) Enter(ctx context.Context, commit, good string) (moved Moved, err error) {
	s.live.Lock()
	defer s.live.Unlock()
	s.good, s.left = good, false
	err = s.inDir(func(c *clone) (err error) {
		_, moved, err = s.moveTo(ctx, c, "live", plumbing.NewHash(commit))
		return err
	})
	return moved, err
}

// Entered is the commit that the live tree is at, or "".
func (s *Source) Entered() string {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return ""
	}
	defer root.Close()
	m, err := tree{root, "live"}.manifest()
	if err != nil {
		return ""
	}
	return m.Commit
}

// Holds tells whether a path, as the engine calls it, lies in the live tree.
func (s *Source) Holds(path string) bool {
	rel, err := filepath.Rel(filepath.Join(cmp.Or(s.options.Host, s.options.Dir), "live"), path)
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
	err := s.inDir(func(c *clone) error {
		_, _, err := s.moveTo(ctx, c, "live", plumbing.NewHash(s.good))
		return err
	})
	if err == nil {
		s.left = true
	}
	return err == nil, err
}

// Refused says which of the paths that a spec has named, absolute and in the tree that Fetch
// gave, are not to be used: links that lead out, submodules, files kept by LFS.
func (s *Source) Refused(paths []string) error {
	root, err := os.OpenRoot(s.options.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var all []error
	for _, p := range paths {
		rel, err := filepath.Rel(filepath.Join(s.options.Dir, "candidate"), p)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		refused, err := tree{root, "candidate"}.refused(path.Clean(filepath.ToSlash(rel)))
		if err != nil {
			return err
		}
		all = append(all, refused...)
	}
	return errors.Join(all...)
}
