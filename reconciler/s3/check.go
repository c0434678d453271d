package s3

import (
	"context"
	"errors"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Check looks, before the first act, for what a store cannot do or must not be told to. What
// cannot be looked at is no obstacle: the act itself will tell.
func (t *Target) Check(ctx context.Context, p plan.Plan) []plan.Obstacle {
	var all []plan.Obstacle
	silent := map[string]bool{} // stores that are not asked again
	for _, step := range p.Steps() {
		if step.Change.Ref().Kind != spec.KindBucket || silent[t.System(step.Change)] {
			continue
		}
		err := t.inTheWay(ctx, p.Project, step.Change)
		var no refusal
		if errors.As(err, &no) {
			all = append(all, plan.Obstacle{Ref: step.Change.Ref(), Rule: no.rule, Reason: no.says})
		}
		silent[t.System(step.Change)] = late(err)
	}
	return all
}

// inTheWay gives the refusal of a change of a bucket, if there is one, or why its store could
// not be asked.
func (t *Target) inTheWay(ctx context.Context, project string, c plan.Change) error {
	switch c := c.(type) {
	case plan.Create:
		return t.consider(ctx, project, c.Want.(*spec.Bucket))
	case plan.Update:
		return t.consider(ctx, project, c.Want.(*spec.Bucket))
	case plan.Remove:
		if reason := t.keeps(ctx, project, c); reason != "" {
			return refusal{plan.RuleData, reason}
		}
	}
	return nil
}
