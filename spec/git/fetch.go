package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

const (
	// askTime is how long a remote may take to say what it has, and fetchTime how long to
	// send it.
	askTime   = 30 * time.Second
	fetchTime = 30 * time.Minute
)

// fetching opens the clone for calls of the remote, alone among goroutines and processes.
// Trees are read and moved meanwhile.
func (s *Source) fetching(do func(*clone) error) error {
	return s.alone(&s.asking, "fetching", func() error {
		c, err := makeClone(s.cloneDir())
		if err != nil {
			return fmt.Errorf("open the clone of %s: %w", s.options.public(), err)
		}
		return errors.Join(do(c), c.close())
	})
}

// alone does something while no other goroutine and no other process does something of that
// name.
func (s *Source) alone(mu *sync.Mutex, name string, do func() error) error {
	mu.Lock()
	defer mu.Unlock()
	if err := os.MkdirAll(s.options.Dir, 0o755); err != nil {
		return fmt.Errorf("directory for the clone of %s: %w", s.options.public(), err)
	}
	lock, err := os.OpenFile(filepath.Join(s.options.Dir, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which lets go of it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return do()
}

func (s *Source) cloneDir() string { return filepath.Join(s.options.Dir, "clone") }

func (s *Source) poll(ctx context.Context, c *clone) error {
	at, has := c.head()
	if s.options.Commit != "" {
		if has && at.String() == s.options.Commit && c.has(at) {
			return nil // a commit never changes
		}
		return s.fetch(ctx, c, s.options.Commit)
	}
	name, hash, err := s.ask(ctx)
	if err != nil || has && at == hash {
		return err
	}
	return s.fetch(ctx, c, name.String())
}

// ask gives what is followed, by the name under which it can be fetched, and what that is
// at.
func (s *Source) ask(ctx context.Context) (name plumbing.ReferenceName, hash plumbing.Hash, err error) {
	err = s.enter(ctx, s.patience, func(ctx context.Context, r remote) error {
		refs, err := r.ask(ctx)
		if err != nil {
			return s.explain(err)
		}
		name, hash, err = s.options.find(refs)
		return err
	})
	return name, hash, err
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
	switch s.at.Protocol {
	case "file":
		r.local = s.at.Path
	case "ssh":
		r.proxy = endingAt(time.Now().Add(limit))
	}
	return call(ctx, r)
}

// fetch gets what a remote has under a name, and makes it the head. If it came and yet is
// not there, or cannot be taken in, the clone is broken: it is made anew.
func (s *Source) fetch(ctx context.Context, c *clone, what string) error {
	past, had := c.head()
	err := s.fetchInto(ctx, c, what, headRef)
	if err == nil && !c.worn() {
		if had {
			err = c.remember(past)
		}
		return err
	}
	if err != nil && outside(err) {
		return err
	}
	return s.anew(c, func(fresh *clone) error { return s.fetchInto(ctx, fresh, what, headRef) })
}

// fetchInto gets what a remote has under a name, and sees that it is whole.
func (s *Source) fetchInto(ctx context.Context, c *clone, what string, ref plumbing.ReferenceName) error {
	err := s.enter(ctx, fetchTime, func(ctx context.Context, r remote) error { return s.explain(c.fetch(ctx, r, what, ref)) })
	if err != nil {
		return err
	}
	if got, err := c.storage.Reference(ref); err != nil || !c.has(got.Hash()) {
		return fmt.Errorf("repository %s: what it sent is not whole", s.options.public())
	}
	return nil
}

// anew makes a clone anew by get, and takes it in while nobody reads the one of before.
func (s *Source) anew(c *clone, get func(*clone) error) error {
	return c.anew(get, func(swap func() error) error { return s.alone(&s.dir, "trees", swap) })
}

// get fetches a commit that the clone does not have as a whole.
func (s *Source) get(ctx context.Context, c *clone, hash plumbing.Hash) error {
	if c.has(hash) {
		return nil // another one was here before
	}
	if head, ok := c.head(); ok && head == hash {
		return s.anew(c, func(fresh *clone) error { return s.poll(ctx, fresh) })
	}
	err := s.fetchInto(ctx, c, hash.String(), pastRef(hash))
	if errors.Is(err, git.ErrExactSHA1NotSupported) || err != nil && !outside(err) {
		return s.getHistory(ctx, c, hash)
	}
	return err
}

// getHistory makes a clone anew with the whole history, where a server gives no single
// commits.
func (s *Source) getHistory(ctx context.Context, c *clone, hash plumbing.Hash) error {
	name, _, err := s.ask(ctx)
	if err != nil {
		return err
	}
	return s.anew(c, func(fresh *clone) error {
		err := s.enter(ctx, fetchTime, func(ctx context.Context, r remote) error {
			r.depth = 0
			return s.explain(fresh.fetch(ctx, r, name.String(), headRef))
		})
		if err == nil && !fresh.has(hash) {
			err = fmt.Errorf("%s has no commit %s any more", s.options, short(hash))
		}
		return err
	})
}
