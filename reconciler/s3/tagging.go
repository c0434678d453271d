package s3

import (
	"context"
	"maps"

	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/flumendata/flumen-agent/spec"
)

// tagging are the tags of a bucket, each by itself: those that nobody declares are left
// alone. That of the owner is never among them.
type tagging struct{}

func (tagging) declared(b *spec.Bucket) bool { return len(b.Tags) > 0 }

func (tagging) keep(from, to *spec.Bucket) { to.Tags = from.Tags }

// read leaves of all tags those that count.
func (tagging) read(_ context.Context, c *connection, b, have *spec.Bucket) error {
	if have.Tags == nil {
		if len(b.Tags) == 0 {
			return nil
		}
		return c.lacks("tags")
	}
	have.Tags = maps.Clone(have.Tags)
	maps.DeleteFunc(have.Tags, func(key, _ string) bool { return !b.Declares("tag." + key) })
	return nil
}

// write adds the tags to those that are there, and marks the bucket: once the agent has
// written to it, it has to be found again when it leaves the spec.
func (tagging) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	all := marks{}
	if !b.Exact {
		there, err := c.marks(ctx, b.Name)
		if err != nil {
			return err
		}
		maps.Copy(all, there)
	}
	maps.Copy(all, b.Tags)
	all[spec.OwnerTag] = c.project
	set, err := tags.MapToBucketTags(all)
	if err != nil {
		return err
	}
	return c.explain("set the tags of bucket "+b.Name, c.SetBucketTagging(ctx, b.Name, set))
}
