package status

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// level is a metric that tells how things stand when it is asked for.
func level(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("flumen_"+name, help, labels, nil)
}

// What is told of the last look. Until there was one, none of these is there.
var (
	ready         = level("ready", "Whether the last run saw everything at work: what is held and works as it is does not count against it.")
	tierReady     = level("tier_ready", "Whether everything of a tier is at work.", "tier")
	inSync        = level("in_sync", "Whether all things of a kind in a tier were as they should be, and could be seen. What no tier declares has an empty tier.", "tier", "kind")
	resources     = level("resources", "Things of a kind that a tier declares.", "tier", "kind")
	differences   = level("differences", "Things that were not as they should be, by the way in which they differ.", "tier", "kind", "verdict")
	bucketBytes   = level("bucket_size_bytes", "How much a bucket holds with all versions, as its store counted it last. Not there where that does not tell.", "tier", "bucket")
	bucketObjects = level("bucket_objects", "Objects in a bucket, as its store counted them last. Not there where that does not tell.", "tier", "bucket")
	heldSteps     = level("held_steps", "Steps that are not done, by the rule that holds them.", "rule")
	closed        = level("window_closed", "Whether replacing and removing waits for a window. Not there where the spec has none.")
	driftStart    = level("drift_start_timestamp_seconds", "When the look was made that first saw what still differs. Not there while all is in sync.")
	lastLook      = level("last_look_timestamp_seconds", "When what runs was last looked at with success.")
)

// What an agent says of itself.
var (
	build       = level("build_info", "The version of the agent.", "version")
	revision    = level("revision_info", "The project, and the revision of it that is kept up.", "project", "revision")
	holds       = level("holds_project", "Whether this agent is the one that changes the project.")
	paused      = level("paused", "Whether a person has paused the agent.")
	enforced    = level("wanted_revision_enforced", "Whether what is kept up is the newest revision that loaded, and not an earlier one.")
	quarantined = level("quarantined_revisions", "Revisions that failed, and are not tried again by themselves.")
	quarantine  = level("quarantined_revision_info", "Each revision that failed and is not tried again by itself. Not there where there is none.", "revision")
	degraded    = level("degraded_resources", "Things that failed too often, and are tried only now and then.")
	sourceGood  = level("source_ok", "Whether the newest state of the spec can be had: reached, and loaded.")
	fetched     = level("source_fetch_timestamp_seconds", "When the git repository has last answered. Not there without one.")
	notified    = level("notifications_total", "Notifications, by what became of them: sent, or dropped. Not there where nobody is to be told anything.", "result")
	reportMade  = level("drift_report_timestamp_seconds", "When a scheduled drift check was last made. Not there until then.")
)

// counts are the metrics that add up what runs have done.
type counts struct {
	runs, steps      *prometheus.HistogramVec
	heals, rollbacks *prometheus.CounterVec
}

// spans are the upper bounds of durations, in seconds: a look takes milliseconds, a tier
// some minutes.
var spans = []float64{.01, .05, .1, .5, 1, 5, 15, 30, 60, 120, 300, 600, 1800}

func newCounts() counts {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "flumen", Name: name, Help: help, Buckets: spans}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "flumen", Name: name, Help: help}, labels)
	}
	return counts{
		runs:      histogram("run_duration_seconds", "Runs, by what became of them: looked (nothing was to be done), done, failed (some step), or error (it could not be carried out).", "result"),
		steps:     histogram("step_duration_seconds", "Steps of runs, by what they did and what became of them.", "verb", "outcome"),
		heals:     counter("heals_total", "Steps that brought back what had been ready at the same revision, since this agent saw it ready.", "verb"),
		rollbacks: counter("rollbacks_total", "Steps that failed, after which what was there before runs again.", "verb"),
	}
}

// add counts a run. heals tells that its revision had been ready before.
func (c counts) add(rep report.Report, heals bool) {
	c.runs.WithLabelValues(result(rep)).Observe(rep.Took.Seconds())
	for _, s := range rep.Steps {
		c.steps.WithLabelValues(string(s.Verb), string(s.Outcome)).Observe(s.Took.Seconds())
		switch {
		case s.Outcome == report.RolledBack:
			c.rollbacks.WithLabelValues(string(s.Verb)).Inc()
		case s.Outcome == report.Done && heals:
			c.heals.WithLabelValues(string(s.Verb)).Inc()
		}
	}
}

func result(rep report.Report) string {
	switch {
	case rep.Fault != "":
		return "error"
	case rep.Failures() > 0:
		return "failed"
	case len(rep.Steps) > 0:
		return "done"
	}
	return "looked"
}

func (b *Board) register() {
	b.registry.MustRegister(
		b, b.counts.runs, b.counts.steps, b.counts.heals, b.counts.rollbacks,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
}

var levels = []*prometheus.Desc{
	ready, tierReady, inSync, resources, differences, bucketBytes, bucketObjects, heldSteps, closed, driftStart, lastLook,
	build, revision, holds, paused, enforced, quarantined, quarantine, degraded, sourceGood, fetched, notified, reportMade,
	tablesLook, tables, tablesUnseen, tablesFindings, tablesBytes, tablesFiles, tableStanding, tableBytes, tableFiles,
}

// Describe names the metrics that Collect gives.
func (b *Board) Describe(to chan<- *prometheus.Desc) {
	for _, d := range levels {
		to <- d
	}
}

// Collect gives all levels as they stand at one moment.
func (b *Board) Collect(to chan<- prometheus.Metric) {
	g := gauges{to}
	g.set(build, 1, b.options.Version)
	s := b.shown()
	if s.status != nil {
		g.look(s)
	}
	g.time(reportMade, s.checked)
	if b.options.Notified != nil {
		sent, dropped := b.options.Notified()
		g.count(notified, sent, "sent")
		g.count(notified, dropped, "dropped")
	}
	if b.options.Tables != nil {
		if t := b.options.Tables(); t != nil {
			g.tables(t)
		}
	}
	if standing, ok := b.options.Standing(); ok {
		g.standing(standing)
		if s.status != nil {
			g.set(revision, 1, s.status.Project, standing.Enforced.Short())
		}
	}
}

// gauges passes metrics on.
type gauges struct{ to chan<- prometheus.Metric }

func (g gauges) set(d *prometheus.Desc, value float64, labels ...string) {
	g.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

// count gives a number that only grows.
func (g gauges) count(d *prometheus.Desc, n int, labels ...string) {
	g.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (g gauges) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	g.set(d, value, labels...)
}

// time gives a moment, if there is one.
func (g gauges) time(d *prometheus.Desc, at time.Time) {
	if !at.IsZero() {
		g.set(d, float64(at.UnixMilli())/1000)
	}
}

// group is the things of one kind in one tier.
type group struct {
	tier string
	kind spec.Kind
}

func (g gauges) look(s shown) {
	g.flag(ready, s.status.Ready)
	g.time(lastLook, s.looked)
	if s.status.Window != nil {
		g.flag(closed, s.status.Window.Closed)
	}
	g.time(driftStart, s.differs)
	for _, rule := range slices.Sorted(maps.Keys(s.held)) {
		g.set(heldSteps, float64(s.held[rule]), rule)
	}
	for _, t := range s.status.Tiers {
		g.flag(tierReady, t.Ready, t.Name)
		g.things(t.Name, t.Resources, true)
	}
	g.things("", s.status.Extra, false)
}

// things gives how those of a tier stand, kind by kind.
func (g gauges) things(tier string, all []report.ResourceStatus, declared bool) {
	count, differ := map[group]int{}, map[group]map[drift.Verdict]int{}
	for _, r := range all {
		of := group{tier, r.Ref.Kind}
		count[of]++
		if differ[of] == nil {
			differ[of] = map[drift.Verdict]int{}
		}
		if r.Verdict != "" {
			differ[of][r.Verdict]++
		}
		if r.Usage != nil {
			g.set(bucketBytes, float64(r.Usage.Bytes), tier, r.Ref.Name)
			g.set(bucketObjects, float64(r.Usage.Objects), tier, r.Ref.Name)
		}
	}
	for of, n := range count {
		g.flag(inSync, len(differ[of]) == 0, of.tier, string(of.kind))
		if declared {
			g.set(resources, float64(n), of.tier, string(of.kind))
		}
		for verdict, n := range differ[of] {
			g.set(differences, float64(n), of.tier, string(of.kind), string(verdict))
		}
	}
}

func (g gauges) standing(s Standing) {
	g.flag(holds, s.Holds)
	g.flag(paused, s.Paused)
	g.flag(enforced, s.Wanted.ID == s.Enforced.ID)
	g.flag(sourceGood, s.Trouble == "")
	g.set(quarantined, float64(len(s.Quarantined)))
	for _, name := range shortNames(s.Quarantined) {
		g.set(quarantine, 1, name)
	}
	g.set(degraded, float64(len(s.Degraded)))
	g.time(fetched, s.Fetched)
}

// shortNames are those of revisions, each once: two may be shortened to the same.
func shortNames(all []spec.Revision) []string {
	var short []string
	for _, r := range all {
		short = append(short, r.Short())
	}
	slices.Sort(short)
	return slices.Compact(short)
}
