package s3

import (
	"context"
	"errors"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"

	"github.com/flumendata/flumen-agent/spec"
)

// ownerTag marks a bucket that the agent made. Its value is the project.
const ownerTag = "dev.flumen.project"

// owner tells whether a bucket is there, and whose it is: "" where it does not say. It asks
// for the tags first, since the answer says what is wrong with a key; but MinIO answers also
// for buckets that are not there, from what it remembers of them, unless they are listed.
func (c *connection) owner(ctx context.Context, bucket string, listed bool) (project string, there bool, err error) {
	marks, err := c.GetBucketTagging(ctx, bucket)
	switch codeOf(err) {
	case minio.NoSuchBucket:
		return "", false, nil
	case "NoSuchTagSet", "NoSuchTagSetError", minio.NotImplemented:
	default:
		if err != nil {
			return "", false, c.explain("read the tags of bucket "+bucket, err)
		}
		project = marks.ToMap()[ownerTag]
	}
	if listed {
		return project, true, nil
	}
	there, err = c.BucketExists(ctx, bucket)
	return project, there, c.explain("look for bucket "+bucket, err)
}

// make makes a bucket and marks it. One that is there already is left unmarked.
func (c *connection) make(ctx context.Context, bucket string) error {
	err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: c.store.Region})
	switch codeOf(err) {
	case minio.BucketAlreadyOwnedByYou:
		return nil
	case minio.BucketAlreadyExists:
		return errors.New("the name " + bucket + " is taken in the store " + c.store.Name + " by another account: choose another one")
	}
	if err != nil {
		return c.explain("make bucket "+bucket, err)
	}
	mark, err := tags.MapToBucketTags(map[string]string{ownerTag: c.project})
	if err != nil {
		return err
	}
	if err := c.SetBucketTagging(ctx, bucket, mark); err != nil && codeOf(err) != minio.NotImplemented {
		return c.explain("set a tag of bucket "+bucket, err)
	}
	return nil
}

// versioning gives the state of a bucket's versioning, "" where it was never set.
func (c *connection) versioning(ctx context.Context, bucket string) (minio.BucketVersioningConfiguration, spec.Versioning, error) {
	config, err := c.GetBucketVersioning(ctx, bucket)
	if err != nil {
		return config, "", c.explain("read the versioning of bucket "+bucket, err)
	}
	return config, spec.Versioning(strings.ToLower(config.Status)), nil
}

// setVersioning sets the state of a bucket's versioning, and leaves its details alone.
func (c *connection) setVersioning(ctx context.Context, bucket string, want spec.Versioning) error {
	config, have, err := c.versioning(ctx, bucket)
	if err != nil || have == want {
		return err
	}
	config.Status = minio.Enabled
	if want == spec.VersioningSuspended {
		config.Status = minio.Suspended
	}
	if err := c.SetBucketVersioning(ctx, bucket, config); err != nil {
		return c.explain("set the versioning of bucket "+bucket, err)
	}
	return nil
}
