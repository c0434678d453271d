package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// LifecycleRule has a store remove objects by itself. All rules of a bucket are one document:
// who declares some declares all.
type LifecycleRule struct {
	ID       string
	Disabled bool

	// Of which objects: all of these have to hold.

	Prefix  string
	Tags    map[string]string
	Larger  int64 // than so many bytes; 0: any size
	Smaller int64 // than so many bytes; 0: any size

	// What happens to them. Each zero value is "nothing".

	Days            int       // after so many days the current version goes
	Date            time.Time // on this day the current version goes
	NoncurrentDays  int       // so many days after another one took its place a version goes
	NewerNoncurrent int       // but for the newest so many of those
	DeleteMarkers   bool      // a mark of removal goes when it is all that is left
	AbortDays       int       // after so many days an upload that was never finished goes
	// AbortAt is where AbortDays stands in the files, as in "flumen.yaml:12:5", since only the
	// server can tell whether it takes it; "" in a rule that was found.
	AbortAt string
	// Other is what a rule that was found does beside this: no spec can ask for it. When
	// OtherExpires, it removes current versions too.
	Other        string
	OtherExpires bool
}

// Expires tells whether the rule removes current versions: data, not history.
func (r LifecycleRule) Expires() bool {
	return !r.Disabled && (r.Days > 0 || !r.Date.IsZero() || r.OtherExpires)
}

// Reaches tells whether the rule can be about something in a folder of the bucket. Tags and
// sizes make no difference, for nobody knows those of what is to come.
func (r LifecycleRule) Reaches(folder string) bool { return Reaches(r.Prefix, folder) }

// Reaches tells whether what begins with a prefix can be in a folder of a bucket, of which "" is
// all of it.
func Reaches(prefix, folder string) bool {
	if folder != "" {
		folder += "/"
	}
	return strings.HasPrefix(folder, prefix) || strings.HasPrefix(prefix, folder)
}

// String says the rule by the keys of the file. Two rules that say the same do the same.
func (r LifecycleRule) String() string {
	var all []string
	add := func(on bool, format string, args ...any) {
		if on {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	add(r.Disabled, "disabled")
	add(r.Prefix != "", "prefix %q", r.Prefix)
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		add(true, "tag %q = %q", key, r.Tags[key])
	}
	add(r.Larger > 0, "larger_than %s", Size(r.Larger))
	add(r.Smaller > 0, "smaller_than %s", Size(r.Smaller))
	add(r.Days > 0, "days %d", r.Days)
	add(!r.Date.IsZero(), "date %s", r.Date.UTC().Format(time.DateOnly))
	add(r.NoncurrentDays > 0, "noncurrent_days %d", r.NoncurrentDays)
	add(r.NewerNoncurrent > 0, "newer_noncurrent_versions %d", r.NewerNoncurrent)
	add(r.DeleteMarkers, "expired_delete_markers")
	add(r.AbortDays > 0, "abort_incomplete_uploads_days %d", r.AbortDays)
	add(r.Other != "", "%s", r.Other)
	return strings.Join(all, ", ")
}
