package s3

import (
	"context"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// versioning says what a bucket keeps of an object that is written again.
type versioning struct{}

func (versioning) declared(b *spec.Bucket) bool { return b.Versioning != "" }

func (versioning) keep(from, to *spec.Bucket) { to.Versioning = from.Versioning }

// read gives the state, "" where it was never set.
func (versioning) read(ctx context.Context, c *connection, b, have *spec.Bucket) error {
	config, err := c.GetBucketVersioning(ctx, b.Name)
	if err != nil {
		return c.explain("read the versioning of bucket "+b.Name, err)
	}
	have.Versioning = spec.Versioning(strings.ToLower(config.Status))
	return nil
}

// write sets the state, and leaves its details alone.
func (versioning) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	config, err := c.GetBucketVersioning(ctx, b.Name)
	if err != nil {
		return c.explain("read the versioning of bucket "+b.Name, err)
	}
	config.Status = minio.Suspended // also where there is to be none: it never goes away
	if b.Versioning == spec.VersioningEnabled {
		config.Status = minio.Enabled
	}
	return c.explain("set the versioning of bucket "+b.Name, c.SetBucketVersioning(ctx, b.Name, config))
}
