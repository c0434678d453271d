package plan

import (
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Down plans the removal of all containers and networks of the project, or of
// those of tier `from` and above, highest tier first. What no tier declares goes
// with the whole project. Volumes and images stay, and so does what is inactive and
// the networks it is on.
func Down(want spec.Desired, have drift.Observed, from string) Plan {
	p := Plan{Project: want.Project, Revision: want.Revision}
	next := 1
	add := func(tier string, refs []spec.Ref) {
		if stage := removal(want, tier, refs, have, &next); len(stage.Steps) > 0 {
			p.Stages = append(p.Stages, stage)
		}
	}
	var last []spec.Ref // networks, and what no tier declares
	for _, tier := range slices.Backward(want.Tiers) {
		var services []spec.Ref
		for _, r := range tier.Resources {
			if r.Ref().Kind == spec.KindNetwork {
				last = append(last, r.Ref())
			} else {
				services = append(services, r.Ref())
			}
		}
		add(tier.Name, services)
		if tier.Name == from {
			break
		}
	}
	for _, ref := range have.Refs() {
		if from == "" && want.Find(ref) == nil && !want.LeavesAlone(ref) {
			last = append(last, ref)
		}
	}
	add(StageRemove, last)
	p.Fingerprint = fingerprint(p)
	return p
}

// removal is a stage that removes those of the refs that are there, ours, and hold
// no data: what depends on something, or is on a network, goes before it.
func removal(want spec.Desired, tier string, refs []spec.Ref, have drift.Observed, next *int) Stage {
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref spec.Ref) bool {
		found, ok := have.Found[ref]
		return !ok || !found.Owned || (ref.Kind != spec.KindService && ref.Kind != spec.KindNetwork) || inactiveOn(want, ref, have)
	})
	before := map[spec.Ref][]spec.Ref{}
	for _, ref := range refs {
		before[ref] = slices.DeleteFunc(slices.Clone(refs), func(other spec.Ref) bool { return !goesBefore(want, other, ref) })
	}
	stage := Stage{Tier: tier}
	ids := map[spec.Ref]int{}
	for _, ref := range topological(refs, before, byKind) {
		step := Step{ID: *next, Change: Remove{Have: have.Found[ref]}, Because: []Cause{{ref, "the project is taken down"}}}
		for _, other := range before[ref] {
			step.After = append(step.After, Dep{ids[other], spec.Done})
		}
		ids[ref] = step.ID
		stage.Steps = append(stage.Steps, step)
		*next++
	}
	return stage
}

// goesBefore tells whether other has to be removed before ref: it depends on it, or it
// may be on it.
func goesBefore(want spec.Desired, other, ref spec.Ref) bool {
	r := want.Find(other)
	if r == nil {
		return other.Kind == spec.KindService && ref.Kind == spec.KindNetwork
	}
	return slices.ContainsFunc(r.After(), func(dep spec.Dep) bool { return dep.Ref == ref })
}

// inactiveOn tells whether something that is left alone is on a network.
func inactiveOn(want spec.Desired, ref spec.Ref, have drift.Observed) bool {
	if ref.Kind != spec.KindNetwork {
		return false
	}
	name := ref.Name
	if n, ok := want.Find(ref).(*spec.Network); ok {
		name = n.Name
	}
	for other, found := range have.Found {
		if _, on := found.Fields["network."+name]; on && want.LeavesAlone(other) {
			return true
		}
	}
	return false
}
