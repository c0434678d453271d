package compose

import (
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// checkTables tells buckets which of their folders hold Delta tables, and keeps lifecycle
// rules from deleting these: a table whose files expire cannot be read any more, and nothing
// brings them back.
func (c *conversion) checkTables() {
	for _, all := range c.buckets {
		for _, r := range all {
			b := r.(*spec.Bucket)
			for _, d := range c.Desired.Retention.Discover {
				if bucket, folder, _ := strings.Cut(d.Prefix, "/"); d.Store == b.Store && bucket == b.Name {
					b.Tables = append(b.Tables, folder)
				}
			}
			for i, rule := range b.Lifecycle {
				c.checkTableRule(b, rule, func(key string) place { return c.rootPlace("buckets", b.Key, "lifecycle", strconv.Itoa(i), key) })
			}
		}
	}
}

func (c *conversion) checkTableRule(b *spec.Bucket, rule spec.LifecycleRule, at func(string) place) {
	for _, folder := range b.Tables {
		if rule.Disabled || !rule.Reaches(folder) {
			continue
		}
		where := b.Store.Place(strings.TrimSuffix(b.Name+"/"+folder, "/"))
		if rule.Expires() {
			c.fault(at("id"), "give it a prefix outside of that, or use noncurrent_days",
				"lifecycle rule %q would delete the Delta tables in %s, which retention.discover names", rule.ID, where)
		}
		if keep := c.undoKept(); rule.NoncurrentDays > 0 && time.Duration(rule.NoncurrentDays)*day < keep {
			c.fault(at("noncurrent_days"), "write at least "+strconv.Itoa(int((keep+day-1)/day)),
				"noncurrent_days: %d is shorter than retention's undo_keep of %s, for which removed files of the tables in %s can be had back", rule.NoncurrentDays, spec.Span(keep), where)
		}
	}
}

// undoKept is the longest time for which files that retention removed have to be kept as
// versions that are not current.
func (c *conversion) undoKept() (longest time.Duration) {
	r := c.Desired.Retention
	for _, rule := range append([]spec.RetentionRule{r.Defaults}, r.Rules...) {
		if !rule.Exclude && (rule.Undo == spec.UndoAuto || rule.Undo == spec.UndoVersioning) {
			longest = max(longest, rule.UndoKeep)
		}
	}
	return longest
}
