package s3

import (
	"context"
	"maps"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// attribute is one thing that a bucket can be asked to be. It reads and writes its own part
// of a spec.Bucket, whose Fields say on both sides what that part is.
type attribute interface {
	// declared tells whether the spec says something about it.
	declared(b *spec.Bucket) bool
	// keep copies its part from one to another.
	keep(from, to *spec.Bucket)
	// read puts what the store says about b into have, as far as it counts for b.
	read(ctx context.Context, c *connection, b, have *spec.Bucket) error
	// write makes its part of b true.
	write(ctx context.Context, c *connection, b *spec.Bucket) error
}

// attributes are in the order in which they are written. The encryption is first since only
// then does a server say that it has none; the policy comes late since it may lock out.
var attributes = []attribute{encryption{}, tagging{}, versioning{}, locking{}, expiry{}, quota{}, policy{}}

// counts tells whether an attribute of a bucket is to be as the spec says, be it nothing.
func counts(a attribute, b *spec.Bucket) bool { return b.Exact || a.declared(b) }

// look reads the attributes of a bucket that count.
func (c *connection) look(ctx context.Context, b *spec.Bucket, m marks) (*spec.Bucket, error) {
	have := &spec.Bucket{Tags: m}
	for _, a := range attributes {
		if !counts(a, b) {
			a.keep(&spec.Bucket{}, have)
			continue
		}
		err := a.read(ctx, c, b, have)
		if !a.declared(b) && codeOf(err) == minio.NotImplemented {
			a.keep(&spec.Bucket{}, have) // what a server does not have nobody has set
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	c.forget(b, have)
	return have, nil
}

// forget drops from what was found what comes by itself, where nobody declares it.
func (c *connection) forget(b, have *spec.Bucket) {
	locked := have.Lock != nil && have.Lock.On
	if b.Versioning == "" && (have.Versioning == spec.VersioningSuspended || locked) {
		have.Versioning = "" // once it was enabled it can only be suspended
	}
	if b.Encryption == "" && have.Encryption == byServer && c.heard.server() == serverAWS {
		have.Encryption = ""
	}
}

// set gives a bucket the attributes that count and that it does not have, all of them or,
// where something speaks against one, none.
func (c *connection) set(ctx context.Context, b *spec.Bucket, m marks) error {
	have, err := c.look(ctx, b, m)
	if err != nil {
		return err
	}
	if err := c.refuse(ctx, b, have); err != nil {
		return err
	}
	for _, a := range attributes {
		if !counts(a, b) || maps.Equal(part(a, b), part(a, have)) {
			continue
		}
		if err := a.write(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}

// part are the fields of one attribute of a bucket.
func part(a attribute, b *spec.Bucket) spec.Fields {
	only := &spec.Bucket{}
	a.keep(b, only)
	return only.Fields()
}
