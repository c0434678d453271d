package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// deltaLog is the folder that every Delta table has.
const deltaLog = "_delta_log"

// contents is what a bucket holds.
type contents struct {
	items int64  // objects, their older versions, and marks of deletion
	table string // the log of a Delta table; "" if there is none
	whole bool   // all was seen
}

// survey looks through a bucket, up to the first Delta table.
func (c *connection) survey(ctx context.Context, bucket string) (sum contents, err error) {
	for item := range c.items(ctx, bucket) {
		if item.Err != nil {
			return sum, c.explain("list the objects of bucket "+bucket, item.Err)
		}
		sum.items++
		if sum.table = tableOf(item.Key); sum.table != "" {
			return sum, nil
		}
	}
	sum.whole = ctx.Err() == nil // an end of ctx just ends the list
	return sum, nil
}

// items lists all versions of all objects, page by page. Of a server that does not list
// versions it lists the objects.
func (c *connection) items(ctx context.Context, bucket string) iter.Seq[minio.ObjectInfo] {
	return func(yield func(minio.ObjectInfo) bool) {
		for item := range c.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			if codeOf(item.Err) == minio.NotImplemented {
				c.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Recursive: true})(yield)
				return
			}
			if !yield(item) {
				return
			}
		}
	}
}

// tableOf gives the log of the Delta table that an object belongs to, or "".
func tableOf(key string) string {
	path, _, ok := strings.Cut("/"+key, "/"+deltaLog+"/")
	if !ok {
		return ""
	}
	return strings.TrimPrefix(path+"/"+deltaLog, "/")
}

// locked tells whether a bucket may hold objects that are locked.
func (c *connection) locked(ctx context.Context, bucket string) (bool, error) {
	state, _, _, _, err := c.GetObjectLockConfig(ctx, bucket)
	switch codeOf(err) {
	case "ObjectLockConfigurationNotFoundError", minio.NotImplemented:
		return false, nil
	}
	return state == "Enabled", c.explain("read the object lock of bucket "+bucket, err)
}
