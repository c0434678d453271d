package plan

import (
	"fmt"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// later tells whether what is to be done about a difference depends on what is to be done
// about a service: something inside it that could not be looked at.
func later(d drift.Difference) bool {
	return d.Ref.Kind.Inside() && d.Want != nil && d.Verdict == drift.Unseen
}

// awaitServices answers the differences that are answered later. What could not be
// looked at has its turn when the service that it lives in is made anew by this plan: that may
// be what keeps it from being seen, such as a key that changes. Making a bucket or a user that
// is there already, as it should be, changes nothing.
func (b *builder) awaitServices(all drift.Drift) {
	for _, d := range all {
		if _, held := b.held[d.Ref]; held || !later(d) {
			continue
		}
		if cause, ok := b.renewalOf(d.Want); ok {
			b.drafts[d.Ref] = &draft{change: Create{d.Want}, tier: d.Tier, verdict: d.Verdict, because: []Cause{cause}}
			continue
		}
		_, rule, reason := answer(d)
		b.held[d.Ref] = Held{Ref: d.Ref, Tier: d.Tier, Rule: rule, Reason: reason, Verdict: d.Verdict}
	}
}

// renewalOf gives the change by which a service begins anew that something lives in.
func (b *builder) renewalOf(r spec.Resource) (Cause, bool) {
	for _, dep := range r.After() {
		d, ok := b.drafts[dep.Ref]
		if !ok {
			continue
		}
		switch d.change.(type) {
		case Replace, Restart:
			return Cause{dep.Ref, fmt.Sprintf("could not be looked at; %s is %s", dep.Ref, past(d.change.Verb()))}, true
		}
	}
	return Cause{}, false
}
