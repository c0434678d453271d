package compose

import (
	"strconv"
	"time"

	"github.com/docker/go-units"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// mostRules and mostRuleName are what S3 allows.
	mostRules    = 1000
	mostRuleName = 255
)

// lifecycle reads the rules of a bucket. None at all is something else than nothing said.
func (c *conversion) lifecycle(declared []lifecycle, at func(...string) place) []spec.LifecycleRule {
	if declared == nil {
		return nil
	}
	if len(declared) > mostRules {
		c.fault(at("lifecycle"), "", "a bucket can have at most %d lifecycle rules", mostRules)
	}
	rules, taken := []spec.LifecycleRule{}, map[string]bool{}
	for i, one := range declared {
		in := func(key string) place { return at("lifecycle", strconv.Itoa(i), key) }
		rule := c.lifecycleRule(one, in)
		switch {
		case rule.ID == "":
			c.fault(in("id"), "as in id: expire-old-versions", "a lifecycle rule has no id")
		case len(rule.ID) > mostRuleName:
			c.fault(in("id"), "", "the id of a lifecycle rule can have at most %d characters", mostRuleName)
		case taken[rule.ID]:
			c.fault(in("id"), "choose another one", "another rule has the id %q", rule.ID)
		}
		taken[rule.ID] = true
		rules = append(rules, rule)
	}
	return rules
}

func (c *conversion) lifecycleRule(l lifecycle, at func(string) place) spec.LifecycleRule {
	put := func(key, text string) string { return c.substitute(text, c.env, at(key)) }
	one := spec.LifecycleRule{
		ID: put("id", l.ID), Disabled: l.Enabled != nil && !*l.Enabled, Prefix: put("prefix", l.Prefix),
		Larger: c.size(l.LargerThan, at("larger_than")), Smaller: c.size(l.SmallerThan, at("smaller_than")),
		Days: c.positive(l.Days, at("days")), Date: c.midnight(put("date", l.Date), at("date")),
		NoncurrentDays:  c.positive(l.NoncurrentDays, at("noncurrent_days")),
		NewerNoncurrent: c.positive(l.NewerNoncurrentVersions, at("newer_noncurrent_versions")),
		DeleteMarkers:   l.ExpiredDeleteMarkers,
		AbortDays:       c.positive(l.AbortIncompleteUploadsDays, at("abort_incomplete_uploads_days")),
	}
	if one.AbortDays > 0 {
		one.AbortAt = at("abort_incomplete_uploads_days").String()
	}
	for key, value := range l.Tags {
		if one.Tags == nil {
			one.Tags = map[string]string{}
		}
		one.Tags[key] = put("tags", value)
		c.checkTagText(key, mostTagKey, at("tags"))
		c.checkTagText(one.Tags[key], mostTagText, at("tags"))
	}
	c.checkRule(l, one, at)
	return one
}

// checkRule: S3 takes only some things together.
func (c *conversion) checkRule(l lifecycle, r spec.LifecycleRule, at func(string) place) {
	if l.Days == nil && l.Date == "" && l.NoncurrentDays == nil && l.NewerNoncurrentVersions == nil && !l.ExpiredDeleteMarkers && l.AbortIncompleteUploadsDays == nil {
		c.fault(at(""), "as in noncurrent_days: 14", "lifecycle rule %q does nothing", r.ID)
	}
	if l.Days != nil && l.Date != "" {
		c.fault(at("date"), "keep one of the two", "lifecycle rule %q has both days and date", r.ID)
	}
	if l.ExpiredDeleteMarkers && (l.Days != nil || l.Date != "" || len(r.Tags) > 0) {
		c.fault(at("expired_delete_markers"), "write a rule of its own for it", "expired_delete_markers cannot stand beside days, date or tags")
	}
	if l.NewerNoncurrentVersions != nil && l.NoncurrentDays == nil {
		c.fault(at("newer_noncurrent_versions"), "as in noncurrent_days: 1", "newer_noncurrent_versions needs noncurrent_days")
	}
	if l.AbortIncompleteUploadsDays != nil && (len(r.Tags) > 0 || r.Larger > 0 || r.Smaller > 0) {
		c.fault(at("abort_incomplete_uploads_days"), "write a rule of its own for it", "uploads that were never finished have no tags and no size")
	}
	if r.Smaller > 0 && r.Larger >= r.Smaller {
		c.fault(at("smaller_than"), "", "no object is larger than %s and smaller than %s", spec.Size(r.Larger), spec.Size(r.Smaller))
	}
}

// positive is a whole number above 0, or 0 where there is none.
func (c *conversion) positive(n *int, at place) int {
	const most = 1<<31 - 1
	switch {
	case n == nil:
		return 0
	case *n < 1 || *n > most:
		c.fault(at, "write a number above 0", "%d is not possible here", *n)
	}
	return *n
}

// size reads a number of bytes, 0 where there is none.
func (c *conversion) size(text string, at place) int64 {
	if text = c.substitute(text, c.env, at); text == "" {
		return 0
	}
	bytes, err := units.RAMInBytes(text)
	if err != nil || bytes < 1 {
		c.fault(at, "write it as in 500GiB", "%q is not a size", text)
	}
	return bytes
}

// midnight reads a day, whose beginning in UTC is the only time that S3 takes.
func (c *conversion) midnight(text string, at place) time.Time {
	if text == "" {
		return time.Time{}
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		c.fault(at, "write a day, as in 2026-12-31", "%q is not a day", text)
	}
	return day
}
