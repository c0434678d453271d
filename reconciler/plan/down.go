package plan

import (
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Down plans the removal of all containers and networks of the project, or of
// those of tier `from` and above, highest tier first. What no tier declares goes
// with the whole project. Volumes and images stay.
func Down(want spec.Desired, have drift.Observed, from string) Plan {
	p := Plan{Project: want.Project, Revision: want.Revision}
	next := 1
	add := func(tier string, refs []spec.Ref) {
		if stage := removal(want, tier, refs, have, &next); len(stage.Steps) > 0 {
			p.Stages = append(p.Stages, stage)
		}
	}
	declared := map[spec.Ref]bool{}
	for _, tier := range want.Tiers {
		for _, r := range tier.Resources {
			declared[r.Ref()] = true
		}
	}
	if from == "" {
		add(StageRemove, slices.DeleteFunc(have.Refs(), func(ref spec.Ref) bool { return declared[ref] || ref.Kind == spec.KindNetwork }))
	}
	var networks []spec.Ref
	for _, tier := range slices.Backward(want.Tiers) {
		var services []spec.Ref
		for _, r := range slices.Backward(tier.Resources) {
			if r.Ref().Kind == spec.KindNetwork {
				networks = append(networks, r.Ref())
			} else {
				services = append(services, r.Ref())
			}
		}
		add(tier.Name, services)
		if tier.Name == from {
			break
		}
	}
	if from == "" {
		networks = slices.DeleteFunc(have.Refs(), func(ref spec.Ref) bool { return ref.Kind != spec.KindNetwork })
	}
	add(StageRemove, networks)
	p.Fingerprint = fingerprint(p)
	return p
}

// removal is a stage that removes those of the refs that are there, ours, and hold
// no data: what depends on something goes before it.
func removal(want spec.Desired, tier string, refs []spec.Ref, have drift.Observed, next *int) Stage {
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref spec.Ref) bool {
		found, ok := have.Found[ref]
		return !ok || !found.Owned || (ref.Kind != spec.KindService && ref.Kind != spec.KindNetwork)
	})
	dependents := map[spec.Ref][]spec.Ref{}
	for _, ref := range refs {
		if r := want.Find(ref); r != nil {
			for _, dep := range r.After() {
				dependents[dep.Ref] = append(dependents[dep.Ref], ref)
			}
		}
	}
	stage := Stage{Tier: tier}
	ids := map[spec.Ref]int{}
	for _, ref := range topological(refs, dependents, byKind) {
		step := Step{ID: *next, Change: Remove{have.Found[ref]}, Because: []Cause{{ref, "the project is taken down"}}}
		for _, d := range dependents[ref] {
			step.After = append(step.After, Dep{ids[d], spec.Done})
		}
		ids[ref] = step.ID
		stage.Steps = append(stage.Steps, step)
		*next++
	}
	return stage
}
