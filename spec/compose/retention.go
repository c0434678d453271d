package compose

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// readRetention reads where Delta tables are and how long their files are kept.
func (c *conversion) readRetention() {
	r := c.root.Retention
	one := spec.Retention{Defaults: spec.DefaultRetention()}
	one.Schedule, one.Timezone, one.Window = c.retentionTimes(r)
	for i := range r.Discover {
		one.Discover = append(one.Discover, c.discovery(i, one.Discover))
	}
	c.Desired.Retention.Discover = one.Discover
	if r.Unsafe.AllowBelow7d {
		c.fault(c.rootPlace("retention", "unsafe", "allow_below_7d"), "remove unsafe, and write 7d or more", "nothing lets files go that left their table less than %s ago: what a writer has not committed yet looks like garbage to everybody", spec.Span(spec.Floor))
	}
	if r.Metastore != nil {
		one.Metastore = c.metastore(*r.Metastore)
	}
	if r.Spark != nil {
		one.Spark = c.readSpark(*r.Spark)
	}
	one.Quiet = c.quiet(r.Quiet)
	one.Defaults = c.retentionRule(r.Defaults, one.Defaults, "retention", "defaults")
	if len(r.Defaults.Match) > 0 || r.Defaults.Exclude {
		c.fault(c.rootPlace("retention", "defaults"), "write a rule", "the defaults are for all tables: match and exclude belong to rules")
	}
	for i, rule := range r.Rules {
		at := []string{"retention", "rules", strconv.Itoa(i)}
		next := c.retentionRule(rule, one.Defaults, at...)
		next.Match, next.Exclude = c.patterns(rule, at), rule.Exclude
		c.checkReach(next, one, at)
		one.Rules = append(one.Rules, next)
	}
	c.checkQuiet(one)
	if r.Window == "" && len(one.Discover) > 0 {
		one.Window = spec.DefaultWindow
	}
	if (len(one.Rules) > 0 || one.Schedule != "") && len(one.Discover) == 0 {
		c.fault(c.rootPlace("retention"), "write discover: [{store: NAME, prefix: BUCKET/FOLDER}]", "retention does not say where the tables are")
	}
	c.Desired.Retention = one
}

// retentionTimes reads when to look.
func (c *conversion) retentionTimes(r retention) (schedule, timezone string, window time.Duration) {
	at := func(key string) place { return c.rootPlace("retention", key) }
	if r.Schedule != "" && c.options.CheckSchedule != nil {
		if err := c.options.CheckSchedule(r.Schedule); err != nil {
			c.fault(at("schedule"), "", "%v", err)
		}
	}
	if _, err := time.LoadLocation(r.Timezone); err != nil {
		c.fault(at("timezone"), "write it as in Europe/Berlin", "%q is not a time zone", r.Timezone)
	}
	if r.Window != "" {
		window = c.span(r.Window, at("window"))
	}
	if r.Timezone != "" && strings.Contains(r.Schedule, "TZ=") {
		c.fault(at("timezone"), "keep one of them", "the schedule has a time zone, and timezone names one too")
	}
	return r.Schedule, r.Timezone, window
}

// discovery reads one place below which tables are.
func (c *conversion) discovery(i int, before []spec.Discovery) spec.Discovery {
	d := c.root.Retention.Discover[i]
	at := func(key string) place { return c.rootPlace("retention", "discover", strconv.Itoa(i), key) }
	one := spec.Discovery{Store: c.stores[d.Store], Prefix: strings.TrimSuffix(c.substitute(d.Prefix, c.env, at("prefix")), "/")}
	switch clean := path.Clean("/" + one.Prefix)[1:]; {
	case d.Store == "":
		c.fault(at("store"), "give it one: store: NAME", "tables are looked for in no store")
	case one.Store == nil:
		c.fault(at("store"), didYouMean(d.Store, slices.Collect(maps.Keys(c.stores))), "tables are looked for in the undeclared store %q", d.Store)
	case one.Prefix == "" && one.Store.Path == "":
		c.fault(at("prefix"), "begin with the bucket, as in prefix: lakehouse/warehouse", "tables are looked for in no bucket")
	case clean != one.Prefix:
		c.fault(at("prefix"), "write "+clean, "%q begins with a slash, or has empty parts, . or ..", one.Prefix)
	}
	if one.Store == nil {
		one.Store = &spec.Store{Name: d.Store}
	}
	for _, other := range before {
		if other.Store.Name == one.Store.Name && (inside(one.Prefix, other.Prefix) || inside(other.Prefix, one.Prefix)) {
			c.fault(at("prefix"), "remove one of them", "%q and %q hold the same tables", one.Prefix, other.Prefix)
		}
	}
	return one
}

// inside tells whether a prefix is the other one or lies below it.
func inside(prefix, other string) bool {
	return prefix == other || other == "" || strings.HasPrefix(prefix, other+"/")
}

func (c *conversion) metastore(m metastore) spec.Metastore {
	at := func(key ...string) place { return c.rootPlace(append([]string{"retention", "metastore"}, key...)...) }
	if m.URI != "" {
		if m.Service != "" || m.Port != 0 {
			c.fault(at(), "keep uri, or service and port", "the metastore has a uri, and a service too")
		}
		return spec.Metastore{Address: c.thriftAddress(c.substitute(m.URI, c.env, at("uri")), at("uri"))}
	}
	if _, known := c.services[m.Service]; !known {
		c.fault(at("service"), didYouMean(m.Service, c.names()), "the metastore is served by the unknown service %q", m.Service)
	}
	if m.Port < 1 || m.Port > 65535 {
		c.fault(at("port"), "as in port: 9083", "the metastore does not say at which port of service %q it answers", m.Service)
	}
	return spec.Metastore{Service: m.Service, Port: uint16(m.Port)}
}

// thriftAddress reads where a metastore is: thrift://host:port.
func (c *conversion) thriftAddress(text string, at place) string {
	u, err := url.Parse(text)
	if err == nil {
		host, port, splits := net.SplitHostPort(u.Host)
		n, number := strconv.ParseUint(port, 10, 16)
		plain := u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
		if plain && u.Scheme == "thrift" && splits == nil && number == nil && host != "" && n > 0 {
			return u.Host
		}
	}
	c.fault(at, "write it as in thrift://metastore.example.com:9083", "%q is not the address of a metastore", text)
	return ""
}

// patterns reads which tables a rule is about.
func (c *conversion) patterns(rule retentionRule, at []string) []spec.Pattern {
	if len(rule.Match) == 0 {
		c.fault(c.rootPlace(at...), `as in match: ["bronze.*"]`, "a rule has no match, so it is about no table")
	}
	var all []spec.Pattern
	for i, text := range rule.Match {
		stands := c.rootPlace(append(slices.Clone(at), "match", strconv.Itoa(i))...)
		one := spec.Pattern(c.substitute(text, c.env, stands))
		where, placed := one.Place()
		switch {
		case placed && !strings.HasPrefix(where, "s3://") && !strings.HasPrefix(where, "/"):
			c.fault(stands, "write it as in path:s3://bucket/folder/** or path:/data/**", "%q is not the place of a table", one)
		case !placed && (strings.ContainsAny(string(one), "/:") || !strings.ContainsAny(string(one), ".*")):
			c.fault(stands, "write it as in database.table, bronze.* or path:s3://bucket/folder/**", "%q is not the name of a table", one)
		}
		all = append(all, one)
	}
	return all
}

// checkReach refuses a rule that can never match: earlier ones take all its tables, or it is
// about a place where nobody looks.
func (c *conversion) checkReach(rule spec.RetentionRule, all spec.Retention, at []string) {
	taken := func(p spec.Pattern) int {
		return slices.IndexFunc(all.Rules, func(earlier spec.RetentionRule) bool {
			return slices.ContainsFunc(earlier.Match, func(q spec.Pattern) bool { return q.Covers(p) })
		})
	}
	by := -1
	for _, p := range rule.Match {
		first := taken(p)
		if first < 0 && lookedAt(p, all.Discover) {
			return
		}
		by = max(by, first)
	}
	switch {
	case len(rule.Match) == 0:
	case by >= 0:
		c.fault(c.rootPlace(at...), "move it before that one", "this rule never matches: the rule at %s takes all its tables", c.rootPlace("retention", "rules", strconv.Itoa(by)))
	default:
		c.fault(c.rootPlace(at...), "add the place to discover", "this rule never matches: no tables are looked for there")
	}
}

// lookedAt tells whether tables that a pattern matches can be below a place that is looked at.
func lookedAt(p spec.Pattern, discover []spec.Discovery) bool {
	if _, placed := p.Place(); !placed {
		return true
	}
	begins := p.Literal()
	return slices.ContainsFunc(discover, func(d spec.Discovery) bool {
		there := d.String() + "/"
		return strings.HasPrefix(begins, there) || strings.HasPrefix(there, begins) || begins == d.String()
	})
}

// span reads a time span: "30d", "12h", or an interval of Spark.
func (c *conversion) span(text string, at place) time.Duration {
	d, err := ParseSpan(text)
	if err != nil {
		c.fault(at, "write it as in 30d, 12h or 30 days", "%v", err)
	}
	return d
}

// ParseSpan reads a time span as the file has them: "30d", "12h", or an interval of Spark. None is
// an error.
func ParseSpan(text string) (time.Duration, error) {
	if d, err := daysOrTime(text); err == nil {
		return d, nil
	}
	d, err := spec.ParseInterval(text)
	if err == nil && d == 0 {
		err = fmt.Errorf("%q is no time at all", text)
	}
	return d, err
}
