package s3

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// usageKept is for how long it counts what a store has told its buckets hold. It counts
	// them only now and then itself, and an agent looks every minute.
	usageKept = 5 * time.Minute
	// usagePatience is how long a look waits for that: it is nice to know, and no more.
	usagePatience = time.Second
)

// usage is how much the buckets of a store hold, as it told last.
type usage struct {
	heard   time.Time // when it was asked
	at      time.Time // when it wrote that down
	buckets map[string]drift.Usage
}

// of is how much a bucket holds, or nil. What was counted before it was made is of another one
// that had its name.
func (u usage) of(b minio.BucketInfo) *drift.Usage {
	held, counted := u.buckets[b.Name]
	if !counted || u.at.Before(b.CreationDate) {
		return nil
	}
	return &held
}

// usage gives how much the buckets of a store hold, asking it once in a while. A store that
// does not tell, for whatever reason, just does not: no look fails for that.
func (t *Target) usage(ctx context.Context, c *connection) usage {
	t.mu.Lock()
	known := t.usages[c.store.Name]
	t.mu.Unlock()
	if server := c.heard.server(); server == serverAWS || server == serverVersityGW || time.Since(known.heard) < usageKept {
		return known
	}
	asking, cancel := context.WithTimeout(ctx, min(usagePatience, patienceWith(c.store)))
	defer cancel()
	u, _ := c.usage(asking)
	if ctx.Err() != nil {
		return usage{} // the look was broken off, which says nothing of the store
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.usages == nil {
		t.usages = map[string]usage{}
	}
	t.usages[c.store.Name] = u
	return u
}

// usage asks MinIO how much all buckets hold. Another call (accountinfo) would tell it to any
// user, but neither when that was counted nor whether it was at all.
func (c *connection) usage(ctx context.Context) (usage, error) {
	u := usage{heard: time.Now()}
	text, err := c.admin(ctx, http.MethodGet, "datausageinfo", nil, nil)
	if err != nil {
		return u, err
	}
	var told struct {
		At      time.Time `json:"lastUpdate"` // zero: it has not counted yet
		Buckets map[string]struct {
			Size    int64 `json:"size"`
			Objects int64 `json:"objectsCount"` // its count of versions leaves out some that are encrypted, or have no ID
		} `json:"bucketsUsageInfo"`
	}
	if err := json.Unmarshal(text, &told); err != nil || told.At.IsZero() {
		return u, err
	}
	u.at, u.buckets = told.At, map[string]drift.Usage{}
	for name, one := range told.Buckets {
		u.buckets[name] = drift.Usage{Bytes: one.Size, Objects: one.Objects, At: told.At}
	}
	return u, nil
}

// addUsage says of every bucket that was found and listed how much it holds, as far as the
// store tells.
func (l *look) addUsage(u usage, listed []minio.BucketInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := map[string]*drift.Usage{}
	for _, b := range listed {
		held[b.Name] = u.of(b)
	}
	for ref, found := range l.found {
		if _, name, _ := strings.Cut(found.ID, "/"); ref.Kind == spec.KindBucket && held[name] != nil {
			found.Usage = held[name]
			l.found[ref] = found
		}
	}
}
