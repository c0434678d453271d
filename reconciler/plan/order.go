package plan

import (
	"cmp"
	"slices"

	"github.com/flumendata/flumen-agent/spec"
)

// stages puts the drafts in order and gives them their numbers: first what can be
// made ahead, then tier by tier, last what is removed.
func (b *builder) stages() []Stage {
	groups := map[string][]*draft{}
	for _, d := range b.all() {
		stage := stageOf(d)
		groups[stage] = append(groups[stage], d)
	}
	names := []string{StageImages, StagePrepare}
	for _, tier := range b.want.Tiers {
		names = append(names, tier.Name)
	}
	names = append(names, StageRemove)
	var stages []Stage
	next := 1
	for _, name := range names {
		if drafts := groups[name]; len(drafts) > 0 {
			stages = append(stages, b.stage(name, drafts, &next))
		}
	}
	return stages
}

// stageOf tells which stage a draft belongs to. New networks and volumes are made
// ahead, since making them disturbs nothing. What lives inside services has its turn in
// their tier.
func stageOf(d *draft) string {
	switch c := d.change.(type) {
	case Create:
		switch {
		case c.Ref().Kind == spec.KindImage:
			return StageImages
		case c.Ref().Kind != spec.KindService && !c.Ref().Kind.Inside() && len(d.first) == 0:
			return StagePrepare
		}
	case Remove:
		if d.tier == "" {
			return StageRemove
		}
	}
	return d.tier
}

// stage orders the drafts of one stage so that each comes after what it needs.
func (b *builder) stage(name string, drafts []*draft, next *int) Stage {
	stage := Stage{Tier: name}
	ids := map[*draft]int{}
	for _, d := range b.sorted(drafts) {
		step := Step{ID: *next, Change: d.change, Because: d.because, Fields: d.fields}
		for _, n := range b.needsOf(d) {
			if id, ok := ids[n.on]; ok {
				step.After = append(step.After, Dep{id, n.until})
			}
		}
		slices.SortFunc(step.After, func(a, b Dep) int { return cmp.Compare(a.Step, b.Step) })
		ids[d] = step.ID
		*next++
		stage.Steps = append(stage.Steps, step)
	}
	return stage
}

// need is another draft that has to come so far before one has its turn.
type need struct {
	on    *draft
	until spec.Phase
}

// needsOf lists what a draft waits for among those of its own stage.
func (b *builder) needsOf(d *draft) []need {
	var all []need
	add := func(on *draft, until spec.Phase) {
		if on == nil || on == d || stageOf(on) != stageOf(d) {
			return
		}
		i := slices.IndexFunc(all, func(n need) bool { return n.on == on })
		if i < 0 {
			all = append(all, need{on, until})
			return
		}
		all[i].until = max(all[i].until, until)
	}
	for _, first := range d.first {
		add(first, spec.Done)
	}
	if _, ok := d.change.(Remove); ok {
		for _, other := range b.guestsOf(d) {
			add(other, spec.Done)
		}
		return all
	}
	for _, dep := range b.want.Find(d.ref()).After() {
		add(b.drafts[dep.Ref], dep.Until)
	}
	return all
}

// guestsOf gives the removals that go before that of a network, an image or a user of a
// store: containers use them.
func (b *builder) guestsOf(d *draft) []*draft {
	if d.ref().Kind == spec.KindService {
		return nil
	}
	var all []*draft
	for _, other := range b.all() {
		if _, removal := other.change.(Remove); removal && other.ref().Kind == spec.KindService {
			all = append(all, other)
		}
	}
	return all
}

// kindRank is the order of kinds where nothing else decides.
var kindRank = map[spec.Kind]int{spec.KindImage: 0, spec.KindNetwork: 1, spec.KindVolume: 2, spec.KindService: 3, spec.KindBucket: 4, spec.KindAccess: 5}

// sorted is a topological order, by kind and name where there is a choice.
func (b *builder) sorted(drafts []*draft) []*draft {
	needs := map[*draft][]*draft{}
	for _, d := range drafts {
		for _, n := range b.needsOf(d) {
			if slices.Contains(drafts, n.on) {
				needs[d] = append(needs[d], n.on)
			}
		}
	}
	return topological(drafts, needs, func(a, b *draft) int { return byKind(a.ref(), b.ref()) })
}

func byKind(a, b spec.Ref) int {
	return cmp.Or(cmp.Compare(kindRank[a.Kind], kindRank[b.Kind]), a.Compare(b))
}

// topological orders items so that each comes after all that it needs, by compare where
// there is a choice. There must be no cycle: spec has none, and room is made so that
// there is none.
func topological[T comparable](items []T, needs map[T][]T, compare func(a, b T) int) []T {
	rest := slices.SortedStableFunc(slices.Values(items), compare)
	placed := map[T]bool{}
	var order []T
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(one T) bool {
			return !slices.ContainsFunc(needs[one], func(n T) bool { return !placed[n] })
		})
		if i < 0 {
			panic("plan: steps that wait for one another")
		}
		placed[rest[i]] = true
		order = append(order, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return order
}

// heldInOrder lists what is held: by tier, what no tier declares last, then by Ref.
func (b *builder) heldInOrder() []Held {
	place := func(tier string) int {
		if tier == "" {
			return len(b.want.Tiers) + 1
		}
		return b.rank(tier)
	}
	var all []Held
	for ref, h := range b.held {
		h.Works, h.Usage = !b.unready(ref), b.have.Found[ref].Usage
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, c Held) int {
		return cmp.Or(cmp.Compare(place(a.Tier), place(c.Tier)), a.Ref.Compare(c.Ref))
	})
	return all
}
