package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// remove takes away a bucket of ours that a person has consented to lose. Between looking
// through it and emptying it nothing keeps others from writing there, so each page is looked at
// once more.
func (t *Target) remove(ctx context.Context, project string, r plan.Remove, p plan.Progress) error {
	s, bucket, err := t.whereIs(r.Have)
	if err != nil {
		return err
	}
	return t.patiently(ctx, project, s, p, func(c *connection) error {
		m, there, err := c.find(ctx, bucket, false)
		switch {
		case err != nil || !there:
			return err
		case m.owner() != project:
			return plan.ErrStale
		}
		sum, reason, err := c.mayGo(ctx, bucket, r.WithContents)
		switch {
		case err != nil:
			return err
		case reason != "":
			return errors.New(reason)
		case !sum.whole:
			return fmt.Errorf("look through bucket %s: %w", bucket, context.Cause(ctx))
		case sum.items > 0:
			if err := c.empty(ctx, bucket, sum.items, p); err != nil {
				return err
			}
		}
		return c.drop(ctx, bucket)
	})
}

// whereIs gives the store of something that was found, and its name there.
func (t *Target) whereIs(f drift.Found) (s *spec.Store, name string, err error) {
	store, name, _ := strings.Cut(f.ID, "/")
	t.mu.Lock()
	defer t.mu.Unlock()
	if s = t.stores[store]; s == nil {
		return nil, "", plan.ErrStale
	}
	return s, name, nil
}

// mayGo looks through a bucket and tells why it may not be removed, or "". What was not seen
// in time is no reason.
func (c *connection) mayGo(ctx context.Context, bucket string, withContents bool) (sum contents, reason string, err error) {
	sum, err = c.survey(ctx, bucket)
	if err != nil || sum.items == 0 {
		return sum, "", err
	}
	locked, err := c.locked(ctx, bucket)
	switch {
	case err != nil:
		return sum, "", err
	case sum.table != "":
		reason = fmt.Sprintf("it holds a Delta table (%s), and tables are never removed with a bucket: remove them first, with their older versions", sum.table)
	case locked:
		reason = "it has object lock and is not empty, and what may be locked is never removed: empty it yourself"
	case !withContents:
		reason = "it is not empty, and consent lets it go only if it is; with_contents: true in consent lets it go with all that is in it"
	}
	return sum, reason, nil
}

// empty deletes all that a bucket holds, of which there were so many items.
func (c *connection) empty(ctx context.Context, bucket string, items int64, p plan.Progress) error {
	var failed error
	doomed := func(yield func(minio.ObjectInfo) bool) {
		for item := range c.items(ctx, bucket) {
			switch table := tableOf(item.Key); {
			case item.Err != nil:
				failed = c.explain("list the objects of bucket "+bucket, item.Err)
			case table != "":
				failed = fmt.Errorf("somebody has just made a Delta table (%s) in it", table)
			}
			if failed != nil || !yield(item) {
				return
			}
		}
	}
	results, err := c.RemoveObjectsWithIter(ctx, bucket, doomed, minio.RemoveObjectsOptions{})
	if err != nil {
		return err
	}
	done := int64(0)
	for r := range results {
		if r.Err != nil {
			return c.explain("delete "+r.ObjectName+" of bucket "+bucket, r.Err)
		}
		if done++; done%1000 == 0 || done == items {
			p.Doing("deleting what is in it", done, items)
		}
	}
	if failed == nil && ctx.Err() != nil {
		failed = context.Cause(ctx)
	}
	return failed
}

// drop removes a bucket, which the store itself refuses while something is in it.
func (c *connection) drop(ctx context.Context, bucket string) error {
	err := c.RemoveBucket(ctx, bucket)
	switch codeOf(err) {
	case minio.NoSuchBucket:
		return nil
	case "BucketNotEmpty":
		return errors.New("something was written into it just now, so it stays")
	}
	return c.explain("remove bucket "+bucket, err)
}

// keeps tells why a bucket may not be removed, or "". What cannot be seen in the time of one
// answer is looked at again when its turn comes.
func (t *Target) keeps(ctx context.Context, project string, r plan.Remove) (reason string) {
	s, bucket, err := t.whereIs(r.Have)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, patienceWith(s))
	defer cancel()
	c, err := t.connect(ctx, project, s)
	if err != nil {
		return ""
	}
	defer c.close()
	_, reason, _ = c.mayGo(ctx, bucket, r.WithContents)
	return reason
}
