package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/flumendata/flumen-agent/spec"
)

// quota is how much a bucket may hold. Only MinIO has it.
type quota struct{}

// quotaText is a quota as MinIO reads and writes it.
type quotaText struct {
	Quota int64  `json:"quota"` // in bytes; 0 is none
	Type  string `json:"quotatype"`
}

func (quota) declared(b *spec.Bucket) bool { return b.Quota > 0 }

func (quota) keep(from, to *spec.Bucket) { to.Quota = from.Quota }

func (quota) read(ctx context.Context, c *connection, b, have *spec.Bucket) (err error) {
	have.Quota, err = c.quota(ctx, b.Name)
	if errors.Is(err, errNoAdmin) && b.Quota == 0 {
		return nil
	}
	return err
}

// quota asks for the quota of a bucket; 0: it has none.
func (c *connection) quota(ctx context.Context, bucket string) (int64, error) {
	text, err := c.admin(ctx, http.MethodGet, "get-bucket-quota", url.Values{"bucket": {bucket}}, nil)
	var one quotaText
	if err == nil && json.Unmarshal(text, &one) != nil {
		err = errNoAdmin // it answered something else
	}
	if errors.Is(err, errNoAdmin) {
		return 0, fmt.Errorf("%s has no quotas of buckets: only MinIO has them (%w)", c.named(), err)
	}
	return one.Quota, c.explain("read the quota of bucket "+bucket, err)
}

func (quota) write(ctx context.Context, c *connection, b *spec.Bucket) error {
	text, err := json.Marshal(quotaText{b.Quota, "hard"})
	if err != nil {
		return err
	}
	_, err = c.admin(ctx, http.MethodPut, "set-bucket-quota", url.Values{"bucket": {b.Name}}, text)
	return c.explain("set the quota of bucket "+b.Name, err)
}
