package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Observe looks at every bucket that the spec names, and at those of ours that are in its
// stores. Buckets of a store that cannot be looked at are blind, unless that is since its
// service does not run: nobody can know then.
func (t *Target) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	t.remember(want)
	var looks []*look
	at := time.Now()
	var all sync.WaitGroup
	for _, s := range want.Stores {
		if s.Path != "" {
			continue // a folder has no buckets
		}
		l := newLook(want, s)
		looks = append(looks, l)
		all.Go(func() { l.see(ctx, t) })
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return drift.Observed{}, fmt.Errorf("observe buckets: %w", err)
	}
	seen := drift.Observed{At: at, Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}, Busy: map[spec.Ref]bool{}}
	for _, l := range looks {
		maps.Copy(seen.Found, l.found)
		maps.Copy(seen.Blind, l.blind)
		maps.Copy(seen.Busy, l.busy)
	}
	return seen, nil
}

// look is one look at a store.
type look struct {
	project string
	store   *spec.Store
	buckets map[string]*spec.Bucket // those that the spec names, by name in the store
	users   map[string]*spec.Access // those that the spec names, by name
	taken   map[spec.Ref]bool       // the Refs of all buckets of the spec

	mu     sync.Mutex
	found  map[spec.Ref]drift.Found
	blind  map[spec.Ref]string
	busy   map[spec.Ref]bool
	silent error // with which the store stopped to answer, or nil
}

func newLook(want spec.Desired, s *spec.Store) *look {
	l := &look{
		project: want.Project, store: s, buckets: map[string]*spec.Bucket{}, users: map[string]*spec.Access{}, taken: map[spec.Ref]bool{},
		found: map[spec.Ref]drift.Found{}, blind: map[spec.Ref]string{}, busy: map[spec.Ref]bool{},
	}
	for _, b := range spec.Resources[*spec.Bucket](want) {
		l.taken[b.Ref()] = true
		if b.Store.Name == s.Name {
			l.buckets[b.Name] = b
		}
	}
	for _, a := range spec.Resources[*spec.Access](want) {
		if a.Store.Name == s.Name {
			l.users[a.User] = a
		}
	}
	return l
}

func (l *look) see(ctx context.Context, t *Target) {
	ctx, cancel := context.WithTimeout(ctx, looksAtMost*patienceWith(l.store))
	defer cancel()
	c, err := t.connect(ctx, l.project, l.store)
	if err != nil {
		l.blindAll(err)
		return
	}
	defer c.close()
	listed, err := t.list(ctx, c)
	if err != nil {
		l.blindAll(err)
		return
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	var held usage
	if len(listed) > 0 {
		g.Go(func() error { held = t.usage(ctx, c); return nil })
	}
	known := map[string]bool{} // not all that are there: a store lists what the key may see
	for _, one := range listed {
		known[one.Name] = true
		if l.buckets[one.Name] == nil {
			g.Go(func() error { l.seeOther(ctx, c, one.Name); return nil })
		}
	}
	for _, b := range l.buckets {
		g.Go(func() error { l.seeWanted(ctx, c, b, known[b.Name]); return nil })
	}
	l.seeUsers(ctx, c)
	_ = g.Wait() // what goes wrong is noted of each bucket
	l.addUsage(held, listed)
}

// list gives the buckets of a store that the key may see. It also tells, once for all, whether
// the store can be reached. A key that may not list may still look at the buckets it knows.
func (t *Target) list(ctx context.Context, c *connection) ([]minio.BucketInfo, error) {
	first, cancel := context.WithTimeout(ctx, t.patience(c.store))
	defer cancel()
	listed, err := again(first, c.store.Retries, func() ([]minio.BucketInfo, error) {
		listed, err := c.ListBuckets(first)
		if codeOf(err) == minio.AccessDenied {
			return nil, nil
		}
		return listed, c.explain("list its buckets", err)
	})
	since := t.heard(c.store, err)
	if err != nil && !since.IsZero() {
		err = fmt.Errorf("%w, since %s", err, since.UTC().Format(time.RFC3339))
	}
	return listed, err
}

// blindAll notes of every bucket why its store could not be looked at.
func (l *look) blindAll(why error) {
	if errors.Is(why, errNotRunning) {
		return
	}
	for _, b := range l.buckets {
		l.note(b.Ref(), nil, why)
	}
	l.blindUsers(why)
}

func (l *look) seeWanted(ctx context.Context, c *connection, b *spec.Bucket, listed bool) {
	found, err := again(ctx, l.retries(), func() (*drift.Found, error) {
		if err := l.silence(); err != nil {
			return nil, err
		}
		return c.read(ctx, b, listed)
	})
	l.note(b.Ref(), found, err)
}

// note keeps what came of looking at something: nil if it is not there.
func (l *look) note(ref spec.Ref, found *drift.Found, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.blind[ref] = err.Error()
		if busy(err) {
			l.busy[ref] = true
		}
		if late(err) {
			l.silent = err
		}
	case found != nil:
		l.found[ref] = *found
	}
}

// retries is how often the store is asked again. One that had no time for something in all
// that time is not pressed further in this look.
func (l *look) retries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.busy) > 0 {
		return 0
	}
	return l.store.Retries
}

// silence is the error with which the store fell silent in this look, or nil. It is asked no
// more then.
func (l *look) silence() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silent
}

// read looks at a bucket of the spec, and at those of its attributes that are declared. It
// gives nil for one that is not there.
func (c *connection) read(ctx context.Context, b *spec.Bucket, listed bool) (*drift.Found, error) {
	m, there, err := c.find(ctx, b.Name, listed)
	if err != nil || !there {
		return nil, err
	}
	have, err := c.look(ctx, b, m)
	if err != nil {
		return nil, err
	}
	owner := m.owner()
	f := &drift.Found{
		Ref: b.Ref(), ID: c.id(b.Name), State: drift.Present,
		Owned: owner == "" || owner == c.project, Fields: have.Fields(),
	}
	if f.Owned {
		f.Critical, err = c.critical(ctx, b, have)
	} else {
		f.Note = fmt.Sprintf("the bucket %s of the store %s belongs to the project %s", b.Name, c.store.Name, owner)
	}
	return f, err
}

// critical says which lifecycle rule deletes live tables, or that a policy shows them to
// everybody, be it declared or not.
func (c *connection) critical(ctx context.Context, b, have *spec.Bucket) (string, error) {
	deletes, err := c.deletes(ctx, b, have)
	if err != nil {
		return "", err
	}
	opens, err := c.open(ctx, b, have)
	if deletes != "" && opens != "" {
		deletes += "; and "
	}
	return deletes + opens, err
}

// deletes says which lifecycle rule deletes live tables. A key that may not read the rules does
// not see any: nobody declared them.
func (c *connection) deletes(ctx context.Context, b, have *spec.Bucket) (string, error) {
	rules := have.Lifecycle
	if rules == nil {
		var err error
		rules, err = c.rules(ctx, b.Name)
		switch codeOf(err) {
		case minio.AccessDenied, minio.NotImplemented:
			return "", nil
		}
		if err != nil {
			return "", err
		}
	}
	return c.harm(ctx, b, rules, lookPages)
}

// seeOther looks whether a bucket that the spec does not name is ours. One whose tags cannot
// be read is taken for somebody else's.
func (l *look) seeOther(ctx context.Context, c *connection, name string) {
	if l.silence() != nil {
		return
	}
	m, there, err := c.find(ctx, name, true)
	if err != nil || !there || m.owner() != l.project {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ref := spec.Ref{Kind: spec.KindBucket, Name: name}
	if l.taken[ref] { // by a bucket with another name in the store, or in another store
		ref.Name = c.id(name)
	}
	l.found[ref] = drift.Found{Ref: ref, ID: c.id(name), Owned: true, State: drift.Present, Fields: spec.Fields{}}
}

// id tells a bucket or a user from those of other stores.
func (c *connection) id(name string) string { return c.store.Name + "/" + name }
