package reconciler

import (
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// waits tells whether something of a revision is only not in force yet since it has to wait
// for its window. Until then nobody can say whether the revision is any good.
func waits(held []plan.Held) bool {
	return slices.ContainsFunc(held, func(h plan.Held) bool { return h.Rule == plan.RuleWindow && h.Verb == plan.VerbReplace })
}

// enters tells whether a plan is about the files of its revision. While the revision waits
// for its window, what only has to be started again is to find those that it was made with.
func enters(p plan.Plan) bool {
	return !waits(p.Held) || slices.ContainsFunc(p.Steps(), func(s plan.Step) bool {
		switch s.Change.(type) {
		case plan.Start, plan.Restart, plan.Wait:
			return false
		}
		return s.Change.Ref().Kind != spec.KindImage
	})
}
