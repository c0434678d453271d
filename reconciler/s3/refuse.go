package s3

import (
	"context"
	"errors"
	"maps"

	"github.com/flumendata/flumen-agent/spec"
)

// The rules by which a bucket is not given what the spec says.
const (
	ruleFeature = "feature" // the server does not have it
	ruleLock    = "lock"    // it can be locked only when it is made, and never unlocked
	ruleTables  = "tables"  // Delta tables would be lost, or shown to everybody
)

// refusal is why a bucket must not or cannot become what the spec says. Nothing has been
// changed then.
type refusal struct{ rule, says string }

func (r refusal) Error() string { return r.says }

// refuse gives the reason against making a bucket what the spec says, a refusal, or an error
// of the store. Have is nil for one that is not there.
func (c *connection) refuse(ctx context.Context, b, have *spec.Bucket) error {
	if err := c.unfit(ctx, b); err != nil || have == nil {
		return err
	}
	if err := c.lockedIn(b, have); err != nil {
		return err
	}
	if !maps.Equal(part(policy{}, b), part(policy{}, have)) {
		if err := c.exposed(ctx, b); err != nil {
			return err
		}
	}
	if !maps.Equal(part(expiry{}, b), part(expiry{}, have)) {
		says, err := c.harm(ctx, b, b.Lifecycle, actPages)
		if err != nil {
			return err
		}
		if says != "" {
			return refusal{ruleTables, says + ", and nothing brings them back: give it a prefix outside of that, or use noncurrent_days"}
		}
	}
	return nil
}

// unfit says that the server does not have what a bucket is asked to have.
func (c *connection) unfit(ctx context.Context, b *spec.Bucket) error {
	if b.Quota > 0 && c.heard.server() != serverMinIO { // which a proxy may hide
		if _, err := c.quota(ctx, b.Name); errors.Is(err, errNoAdmin) {
			return refusal{ruleFeature, c.named() + " has no quotas of buckets, which only MinIO has: remove the quota of bucket " + b.Name}
		}
	}
	if c.heard.server() == serverVersityGW {
		switch {
		case len(b.Lifecycle) > 0:
			return refusal{ruleFeature, c.named() + " has no lifecycle rules: remove the lifecycle of bucket " + b.Name}
		case b.Encryption != "":
			return refusal{ruleFeature, c.named() + " has no default encryption of buckets: remove the encryption of bucket " + b.Name}
		}
	}
	for _, rule := range b.Lifecycle {
		if rule.AbortDays > 0 && c.heard.server() == serverMinIO {
			at := ""
			if rule.AbortAt != "" {
				at = rule.AbortAt + ": "
			}
			return refusal{ruleFeature, at + c.named() + " does not take abort_incomplete_uploads_days (lifecycle rule " + rule.ID + "): there it is a setting of the server, MINIO_API_STALE_UPLOADS_EXPIRY"}
		}
	}
	return nil
}

// consider looks at a bucket and gives the refusal to make it what the spec says, if there is
// one.
func (t *Target) consider(ctx context.Context, project string, b *spec.Bucket) error {
	ctx, cancel := context.WithTimeout(ctx, looksAtMost*patienceWith(b.Store))
	defer cancel()
	return t.once(ctx, project, b.Store, func(c *connection) error {
		m, there, err := c.ours(ctx, b)
		if err != nil {
			return err
		}
		var have *spec.Bucket
		if there {
			if have, err = c.look(ctx, b, m); err != nil {
				return err
			}
		}
		return c.refuse(ctx, b, have)
	})
}
