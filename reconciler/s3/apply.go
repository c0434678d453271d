package s3

import (
	"context"
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// tryEvery is how often a store that is not ready is asked again: it was started for this
// and is up in a moment.
const tryEvery = 500 * time.Millisecond

// create sees to it that a bucket is there, as it should be.
func (t *Target) create(ctx context.Context, project string, b *spec.Bucket, p plan.Progress) error {
	// Made by this act, as far as is known: the answer may have been lost. Its own tags do not
	// tell whether it was marked, since a store may remember those of one that was lost.
	made, marked := false, false
	return t.patiently(ctx, project, b.Store, p, func(c *connection) error {
		m, there, err := c.ours(ctx, b)
		if err == nil && !there {
			err = c.refuse(ctx, b, nil)
		}
		if err == nil && !there {
			made, err = c.make(ctx, b)
		}
		if err == nil && made && !marked {
			m, err = c.mark(ctx, b)
			marked = err == nil
		}
		if err != nil {
			return err
		}
		return c.set(ctx, b, m)
	})
}

// update changes a bucket that is there.
func (t *Target) update(ctx context.Context, project string, u plan.Update, p plan.Progress) error {
	b := u.Want.(*spec.Bucket)
	return t.patiently(ctx, project, b.Store, p, func(c *connection) error {
		m, there, err := c.ours(ctx, b)
		switch {
		case err != nil:
			return err
		case !there || u.Have.ID != c.id(b.Name):
			return plan.ErrStale
		}
		return c.set(ctx, b, m)
	})
}

// ours tells whether a bucket is there, and its tags. One of another project is an error.
func (c *connection) ours(ctx context.Context, b *spec.Bucket) (m marks, there bool, err error) {
	m, there, err = c.find(ctx, b.Name, false)
	if err == nil && there && m.owner() != "" && m.owner() != c.project {
		err = fmt.Errorf("the bucket %s of the store %s belongs to the project %s and is left alone", b.Name, c.store.Name, m.owner())
	}
	return m, there, err
}

// patiently acts on a store, again and again while it is not ready.
func (t *Target) patiently(ctx context.Context, project string, s *spec.Store, p plan.Progress, act func(*connection) error) error {
	var last error
	for {
		err := t.once(ctx, project, s, act)
		if err == nil || !passing(err) {
			return err
		}
		if last == nil || ctx.Err() == nil { // that its own end cuts an answer off says nothing
			last = err
		}
		p.Doing("waiting for the store "+s.Name, 0, 0)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		case <-time.After(t.again):
		}
	}
}

func (t *Target) once(ctx context.Context, project string, s *spec.Store, act func(*connection) error) error {
	c, err := t.connect(ctx, project, s)
	if err != nil {
		return err
	}
	defer c.close()
	return act(c)
}
