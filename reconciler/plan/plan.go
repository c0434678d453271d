package plan

import (
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Stages besides those of the tiers, which are called after them.
const (
	StageImages  = "images"  // of all tiers, before anything is touched
	StagePrepare = "prepare" // networks and volumes of all tiers, which disturbs nothing
	StageRemove  = "remove"  // what no tier declares any more, last
)

// Cause is one reason for a step, in words a person can use. A step of its own
// making has the Difference; one that follows from another step names it by Ref.
type Cause struct {
	Ref    spec.Ref `json:"ref"`
	Reason string   `json:"reason"`
}

// Dep is what a step waits for: another step of the same stage to reach a phase.
type Dep struct {
	Step  int        `json:"step"`
	Until spec.Phase `json:"-"`
}

// Step is one change and everything that is to be known about it.
type Step struct {
	ID      int // from 1, over the whole plan
	Change  Change
	After   []Dep
	Because []Cause
	Fields  []drift.Field // what differs
}

// Usage is how much that holds which the step is about; nil: nobody tells.
func (s Step) Usage() *drift.Usage { return actsOn(s.Change).Usage }

// Stage is a group of steps. A stage begins when the one before it has no
// failure and its tier is ready.
type Stage struct {
	Tier  string // a tier's name, StagePrepare or StageRemove
	Steps []Step
}

// Held is a difference nothing is done about, and the rule that says so.
type Held struct {
	Ref     spec.Ref      `json:"ref"`
	Tier    string        `json:"tier,omitempty"`
	Rule    string        `json:"rule"`
	Reason  string        `json:"reason"`
	Verb    Verb          `json:"verb,omitempty"` // what would have been done
	Fields  []drift.Field `json:"fields,omitempty"`
	Verdict drift.Verdict `json:"verdict"`
	// Works: it is there and does its work as it is, so nothing has to wait for it.
	Works bool `json:"works"`
	// Usage is how much it holds; nil: nobody tells.
	Usage *drift.Usage `json:"usage,omitempty"`
}

// Plan is what to do to bring reality to one revision.
type Plan struct {
	Project     string
	Revision    spec.Revision
	Fingerprint string // of the stages and what is held, whatever it holds: equal plans have equal ones
	Stages      []Stage
	Held        []Held
}

// Empty tells whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Stages) == 0 }

// Settled tells whether there is nothing to do, and what is held works as it is.
func (p Plan) Settled() bool {
	return p.Empty() && !slices.ContainsFunc(p.Held, func(h Held) bool { return !h.Works })
}

// Images is the part of the plan that fetches and builds images, if there is one.
func (p Plan) Images() (Plan, bool) {
	part := p
	part.Stages = nil
	for _, stage := range p.Stages {
		steps := slices.DeleteFunc(slices.Clone(stage.Steps), func(s Step) bool { return s.Change.Ref().Kind != spec.KindImage })
		if len(steps) > 0 && stage.Tier == StageImages {
			part.Stages = append(part.Stages, Stage{stage.Tier, steps})
		}
	}
	return part, !part.Empty()
}

// Upto is the part of the plan for the tiers up to and with this one: the turns of higher
// ones, and what no tier declares, are left for another time. The plan is one that was
// built with the rule Beyond.
func (p Plan) Upto(want spec.Desired, tier string) Plan {
	within := map[string]bool{}
	for _, t := range want.Tiers {
		within[t.Name] = true
		if t.Name == tier {
			break
		}
	}
	part := p
	part.Stages, part.Held = nil, nil
	for _, stage := range p.Stages {
		ahead := stage.Tier == StageImages || stage.Tier == StagePrepare
		steps := slices.DeleteFunc(slices.Clone(stage.Steps), func(s Step) bool {
			return ahead && !within[want.TierOf(s.Change.Ref())]
		})
		if len(steps) > 0 && (ahead || within[stage.Tier]) {
			part.Stages = append(part.Stages, Stage{stage.Tier, steps})
		}
	}
	for _, h := range p.Held {
		if within[h.Tier] || h.Rule == RuleLeft { // which is said and not done
			part.Held = append(part.Held, h)
		}
	}
	part.Fingerprint = fingerprint(part)
	return part
}

// Steps are those of all stages, in order.
func (p Plan) Steps() []Step {
	var all []Step
	for _, s := range p.Stages {
		all = append(all, s.Steps...)
	}
	return all
}
