package compose

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// DefaultKeep is how long reports of drift checks are kept: a quarter of a year is
	// as far back as people ask.
	DefaultKeep = 90 * 24 * time.Hour
	day         = 24 * time.Hour
)

// formats are those in which a report can be written, and usualFormats those of a spec
// that names none.
var (
	formats      = []string{"json", "markdown", "html", "junit"}
	usualFormats = formats[:2]
)

// readChecks reads drift and consent.
func (l *load) readChecks() {
	d := l.root.Drift
	checks := &l.Desired.Checks
	checks.Schedule, checks.NoHeal = d.Schedule, d.Heal != nil && !*d.Heal
	if l.options.CheckSchedule != nil && d.Schedule != "" {
		if err := l.options.CheckSchedule(d.Schedule); err != nil {
			l.fault(l.rootPlace("drift", "schedule"), "", "%v", err)
		}
	}
	for i := range d.Ignore {
		checks.Ignore = append(checks.Ignore, l.ignore(i))
	}
	checks.Reports = l.reports()
	for i := range l.root.Consent {
		if l.root.Consent[i].Open != "" {
			l.consentToOpen(i)
			continue
		}
		l.Desired.Consents = append(l.Desired.Consents, l.consent(i))
	}
}

// rootPlace is where a key of the file's top level stands.
func (l *load) rootPlace(path ...string) place {
	stands, _ := find(l.main.roots[0], path...)
	return l.main.at(stands)
}

func (l *load) ignore(i int) spec.Ignore {
	one := l.root.Drift.Ignore[i]
	ref, err := spec.ParseRef(one.Ref)
	if err != nil {
		l.fault(l.rootPlace("drift", "ignore", strconv.Itoa(i), "ref"), "", "%v", err)
	} else if !l.declares(ref) {
		l.warn(l.rootPlace("drift", "ignore", strconv.Itoa(i), "ref"), "", "%s is not in this spec, so nothing of it is ignored", ref)
	}
	if len(one.Fields) == 0 {
		l.fault(l.rootPlace("drift", "ignore", strconv.Itoa(i)), "name them as flumen-agent drift does: fields: [env.TZ]", "no fields to ignore")
	}
	return spec.Ignore{Ref: ref, Fields: one.Fields}
}

// declares tells whether the spec has a thing, or instances of it.
func (l *load) declares(ref spec.Ref) bool {
	return l.Desired.Find(ref) != nil
}

func (l *load) reports() spec.Reports {
	r := l.root.Drift.Reports
	if r.Dir == "" {
		if len(r.Formats) > 0 || r.Keep != "" {
			l.fault(l.rootPlace("drift", "reports"), "write dir: reports", "reports have no directory")
		}
		return spec.Reports{}
	}
	dir := l.substitute(r.Dir, l.env, l.rootPlace("drift", "reports", "dir"))
	one := spec.Reports{Dir: abs(l.dir, dir), Formats: r.Formats, Keep: DefaultKeep}
	if len(one.Formats) == 0 {
		one.Formats = usualFormats
	}
	for _, format := range one.Formats {
		if !slices.Contains(formats, format) {
			l.fault(l.rootPlace("drift", "reports", "formats"), "use "+strings.Join(formats, ", "), "%q is not a format of reports", format)
		}
	}
	if r.Keep != "" {
		keep, err := daysOrTime(r.Keep)
		if err != nil {
			l.fault(l.rootPlace("drift", "reports", "keep"), "write it as in 90d or 12h", "%v", err)
		}
		one.Keep = keep
	}
	return one
}

// daysOrTime reads "90d" or "12h".
func daysOrTime(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n > 0 {
			return time.Duration(n) * day, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time", text)
	}
	return d, nil
}

// consentKinds are what consent can speak of by now.
var consentKinds = []spec.Kind{spec.KindTier, spec.KindService, spec.KindBucket}

func (l *load) consent(i int) spec.Consent {
	one := l.root.Consent[i]
	at := func(key string) place { return l.rootPlace("consent", strconv.Itoa(i), key) }
	ref, err := spec.ParseRef(one.Remove)
	switch {
	case err != nil:
		l.fault(at("remove"), "write kind/name, as in tier/sql or service/trino", "%q names nothing", one.Remove)
	case !slices.Contains(consentKinds, ref.Kind):
		l.fault(at("remove"), "tier/NAME, service/NAME and bucket/NAME are possible", "consent to remove a %s: this version of flumen-agent cannot do this yet", ref.Kind)
	}
	if one.WithContents && ref.Kind != spec.KindBucket {
		l.fault(at("with_contents"), "remove it", "with_contents speaks of buckets")
	}
	return spec.Consent{Remove: ref, Until: l.until(one, at("until")), WithContents: one.WithContents}
}

// until reads the end of a consent: the day it names still counts.
func (l *load) until(one consent, at place) time.Time {
	day, err := time.ParseInLocation(time.DateOnly, one.Until, time.Local)
	if err != nil {
		l.fault(at, "write a day, as in 2026-12-31", "%q is not a day: consent has to end", one.Until)
	}
	return day.AddDate(0, 0, 1)
}

// consentToOpen reads that a bucket with Delta tables may be opened to everybody.
func (l *load) consentToOpen(i int) {
	one := l.root.Consent[i]
	at := func(key string) place { return l.rootPlace("consent", strconv.Itoa(i), key) }
	until := l.until(one, at("until"))
	ref, err := spec.ParseRef(one.Open)
	bucket, known := l.Desired.Find(ref).(*spec.Bucket)
	switch {
	case one.Remove != "" || one.WithContents:
		l.fault(at("open"), "write two", "one consent speaks of opening and of removing")
	case err != nil || ref.Kind != spec.KindBucket:
		l.fault(at("open"), "write bucket/NAME", "%q is not a bucket", one.Open)
	case !known:
		l.fault(at("open"), "remove it", "%s is not in this spec, so it is not opened", ref)
	default:
		bucket.OpenUntil = until
	}
}
