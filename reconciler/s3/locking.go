package s3

import (
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// locking keeps versions of objects from being removed.
type locking struct{}

func (locking) declared(b *spec.Bucket) bool { return b.Lock != nil }

func (locking) keep(from, to *spec.Bucket) { to.Lock = from.Lock }

func (locking) read(ctx context.Context, c *connection, b, have *spec.Bucket) error {
	_, mode, n, unit, err := c.GetObjectLockConfig(ctx, b.Name)
	have.Lock = &spec.Lock{}
	switch {
	case codeOf(err) == "ObjectLockConfigurationNotFoundError":
		return nil
	case err != nil:
		return c.explain("read the object lock of bucket "+b.Name, err)
	}
	have.Lock.On = true
	if mode == nil || n == nil || unit == nil || !b.Declares("lock.retention") {
		return nil
	}
	have.Lock.Mode = strings.ToLower(string(*mode))
	if *unit == minio.Years {
		have.Lock.Years = int(*n)
	} else {
		have.Lock.Days = int(*n)
	}
	return nil
}

// write sets the retention, and turns the lock on where a server does that. Turning it off
// has been refused.
func (locking) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	var mode *minio.RetentionMode
	var n *uint
	var unit *minio.ValidityUnit
	if l := b.Lock; l.Mode != "" {
		m, u, count := minio.RetentionMode(strings.ToUpper(l.Mode)), minio.Days, uint(l.Days)
		if l.Years > 0 {
			u, count = minio.Years, uint(l.Years)
		}
		mode, n, unit = &m, &count, &u
	}
	return c.explain("set the object lock of bucket "+b.Name, c.SetBucketObjectLockConfig(ctx, b.Name, mode, n, unit))
}

// lockedIn says that a bucket would have to be made anew to be locked, or not to be.
func (c *connection) lockedIn(b, have *spec.Bucket) error {
	if have.Lock == nil { // it does not count
		return nil
	}
	const instead = "it needs a new bucket: declare one of another name, and move the data"
	switch want := b.Lock != nil && b.Lock.On; {
	case have.Lock.On && !want:
		return refusal{ruleLock, fmt.Sprintf("bucket %s has an object lock, which cannot be taken off: %s, or declare object_lock: true", b.Name, instead)}
	case !have.Lock.On && want && c.heard.server() == serverMinIO:
		return refusal{ruleLock, fmt.Sprintf("bucket %s has no object lock, and %s gives one only to a bucket that it makes: %s, or remove object_lock", b.Name, c.named(), instead)}
	}
	return nil
}
