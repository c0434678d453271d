package compose

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// sparkTimeout is how long Spark may take for one table: a VACUUM of some million files takes hours.
const sparkTimeout = 4 * time.Hour

// takeSpark finds the service that retention.spark names, whatever profiles are active: it is not
// kept running as others are, and checked as they are.
func (c *conversion) takeSpark() {
	if c.root.Retention.Spark == nil {
		return
	}
	name := c.root.Retention.Spark.Service
	if s, disabled := c.project.DisabledServices[name]; disabled {
		delete(c.project.DisabledServices, name)
		c.project.Services[name] = s
	}
	if _, known := c.project.Services[name]; known {
		c.spark = name
	}
}

// readSpark reads what the containers are made of in which Spark acts on tables.
func (c *conversion) readSpark(says spark) spec.Spark {
	at := func(key string) place { return c.rootPlace("retention", "spark", key) }
	one := spec.Spark{Timeout: sparkTimeout}
	if says.Timeout != "" {
		one.Timeout = c.span(says.Timeout, at("timeout"))
	}
	s, known := c.services[says.Service]
	switch {
	case says.Service == "":
		c.fault(at("service"), "write service: NAME", "retention.spark names no service")
	case !known:
		others := slices.Concat(c.names(), slices.Collect(maps.Keys(c.project.DisabledServices)))
		c.fault(at("service"), didYouMean(says.Service, others), "retention.spark names the unknown service %q", says.Service)
	case len(s.Profiles) == 0:
		c.fault(c.service(s.Name), "write profiles: [maintenance]", "service %q runs only when retention needs Spark, and without a profile it is one that always runs", s.Name)
	case len(s.Ports) > 0:
		c.fault(c.service(s.Name, "ports"), "remove them", "service %q runs only when retention needs Spark, and nobody connects to it", s.Name)
	}
	if known {
		one.Service = c.convertService(s)
		one.Service.Number, one.Service.Container = 1, c.load.project+"-"+s.Name+"-run"
	}
	return one
}

// quiet reads when nobody writes tables.
func (c *conversion) quiet(list []window) []spec.Window {
	all := c.readWindowsAt(list, "retention", "quiet")
	if len(all) > 0 && !slices.ContainsFunc(all, func(w spec.Window) bool { return !w.Deny }) {
		c.fault(c.rootPlace("retention", "quiet"), `as in {allow: "0 2 * * 0", duration: 2h}`, "no window says when nobody writes tables")
	}
	return all
}

// checkQuiet warns of properties that are never set: no look on the schedule begins while nobody writes tables.
func (c *conversion) checkQuiet(r spec.Retention) {
	at, sets := c.setsProperties(r)
	allows := slices.IndexFunc(r.Quiet, func(w spec.Window) bool { return !w.Deny })
	if !sets || r.Schedule == "" || allows < 0 || c.options.MeetsQuiet == nil {
		return
	}
	later, meets := c.options.MeetsQuiet(c.load.project, r)
	if meets {
		return
	}
	begins := fmt.Sprintf("%q (%s)", r.Schedule, cmp.Or(r.Timezone, "UTC"))
	if strings.Contains(r.Schedule, "TZ=") {
		begins = fmt.Sprintf("%q", r.Schedule)
	}
	if later > 0 {
		begins += fmt.Sprintf(" and, in this project, %s after that", later)
	}
	w := r.Quiet[allows]
	hint := fmt.Sprintf("let it begin as a window does that is longer, as in schedule: %q, timezone: %s", w.Begins, cmp.Or(w.Timezone, "UTC"))
	c.warn(c.rootPlace("retention", "schedule"), hint, "looks at tables begin at %s, and that is never in retention.quiet (%s): properties: enforce (%s) sets nothing unless somebody calls retention run then",
		begins, c.rootPlace("retention", "quiet"), at)
}

// setsProperties tells whether a rule has Spark set the properties of tables, and where the first one says so.
func (c *conversion) setsProperties(r spec.Retention) (at place, sets bool) {
	sure := func(one spec.RetentionRule) bool {
		return one.Mode == spec.ModeEnforce && one.Properties == spec.HandlingEnforce && !one.Exclude
	}
	for i, one := range r.Rules {
		switch {
		case !sure(one):
		case c.root.Retention.Rules[i].Properties != "":
			return c.rootPlace("retention", "rules", strconv.Itoa(i), "properties"), true
		default:
			return c.rootPlace("retention", "defaults", "properties"), true
		}
	}
	return c.rootPlace("retention", "defaults", "properties"), sure(r.Defaults)
}
