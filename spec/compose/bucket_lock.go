package compose

import (
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// lock reads whether the versions of a bucket's objects are kept from being removed.
func (c *conversion) lock(l *objectLock, b *spec.Bucket, at func(...string) place) *spec.Lock {
	if l == nil {
		return nil
	}
	in := func(key string) place { return at("object_lock", key) }
	one := &spec.Lock{On: l.On, Mode: c.substitute(l.Mode, c.env, in("mode")), Days: c.positive(l.Days, in("days")), Years: c.positive(l.Years, in("years"))}
	timed := l.Days != nil || l.Years != nil
	switch {
	case l.Days != nil && l.Years != nil:
		c.fault(in("years"), "keep one of the two", "object_lock has both days and years")
	case one.Mode == "" && timed:
		c.fault(in(""), "write mode: governance, or mode: compliance", "object_lock does not say how objects are locked")
	case one.Mode != "" && one.Mode != "governance" && one.Mode != "compliance":
		c.fault(in("mode"), "write governance or compliance", "%q is not a mode of object_lock", one.Mode)
	case one.Mode != "" && !timed:
		c.fault(in("mode"), "as in days: 30", "object_lock does not say for how long objects are locked")
	}
	if one.On && b.Versioning == spec.VersioningSuspended {
		c.fault(at("versioning"), "remove one of the two", "versioning of a bucket with object_lock cannot be suspended")
	}
	return one
}

// encryption reads with what the objects of a bucket are encrypted.
func (c *conversion) encryption(text string, at place) string {
	text = c.substitute(text, c.env, at)
	key, kms := strings.CutPrefix(text, "sse-kms")
	switch {
	case text == "", text == "sse-s3", kms && (key == "" || strings.HasPrefix(key, ":") && len(key) > 1):
	default:
		c.fault(at, "write sse-s3, sse-kms, or sse-kms:KEY", "%q is not a way to encrypt", text)
	}
	return text
}
