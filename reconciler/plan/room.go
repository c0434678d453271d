package plan

import (
	"fmt"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// makeRoom orders changes around what only one thing can have at a time: a host port, a
// container name, a fixed address, a writable volume, a subnet.
//
// Something that is to be removed and has what is needed to create another of its kind
// (a renamed service) becomes the old half of a replace: it is kept, stopped, until the
// new one is ready, and started again if that fails. Anything else in the way goes
// first. Where it cannot (it belongs to a higher tier, or waits itself for what needs
// the place: two services that swap their ports) it is taken down ahead, and made anew
// in its own turn.
func (b *builder) makeRoom() {
	all := b.inOrder()
	given := map[*draft][]claim{}
	for _, holder := range all {
		given[holder] = gives(holder.change)
	}
	for _, taker := range all {
		need := needs(taker.change)
		for _, holder := range all {
			if taker == holder || taker.heir != nil {
				continue
			}
			if what, ok := contested(need, given[holder]); ok {
				b.makeRoomFor(taker, holder, what)
			}
		}
	}
}

// inOrder gives the drafts in the order in which they will have their turn.
func (b *builder) inOrder() []*draft {
	groups := map[string][]*draft{}
	for _, d := range b.all() {
		groups[d.tier] = append(groups[d.tier], d)
	}
	var all []*draft
	for _, tier := range b.want.Tiers {
		all = append(all, b.sorted(groups[tier.Name])...)
	}
	return append(all, groups[""]...)
}

func (b *builder) makeRoomFor(taker, holder *draft, what claim) {
	removal, isRemoval := holder.change.(Remove)
	create, isCreation := taker.change.(Create)
	switch {
	case holder.heir != nil && b.after(holder.heir, taker):
		if taker.stuckOn(actsOn(holder.change), what) {
			return
		}
		b.disinherit(holder)
		holder.makeWay(taker, what)
	case holder.heir != nil:
		taker.waitFor(holder.heir)
	case holder.ahead != nil:
		holder.ahead.makeWay(taker, what)
	case isRemoval && holder.tier == "" && isCreation:
		taker.change = Replace{create.Want, removal.Have}
		taker.because = append(taker.because, Cause{holder.ref(), fmt.Sprintf("%s holds %s, which it needs", holder.ref(), what)})
		holder.heir = taker
		delete(b.drafts, holder.ref())
	case isRemoval && holder.tier == "":
		holder.tier = taker.tier
		holder.makeWay(taker, what)
	case b.after(holder, taker):
		b.takeDownAhead(holder, taker, what)
	default:
		taker.waitFor(holder)
	}
}

// disinherit makes a removal of its own again of what has become half of a replace,
// ahead of it.
func (b *builder) disinherit(holder *draft) {
	heir := holder.heir
	heir.change = Create{heir.change.(Replace).Want}
	holder.heir, holder.tier = nil, heir.tier
	b.drafts[holder.ref()] = holder
	heir.waitFor(holder)
}

// stuckOn tells whether d cannot have what something holds, since taking that down ahead
// would lose data: only what replaces it can have its anonymous volumes.
func (d *draft) stuckOn(holder drift.Found, what claim) bool {
	if holder.Anonymous {
		d.stuck = fmt.Sprintf("it needs %s, for which %s would have to be removed first, and that keeps data in an anonymous volume: give the volume a name, or remove the container by hand", what, holder.Ref)
	}
	return holder.Anonymous
}

// makeWay has d, a removal, go ahead of what needs its place.
func (d *draft) makeWay(taker *draft, what claim) {
	d.because = append(d.because, Cause{taker.ref(), fmt.Sprintf("%s needs %s", taker.ref(), what)})
	taker.waitFor(d)
}

// waitFor has d wait until other, which has what it needs, is done.
func (d *draft) waitFor(other *draft) {
	if !slices.Contains(d.first, other) {
		d.first = append(d.first, other)
	}
}

// after tells whether d has its turn only after other: in a higher tier, or because it
// waits for it in the same one.
func (b *builder) after(d, other *draft) bool {
	if d.tier != other.tier {
		return b.rank(d.tier) > b.rank(other.tier)
	}
	seen := map[*draft]bool{}
	var waits func(*draft) bool
	waits = func(one *draft) bool {
		if seen[one] {
			return false
		}
		seen[one] = true
		return one == other || slices.ContainsFunc(b.needsOf(one), func(n need) bool { return waits(n.on) })
	}
	return waits(d)
}

// rank is the place of a tier among the tiers, from 1; 0 is no tier.
func (b *builder) rank(tier string) int {
	return 1 + slices.IndexFunc(b.want.Tiers, func(t spec.Tier) bool { return t.Name == tier })
}

// takeDownAhead splits the change of a service: it is removed before taker has its turn,
// and made anew when its own comes. A network cannot be, for the sake of those on it.
func (b *builder) takeDownAhead(holder, taker *draft, what claim) {
	want, ok := b.want.Find(holder.ref()).(*spec.Service)
	if !ok {
		taker.stuck = fmt.Sprintf("it needs %s, which %s gives up only after it: remove that by hand first", what, holder.ref())
		return
	}
	if taker.stuckOn(actsOn(holder.change), what) {
		return
	}
	holder.ahead = &draft{change: Remove{Have: actsOn(holder.change)}, tier: taker.tier, verdict: holder.verdict}
	holder.ahead.makeWay(taker, what)
	holder.change = Create{want}
	holder.because = append(holder.because, Cause{taker.ref(), fmt.Sprintf("is made anew after it gave up %s to %s", what, taker.ref())})
	holder.waitFor(holder.ahead)
	b.ahead = append(b.ahead, holder.ahead)
}
