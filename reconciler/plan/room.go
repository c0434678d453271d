package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// makeRoom orders changes around what only one container can hold at a time: a
// host port, a container name, a fixed address, a writable volume.
//
// A service that is to be removed and holds what one to be created needs (a renamed
// service) becomes the old half of a replace: it is stopped, kept until the new one
// is ready, and started again if that fails. Anything else in the way goes first.
func (b *builder) makeRoom() {
	for _, ref := range b.refs() {
		for _, other := range b.refs() {
			b.makeRoomFor(ref, other)
		}
	}
}

func (b *builder) makeRoomFor(ref, other spec.Ref) {
	taker, holder := b.drafts[ref], b.drafts[other]
	if ref == other || taker == nil || holder == nil {
		return
	}
	want, have := needs(taker.change), holds(holder.change)
	claim := firstCommon(want, have)
	if claim == "" {
		return
	}
	why := Cause{other, fmt.Sprintf("%s holds %s, which it needs", other, claim)}
	_, removal := holder.change.(Remove)
	if create, ok := taker.change.(Create); ok && removal {
		taker.change = Replace{create.Want, holder.change.(Remove).Have}
		taker.because = append(taker.because, why)
		delete(b.drafts, other)
		return
	}
	if removal {
		holder.tier = taker.tier
		holder.because = append(holder.because, Cause{ref, fmt.Sprintf("%s needs %s", ref, claim)})
	}
	if holder.tier == taker.tier && !slices.Contains(holder.first, ref) {
		taker.first = append(taker.first, other)
	}
}

// needs are the claims of what a change starts.
func needs(c Change) []string {
	switch c := c.(type) {
	case Create:
		return claims(c.Want.Ref(), c.Want.Fields())
	case Replace:
		return claims(c.Want.Ref(), c.Want.Fields())
	}
	return nil
}

// holds are the claims that a change gives up.
func holds(c Change) []string {
	switch c := c.(type) {
	case Remove:
		return occupies(c.Have)
	case Replace:
		lost := occupies(c.Have)
		kept := claims(c.Want.Ref(), c.Want.Fields())
		return slices.DeleteFunc(lost, func(claim string) bool { return slices.Contains(kept, claim) })
	}
	return nil
}

// occupies lists the claims of a container as it is: one that does not run holds nothing
// but its name.
func occupies(f drift.Found) []string {
	switch f.State {
	case drift.Created, drift.Exited, drift.Done:
		return claims(f.Ref, spec.Fields{"name": f.Fields["name"]})
	}
	return claims(f.Ref, f.Fields)
}

// claims lists, in order, what a container of these fields needs for itself alone.
func claims(ref spec.Ref, f spec.Fields) []string {
	if ref.Kind != spec.KindService {
		return nil
	}
	var all []string
	for _, field := range slices.Sorted(maps.Keys(f)) {
		all = append(all, claim(field, f)...)
	}
	return all
}

func claim(field string, f spec.Fields) []string {
	value := f[field].String()
	switch {
	case field == "name":
		return []string{"the name " + value}
	case strings.HasPrefix(field, "port."):
		_, protocol, _ := strings.Cut(field, "/")
		return portClaims(value, protocol)
	case strings.HasPrefix(field, "network.") && (strings.HasSuffix(field, ".ipv4") || strings.HasSuffix(field, ".ipv6")):
		return []string{"the address " + value}
	case strings.HasPrefix(field, "mount.") && value == string(spec.MountVolume):
		source := f[field+".source"]
		if source.IsZero() || !f[field+".read_only"].IsZero() {
			return nil
		}
		return []string{"the volume " + source.String()}
	}
	return nil
}

// portClaims reads the host side of a published port: "127.0.0.1:5432, 5433".
func portClaims(value, protocol string) []string {
	var all []string
	for _, host := range strings.Split(value, ", ") {
		port := host[strings.LastIndex(host, ":")+1:]
		if port != "any" {
			all = append(all, "host port "+port+"/"+protocol)
		}
	}
	return all
}

func firstCommon(a, b []string) string {
	for _, x := range a {
		if slices.Contains(b, x) {
			return x
		}
	}
	return ""
}

// applyRules holds the drafts that a rule gives a reason against.
func (b *builder) applyRules(rules []Rule) {
	for _, ref := range b.refs() {
		d := b.drafts[ref]
		step := Step{Change: d.change, Because: d.because, Fields: d.fields}
		for _, rule := range rules {
			if reason := rule.Holds(step); reason != "" {
				b.hold(ref, rule.Name, reason)
				break
			}
		}
	}
}

// hold takes a draft out of the plan, and gives the rule and the reason for it.
func (b *builder) hold(ref spec.Ref, rule, reason string) {
	d := b.drafts[ref]
	b.held[ref] = Held{Ref: ref, Tier: d.tier, Rule: rule, Reason: reason, Verb: d.change.Verb(), Fields: d.fields, Verdict: d.verdict}
	delete(b.drafts, ref)
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

// unready tells whether something that is held keeps its tier from becoming ready: it
// is not there, it is and does not work, or it has failed to become what the spec
// says. What else is held as it runs does not.
func (b *builder) unready(ref spec.Ref) bool {
	held, ok := b.held[ref]
	if !ok {
		return false
	}
	if held.Rule == RuleBackoff {
		return true
	}
	switch b.have.Found[ref].State {
	case drift.Present, drift.Running, drift.Healthy, drift.Done:
		return b.absent(ref)
	}
	return true
}

// holdDependents holds what cannot be done because of what is held already: a
// service whose network is held, and every change in tiers above one that cannot
// become ready. What only has to be started again still is: keeping things running
// needs no gate.
func (b *builder) holdDependents() {
	for again := true; again; {
		again = false
		for _, ref := range b.refs() {
			if need, ok := b.heldNeed(ref); ok {
				b.hold(ref, RuleNeeds, fmt.Sprintf("it needs %s, which is held: %s", need, b.held[need].Reason))
				again = true
			}
		}
	}
	b.holdTiersAbove()
}

// heldNeed gives the first thing a draft needs that is held and not there.
func (b *builder) heldNeed(ref spec.Ref) (spec.Ref, bool) {
	d := b.drafts[ref]
	if !makes(d.change) {
		return spec.Ref{}, false
	}
	for _, dep := range b.want.Find(ref).After() {
		if b.absent(dep.Ref) {
			return dep.Ref, true
		}
	}
	return spec.Ref{}, false
}

// makes tells whether a change makes or remakes something of the spec.
func makes(c Change) bool {
	switch c.(type) {
	case Create, Replace, Update, Restart:
		return true
	}
	return false
}

func (b *builder) holdTiersAbove() {
	var blocked string
	var blocker spec.Ref
	for _, tier := range b.want.Tiers {
		if blocked != "" {
			b.holdTier(tier, blocked, blocker)
			continue
		}
		for _, r := range tier.Resources {
			if b.unready(r.Ref()) {
				blocked, blocker = tier.Name, r.Ref()
				break
			}
		}
	}
}

func (b *builder) holdTier(tier spec.Tier, blocked string, blocker spec.Ref) {
	for _, r := range tier.Resources {
		d, ok := b.drafts[r.Ref()]
		if ok && r.Ref().Kind != spec.KindImage && makes(d.change) {
			b.hold(r.Ref(), RuleTier, fmt.Sprintf("tier %s is not ready: %s is held", blocked, blocker))
		}
	}
}
