package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

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
	patience time.Duration // askTime, but in tests

	asking sync.Mutex // one fetch at a time
	dir    sync.Mutex // one user of the trees at a time; whoever asks may take it, not the other way round

	live sync.RWMutex // the live tree stays where it is while it is read-locked
	good string       // where it goes back to
	left bool         // it has gone back

	mu      sync.Mutex
	told    plumbing.Hash // what Poll has told of
	passed  string        // the commit whose signature has counted last
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
	s := &Source{options: o, at: at, access: credentials{access: o.Access, hide: o.Hide, at: at}, hurry: make(chan struct{}, 1), patience: askTime}
	if o.Access.CAFile != "" {
		if s.caBundle, err = os.ReadFile(o.Access.CAFile); err != nil {
			return nil, fmt.Errorf("the file of certificate authorities: %w", err)
		}
	}
	return s, nil
}

// String names the repository and what of it is followed, without a password.
func (s *Source) String() string { return s.options.String() }

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
	err = s.fetching(func(c *clone) error {
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
