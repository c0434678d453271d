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
	for _, step := range p.Steps() {
		if rule, reason := t.inTheWay(ctx, p.Project, step.Change); reason != "" {
			all = append(all, plan.Obstacle{Ref: step.Change.Ref(), Rule: rule, Reason: reason})
		}
	}
	return all
}

// inTheWay gives a reason against a change of a bucket, and the word for its rule; "" for none.
func (t *Target) inTheWay(ctx context.Context, project string, c plan.Change) (rule, reason string) {
	if c.Ref().Kind != spec.KindBucket {
		return "", ""
	}
	var err error
	switch c := c.(type) {
	case plan.Create:
		err = t.consider(ctx, project, c.Want.(*spec.Bucket))
	case plan.Update:
		err = t.consider(ctx, project, c.Want.(*spec.Bucket))
	case plan.Remove:
		return plan.RuleData, t.keeps(ctx, project, c)
	}
	var no refusal
	errors.As(err, &no)
	return no.rule, no.says
}
