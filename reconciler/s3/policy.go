package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/spec"
)

// errPolicy says that a policy is not written as this agent knows them.
var errPolicy = errors.New("cannot be understood")

// policy says who may do what with a bucket beside those who may by their own policies.
type policy struct{}

func (policy) declared(b *spec.Bucket) bool { return !b.Policy.IsZero() }

func (policy) keep(from, to *spec.Bucket) { to.Policy = from.Policy }

func (policy) read(ctx context.Context, c *connection, b, have *spec.Bucket) error {
	text, err := c.GetBucketPolicy(ctx, b.Name) // "" where there is none
	if err != nil || text == "" {
		return c.explain("read the policy of bucket "+b.Name, err)
	}
	if have.Policy, err = spec.ParsePolicy(text); err != nil {
		return fmt.Errorf("bucket %s of %s has a policy that %w: %w", b.Name, c.named(), errPolicy, err)
	}
	return nil
}

func (policy) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	text := "" // removes it
	if !b.Policy.IsZero() {
		text = b.Policy.String()
	}
	return c.explain("set the policy of bucket "+b.Name, c.SetBucketPolicy(ctx, b.Name, text))
}

// exposed says that a policy would show Delta tables to everybody, and nobody has consented.
func (c *connection) exposed(ctx context.Context, b *spec.Bucket) error {
	if b.OpenedBy(b.Policy, time.Now()) {
		return nil
	}
	where, whole, err := c.shown(ctx, b, b.Policy, actPages)
	switch {
	case err != nil:
		return err
	case !whole:
		where = fmt.Sprintf("bucket %s, in which there is too much to see whether it holds Delta tables,", b.Name)
	case where == "":
		return nil
	}
	return refusal{ruleTables, fmt.Sprintf("the policy would open %s to everybody without a key: if that is meant, consent to it: {open: %s, until: DAY}", where, b.Ref())}
}

// open says that the policy in force shows Delta tables to everybody, unless the spec declares
// it with consent. A key that may not read the policy sees none, and what cannot be understood
// is not judged: nobody declared it.
func (c *connection) open(ctx context.Context, b, have *spec.Bucket) (says string, err error) {
	if !counts(policy{}, b) {
		have = &spec.Bucket{}
		err := policy{}.read(ctx, c, b, have)
		switch code := codeOf(err); {
		case code == minio.AccessDenied, code == minio.NotImplemented, errors.Is(err, errPolicy):
			return "", nil
		case err != nil:
			return "", err
		}
	}
	if b.OpenedBy(have.Policy, time.Now()) {
		return "", nil
	}
	where, _, err := c.shown(ctx, b, have.Policy, lookPages)
	if err != nil || where == "" {
		return "", err
	}
	return fmt.Sprintf("the policy in force opens %s to everybody without a key, and the spec does not declare it with consent ({open: %s, until: DAY})", where, b.Ref()), nil
}

// shown finds Delta tables of a bucket with which a policy lets everybody do something: "" for
// none. Declared folders count as tables, be there any or not. Whole tells whether everything
// was looked at.
func (c *connection) shown(ctx context.Context, b *spec.Bucket, p spec.Policy, pages int) (where string, whole bool, err error) {
	s := &search{c, b.Name, pages}
	for _, prefix := range p.Opens() {
		for _, folder := range b.Tables {
			if spec.Reaches(prefix, folder) {
				return "the Delta tables in " + s.place(folder), true, nil
			}
		}
		table, whole, err := s.reached(ctx, prefix)
		if err != nil || !whole {
			return "", false, err
		}
		if table != "" {
			return "the Delta table " + table, true, nil
		}
	}
	return "", true, nil
}
