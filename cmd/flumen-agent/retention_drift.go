package main

import (
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/schedule"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// tablesBound is how long a look at tables counts that no schedule repeats: files expire day by
// day, and nobody notices more of that in less than a week.
const tablesBound = 7 * 24 * time.Hour

// tableDrift is how the tables of a spec differ from their rules by the last look at them, which
// was made before. What that look is not worth any more is unknown, and why.
func (a *app) tableDrift(want spec.Desired, now time.Time) (d drift.Drift, unknown string) {
	if len(want.Retention.Discover) == 0 {
		return nil, ""
	}
	last, same, err := a.retentionMemory(want.Project).Latest(want.Retention)
	switch {
	case err != nil:
		return nil, err.Error()
	case last.At.IsZero():
		return nil, "unknown: nobody has looked at them from here yet: flumen-agent retention plan"
	case !same:
		return nil, "unknown: what the spec says about them has changed since the last look: flumen-agent retention plan"
	case now.After(worthUntil(want.Retention, last.At)) || last.At.After(now.Add(time.Hour)):
		return nil, fmt.Sprintf("unknown: the last look at them is of %s: flumen-agent retention plan", last.At.UTC().Format(time.RFC3339))
	}
	return tableDifferences(last, fmt.Sprintf("looked at %s ago", report.Duration(now.Sub(last.At)))), ""
}

// worthUntil is how long a look counts: until a second one after it is due.
func worthUntil(r spec.Retention, at time.Time) time.Time {
	s, _ := schedule.Parse(r.When()) // it was parsed when the spec was loaded
	if next, ok := s.Next(at); ok {
		if second, ok := s.Next(next); ok {
			return second
		}
	}
	return at.Add(tablesBound)
}

// tableDifferences are those that a report shows. looked says how old it is.
func tableDifferences(r proof.Report, looked string) (all drift.Drift) {
	for _, u := range r.Unseen {
		all = append(all, drift.Difference{Ref: spec.Ref{Kind: spec.KindTable, Name: u.Place}, Verdict: drift.Unseen, Reason: u.Why + "; " + looked})
	}
	called := tableNames(r)
	for i := range r.Tables {
		if d, differs := tableDifference(&r.Tables[i], looked); differs {
			d.Ref = spec.Ref{Kind: spec.KindTable, Name: called[i]}
			all = append(all, d)
		}
	}
	return all
}

// tableNames are those of a report's tables: the place of one whose name is another one's too.
func tableNames(r proof.Report) (names []string) {
	called := map[string]int{}
	for _, t := range r.Tables {
		called[t.Name]++
	}
	for _, t := range r.Tables {
		name := t.Called()
		if called[t.Name] > 1 {
			name = t.Place
		}
		names = append(names, name)
	}
	return names
}

// tableDifference is how one table differs from its rule.
func tableDifference(t *proof.Table, looked string) (d drift.Difference, differs bool) {
	for _, p := range t.Properties {
		d.Fields = append(d.Fields, drift.Field{Name: p.Name, Want: spec.Plain(p.Want), Have: spec.Plain(p.Have)})
		d.Verdict = drift.Changed
	}
	for _, f := range t.Findings {
		switch {
		case f.Effect == proof.EffectCritical:
			d.Verdict, d.Critical = drift.Critical, f.Says
			d.Reason = fmt.Sprintf("%s: %s; %s", f.Kind, f.Says, looked)
			return d, true
		case f.Kind == proof.FoundUnseen:
			d.Verdict, d.Reason = drift.Unseen, f.Says+"; "+looked
			return d, true
		}
	}
	if e := t.Overdue(); e.Files > 0 {
		d.Verdict, d.Reason = drift.Expired, e.String()+" older than the rule keeps them"
		if t.Held.Files > 0 {
			d.Reason += ", and held by what was found"
		}
		d.Reason += "; " + looked
	} else if d.Verdict != "" {
		d.Reason = looked
	}
	return d, d.Verdict != ""
}
