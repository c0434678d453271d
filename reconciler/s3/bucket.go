package s3

import (
	"context"
	"errors"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// marks are the tags of a bucket, that of its owner among them; nil on a server that has no
// tags.
type marks map[string]string

// owner is the project that made the bucket, "" where it does not say.
func (m marks) owner() string { return m[spec.OwnerTag] }

// find tells whether a bucket is there, and its tags. It asks for the tags first, since the
// answer says what is wrong with a key; but MinIO answers also for buckets that are not
// there, from what it remembers of them, unless they are listed.
func (c *connection) find(ctx context.Context, bucket string, listed bool) (m marks, there bool, err error) {
	m, err = c.marks(ctx, bucket)
	switch {
	case codeOf(err) == minio.NoSuchBucket:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case listed:
		return m, true, nil
	}
	there, err = c.BucketExists(ctx, bucket)
	return m, there, c.explain("look for bucket "+bucket, err)
}

func (c *connection) marks(ctx context.Context, bucket string) (marks, error) {
	set, err := c.GetBucketTagging(ctx, bucket)
	switch codeOf(err) {
	case "NoSuchTagSet", "NoSuchTagSetError":
		return marks{}, nil
	case minio.NotImplemented:
		return nil, nil
	}
	if err != nil {
		return nil, c.explain("read the tags of bucket "+bucket, err)
	}
	return set.ToMap(), nil
}

// make makes a bucket. One that is there already was not made, which is no error; whether it
// was made is not known when the answer is lost.
func (c *connection) make(ctx context.Context, b *spec.Bucket) (made bool, err error) {
	err = c.MakeBucket(ctx, b.Name, minio.MakeBucketOptions{Region: c.store.Region, ObjectLocking: b.Lock != nil && b.Lock.On})
	switch codeOf(err) {
	case "":
		return true, c.explain("make bucket "+b.Name, err)
	case minio.BucketAlreadyOwnedByYou:
		return false, nil
	case minio.BucketAlreadyExists:
		return false, errors.New("the name " + b.Name + " is taken in the store " + c.store.Name + " by another account: choose another one")
	}
	return false, c.explain("make bucket "+b.Name, err)
}

// mark gives a bucket its tags, that of its owner among them, and gives those it has then.
func (c *connection) mark(ctx context.Context, b *spec.Bucket) (marks, error) {
	err := tagging{}.write(ctx, c, b)
	if codeOf(err) == minio.NotImplemented && len(b.Tags) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.marks(ctx, b.Name)
}
