package drift

import (
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Usage is how much a bucket holds, as its store counted it last. It is for people to know,
// and never a difference: what is in a bucket is not for the spec to say.
type Usage struct {
	Bytes int64 `json:"bytes"` // of all versions
	// Objects are those with any version: one that is deleted counts as long as older ones are kept.
	Objects int64 `json:"objects"`
	// At is when the store wrote the numbers down. Some of them it may have counted before.
	At time.Time `json:"as_of"`
}

// String is "1,204 objects, 88.0 GiB as of 2026-11-30 02:41 UTC".
func (u Usage) String() string {
	return spec.Counted(u.Objects, "object") + ", " + spec.RoughSize(u.Bytes) + " as of " + u.At.UTC().Format("2006-01-02 15:04 UTC")
}
