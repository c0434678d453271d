package s3

import (
	"context"
	"maps"

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

// attributes are in the order in which they are written.
var attributes = []attribute{tagging{}, versioning{}, expiry{}}

// look reads the attributes of a bucket that count. Those are the declared ones.
func (c *connection) look(ctx context.Context, b *spec.Bucket, m marks) (*spec.Bucket, error) {
	have := &spec.Bucket{Tags: m}
	for _, a := range attributes {
		if !a.declared(b) {
			a.keep(&spec.Bucket{}, have)
			continue
		}
		if err := a.read(ctx, c, b, have); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// set gives a bucket the attributes that are declared and that it does not have, all of them
// or, where something speaks against one, none.
func (c *connection) set(ctx context.Context, b *spec.Bucket, m marks) error {
	have, err := c.look(ctx, b, m)
	if err != nil {
		return err
	}
	if err := c.refuse(ctx, b, have); err != nil {
		return err
	}
	for _, a := range attributes {
		if !a.declared(b) || maps.Equal(part(a, b), part(a, have)) {
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
