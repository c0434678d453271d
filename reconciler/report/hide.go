package report

import (
	"maps"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Hide gives the check with every text that is not a name passed through hide, which takes
// out what must not be shown. Whoever renders it afterwards keeps the form of a document
// whole: a secret may be the name of an element.
func (c Check) Hide(hide func(string) string) Check {
	c.Revision, c.Ahead = hideRevision(c.Revision, hide), hide(c.Ahead)
	c.Blind, c.Seen = maps.Clone(c.Blind), maps.Clone(c.Seen)
	for ref, reason := range c.Blind {
		c.Blind[ref] = hide(reason)
	}
	for ref, seen := range c.Seen {
		seen.Cause = hide(seen.Cause)
		c.Seen[ref] = seen
	}
	c.Differences = each(c.Differences, func(d drift.Difference) drift.Difference {
		d.Reason, d.Critical, d.Fields = hide(d.Reason), hide(d.Critical), hideFields(d.Fields, hide)
		return d
	})
	c.Tiers = each(c.Tiers, func(t TierStatus) TierStatus {
		t.Resources = each(t.Resources, func(r ResourceStatus) ResourceStatus {
			r.Reason, r.Log = hide(r.Reason), each(r.Log, hide)
			return r
		})
		return t
	})
	c.Would = hidePlan(c.Would, hide)
	return c
}

func hidePlan(p *plan.Plan, hide func(string) string) *plan.Plan {
	if p == nil {
		return nil
	}
	hidden := *p
	hidden.Revision = hideRevision(p.Revision, hide)
	hidden.Held = each(p.Held, func(h plan.Held) plan.Held {
		h.Reason, h.Fields = hide(h.Reason), hideFields(h.Fields, hide)
		return h
	})
	hidden.Stages = each(p.Stages, func(s plan.Stage) plan.Stage {
		s.Steps = each(s.Steps, func(one plan.Step) plan.Step {
			one.Fields = hideFields(one.Fields, hide)
			one.Because = each(one.Because, func(c plan.Cause) plan.Cause {
				c.Reason = hide(c.Reason)
				return c
			})
			return one
		})
		return s
	})
	return &hidden
}

func hideRevision(r spec.Revision, hide func(string) string) spec.Revision {
	r.Source, r.Subject, r.Author = hide(r.Source), hide(r.Subject), hide(r.Author)
	return r
}

func hideFields(fields []drift.Field, hide func(string) string) []drift.Field {
	value := func(v spec.Value) spec.Value {
		if v.IsZero() || v.IsSensitive() {
			return v
		}
		return spec.Plain(hide(v.String()))
	}
	return each(fields, func(f drift.Field) drift.Field {
		f.Want, f.Have = value(f.Want), value(f.Have)
		return f
	})
}

// each gives a list with every element changed; the one it is given stays as it is.
func each[L ~[]E, E any](list L, change func(E) E) L {
	changed := slices.Clone(list)
	for i := range changed {
		changed[i] = change(changed[i])
	}
	return changed
}
