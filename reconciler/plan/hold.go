package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// holdMore holds what a rule gives a reason against, or else what cannot be done
// because of what is held already. It tells whether there was any.
func (b *builder) holdMore(rules []Rule) (more bool) {
	for _, d := range b.all() {
		step := Step{Change: d.change, Because: d.because, Fields: d.fields}
		for _, rule := range rules {
			if reason := rule.Holds(step); reason != "" {
				more = b.hold(d, rule.Name, reason, true) || more
				break
			}
		}
	}
	if more {
		return true
	}
	closed := b.firstClosed()
	for _, d := range b.all() {
		if rule, reason := b.mustWait(d, closed); rule != "" {
			more = b.hold(d, rule, reason, false) || more
		}
	}
	return more
}

// hold notes that a draft is not to be carried out, by which rule and why, and tells
// whether that is new. Where a guard holds a change, what is there may be started as it
// is, until that is held too.
func (b *builder) hold(d *draft, rule, reason string, guard bool) (more bool) {
	if _, ok := b.held[d.ref()]; ok {
		more = b.guarded[d.ref()]
		delete(b.guarded, d.ref())
		return more
	}
	tier, verdict := d.tier, d.verdict
	if main := b.drafts[d.ref()]; main != nil { // d may be what takes it down ahead
		tier, verdict = main.tier, main.verdict
	}
	if verdict == drift.Extra {
		tier = ""
	}
	b.held[d.ref()] = Held{Ref: d.ref(), Tier: tier, Rule: rule, Reason: reason, Verb: d.change.Verb(), Fields: d.fields, Verdict: verdict}
	if guard {
		b.guarded[d.ref()] = true
	}
	return true
}

// absent tells whether something that is held is not there for others to use.
func (b *builder) absent(ref spec.Ref) bool {
	held, ok := b.held[ref]
	if !ok {
		return false
	}
	found, exists := b.have.Found[ref]
	return held.Verdict == drift.Missing || held.Verdict == drift.Foreign || !exists || !found.Owned
}

// unready tells whether something that is held keeps others from their turn: it is not
// there, it is and does not work, or it has failed to become what the spec says. What
// else is held as it runs does not.
func (b *builder) unready(ref spec.Ref) bool {
	held, ok := b.held[ref]
	if !ok {
		return false
	}
	switch held.Rule {
	case RuleBackoff:
		return true
	case RuleLeft:
		return false
	}
	switch b.have.Found[ref].State {
	case drift.Present, drift.Running, drift.Healthy, drift.Done:
		return b.absent(ref)
	}
	return true
}

// mustWait gives the rule that holds a draft because of what else is held, if there is
// one.
func (b *builder) mustWait(d *draft, closed *gate) (rule, reason string) {
	for _, why := range []func(*draft) string{
		func(d *draft) string { return d.stuck }, b.heldNeed, b.heldPlace, b.heldFollower, b.heldGuest,
	} {
		if reason := why(d); reason != "" {
			return RuleNeeds, reason
		}
	}
	if closed != nil && closed.keepsOut(b, d) {
		return RuleTier, fmt.Sprintf("tier %s is not ready: %s is held", closed.tier, closed.by)
	}
	return "", ""
}

// heldNeed tells that something a draft needs is held, and not there or not at work.
func (b *builder) heldNeed(d *draft) string {
	if !makes(d.change) {
		return ""
	}
	for _, dep := range b.want.Find(d.ref()).After() {
		if b.absent(dep.Ref) || dep.Until > spec.Created && b.unready(dep.Ref) {
			return fmt.Sprintf("it needs %s, which is held", dep.Ref)
		}
	}
	return ""
}

// makes tells whether a change makes or remakes something of the spec.
func makes(c Change) bool {
	switch c.(type) {
	case Create, Replace, Update, Restart:
		return true
	}
	return false
}

// heldPlace tells that something which is held has what a draft needs for itself.
func (b *builder) heldPlace(d *draft) string {
	need := needs(d.change)
	for _, ref := range slices.SortedFunc(maps.Keys(b.held), spec.Ref.Compare) {
		found, ok := b.have.Found[ref]
		if !ok || ref == d.ref() || found.ID == actsOn(d.change).ID {
			continue
		}
		given := occupies(found)
		if want := b.want.Find(ref); want != nil {
			given = less(given, claims(ref, want.Fields()))
		}
		if what, ok := contested(need, given); ok {
			return fmt.Sprintf("it needs %s, which %s has, and that is held: %s", what, ref, b.held[ref].Reason)
		}
	}
	return ""
}

// heldFollower tells that something which lives inside what is to be replaced cannot
// follow, and would be cut off.
func (b *builder) heldFollower(d *draft) string {
	if d.change.Verb() != VerbReplace {
		return ""
	}
	if reason, unseen := b.have.Unseen(spec.Ref{Kind: spec.KindService}); unseen && d.ref().Kind == spec.KindNetwork {
		return "the containers on it could not be looked at: " + reason
	}
	for _, s := range spec.Resources[*spec.Service](b.want) {
		held, ok := b.held[s.Ref()]
		if !ok || b.absent(s.Ref()) && held.Verdict != drift.Unseen {
			continue
		}
		if slices.ContainsFunc(s.After(), func(dep spec.Dep) bool { return dep.Shares && dep.Ref == d.ref() }) {
			return fmt.Sprintf("%s lives inside it and is held", s.Ref())
		}
	}
	return ""
}

// heldGuest tells that a network cannot go since a container stays on it.
func (b *builder) heldGuest(d *draft) string {
	leaves := actsOn(d.change)
	switch c := d.change.(type) {
	case Remove:
	case Replace:
		if leaves.Ref == c.Ref() {
			return "" // what is on it follows
		}
	default:
		return ""
	}
	if leaves.Ref.Kind != spec.KindNetwork {
		return ""
	}
	if reason, unseen := b.have.Unseen(spec.Ref{Kind: spec.KindService}); unseen {
		return "the containers on it could not be looked at: " + reason
	}
	for _, ref := range b.have.Refs() {
		_, attached := b.have.Found[ref].Fields["network."+leaves.Ref.Name]
		if _, held := b.held[ref]; attached && held {
			return fmt.Sprintf("%s is on it and is held", ref)
		}
	}
	return ""
}

// gate is that of a tier which cannot become ready.
type gate struct {
	tier string
	by   spec.Ref
}

// firstClosed gives the gate of the lowest tier that cannot become ready, or nil. Only
// services and what lives inside them make a tier ready: what those need holds them, not the
// tier.
func (b *builder) firstClosed() *gate {
	for _, tier := range b.want.Tiers {
		for _, r := range tier.Resources {
			kind := r.Ref().Kind
			if (kind == spec.KindService || kind.Inside()) && b.unready(r.Ref()) {
				return &gate{tier.Name, r.Ref()}
			}
		}
	}
	return nil
}

// keepsOut tells whether a draft belongs behind the gate. What only has to be started
// again does not, for keeping things running needs no gate; removals come last, so they
// wait for all tiers.
func (g *gate) keepsOut(b *builder, d *draft) bool {
	if _, removal := d.change.(Remove); removal {
		return d.tier == ""
	}
	return d.ref().Kind != spec.KindImage && makes(d.change) && b.rank(d.tier) > b.rank(g.tier)
}
