package s3

import (
	"context"
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

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
		return fmt.Errorf("bucket %s of %s has a policy that cannot be understood: %w", b.Name, c.named(), err)
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
	if !b.Open() || time.Now().Before(b.OpenUntil) {
		return nil
	}
	s := &search{c, b.Name, actPages}
	where, whole := "", true
	if len(b.Tables) > 0 {
		where = "the Delta tables in " + s.place(b.Tables[0])
	} else {
		table, all, err := s.reached(ctx, "")
		if err != nil {
			return err
		}
		where, whole = "the Delta table "+table, all || table != ""
		if table == "" && whole {
			return nil
		}
	}
	if !whole {
		where = fmt.Sprintf("bucket %s, in which there is too much to see whether it holds Delta tables,", b.Name)
	}
	return refusal{ruleTables, fmt.Sprintf("the policy would open %s to everybody without a key: if that is meant, consent to it: {open: %s, until: DAY}", where, b.Ref())}
}
