package plan

import (
	"cmp"
	"slices"

	"github.com/flumendata/flumen-agent/spec"
)

// stages puts the drafts in order and gives them their numbers: first what can be
// made ahead, then tier by tier, last what is removed.
func (b *builder) stages() []Stage {
	groups := map[string][]spec.Ref{}
	for _, ref := range b.refs() {
		stage := stageOf(b.drafts[ref])
		groups[stage] = append(groups[stage], ref)
	}
	names := []string{StagePrepare}
	for _, tier := range b.want.Tiers {
		names = append(names, tier.Name)
	}
	names = append(names, StageRemove)
	var stages []Stage
	next := 1
	for _, name := range names {
		if refs := groups[name]; len(refs) > 0 {
			stages = append(stages, b.stage(name, refs, &next))
		}
	}
	return stages
}

// stageOf tells which stage a draft belongs to. New networks and volumes are made
// ahead, since making them disturbs nothing.
func stageOf(d *draft) string {
	switch c := d.change.(type) {
	case Create:
		if c.Ref().Kind != spec.KindService {
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
func (b *builder) stage(name string, refs []spec.Ref, next *int) Stage {
	needs := map[spec.Ref][]need{}
	for _, ref := range refs {
		needs[ref] = b.needsOf(ref, refs)
	}
	stage := Stage{Tier: name}
	ids := map[spec.Ref]int{}
	for _, ref := range sorted(refs, needs) {
		d := b.drafts[ref]
		step := Step{ID: *next, Change: d.change, Because: d.because, Fields: d.fields}
		for _, n := range needs[ref] {
			if id, ok := ids[n.ref]; ok { // absent only where two wait for one another
				step.After = append(step.After, Dep{id, n.until})
			}
		}
		slices.SortFunc(step.After, func(a, b Dep) int { return cmp.Compare(a.Step, b.Step) })
		ids[ref] = step.ID
		*next++
		stage.Steps = append(stage.Steps, step)
	}
	return stage
}

type need struct {
	ref   spec.Ref
	until spec.Phase
}

// needsOf lists what a draft waits for among those of its own stage.
func (b *builder) needsOf(ref spec.Ref, stage []spec.Ref) []need {
	d := b.drafts[ref]
	var all []need
	add := func(on spec.Ref, until spec.Phase) {
		if on == ref || !slices.Contains(stage, on) {
			return
		}
		i := slices.IndexFunc(all, func(n need) bool { return n.ref == on })
		if i < 0 {
			all = append(all, need{on, until})
			return
		}
		all[i].until = max(all[i].until, until)
	}
	for _, first := range d.first {
		add(first, spec.Ready)
	}
	if r, ok := d.change.(Remove); ok {
		for _, other := range stage {
			o, removal := b.drafts[other].change.(Remove)
			if removal && r.Have.Ref.Kind == spec.KindNetwork && o.Have.Ref.Kind == spec.KindService {
				add(other, spec.Done)
			}
		}
		return all
	}
	for _, dep := range b.want.Find(ref).After() {
		add(dep.Ref, dep.Until)
	}
	return all
}

// kindRank is the order of kinds where nothing else decides.
var kindRank = map[spec.Kind]int{spec.KindImage: 0, spec.KindNetwork: 1, spec.KindVolume: 2, spec.KindService: 3}

// sorted is a topological order, by kind and name where there is a choice. Refs
// that wait for one another (two services that swap their ports) come last, in
// plain order: which of them is to give way first, nobody can say.
func sorted(refs []spec.Ref, needs map[spec.Ref][]need) []spec.Ref {
	rest := slices.SortedFunc(slices.Values(refs), func(a, b spec.Ref) int {
		return cmp.Or(cmp.Compare(kindRank[a.Kind], kindRank[b.Kind]), a.Compare(b))
	})
	placed := map[spec.Ref]bool{}
	var order []spec.Ref
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(ref spec.Ref) bool {
			return !slices.ContainsFunc(needs[ref], func(n need) bool { return !placed[n.ref] })
		})
		i = max(i, 0)
		placed[rest[i]] = true
		order = append(order, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return order
}

// heldInOrder lists what is held: by tier, then by Ref.
func (b *builder) heldInOrder() []Held {
	rank := map[string]int{}
	for i, tier := range b.want.Tiers {
		rank[tier.Name] = i + 1
	}
	var all []Held
	for ref, h := range b.held {
		h.Works = !b.unready(ref)
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, c Held) int {
		return cmp.Or(cmp.Compare(rank[a.Tier], rank[c.Tier]), a.Ref.Compare(c.Ref))
	})
	return all
}
