package spec

import (
	"slices"
	"strings"
	"time"
)

// KindTier is the kind of a Ref that names a tier: consent may speak of one.
const KindTier Kind = "tier"

// Checks say when to look for drift, what of it counts, and what to do about it.
type Checks struct {
	Schedule string // as cron has it; "" means no check but those of every run
	NoHeal   bool   // only look and report
	Ignore   []Ignore
	Reports  Reports
}

// Reports say where and how the reports of scheduled checks are written.
type Reports struct {
	Dir     string        // an absolute path; "" means none are written
	Formats []string      // "json", "markdown", "html", "junit"
	Keep    time.Duration // how long; 0 is for ever
}

// Ignore takes fields of a thing out of the comparison. A field may end in *, as in
// "env.JUPYTER_*".
type Ignore struct {
	Ref    Ref
	Fields []string
}

// Consent lets one thing be removed that a rule would keep, until the end of a day.
type Consent struct {
	Remove Ref
	Until  time.Time
	// WithContents lets a bucket be removed with all that is in it.
	WithContents bool
}

// Ignores tells whether a field of ref does not count. What is said of a service counts for
// all its instances.
func (c Checks) Ignores(ref Ref, field string) bool {
	return slices.ContainsFunc(c.Ignore, func(i Ignore) bool {
		same := i.Ref == ref || ref.Kind == KindService && i.Ref == Ref{KindService, ref.Service()}
		return same && slices.ContainsFunc(i.Fields, func(pattern string) bool {
			prefix, open := strings.CutSuffix(pattern, "*")
			return pattern == field || open && strings.HasPrefix(field, prefix)
		})
	})
}
