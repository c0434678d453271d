package plan

import (
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Rule is a guard over the finished plan: a step it gives a reason for is held,
// and with it whatever needs what that step would have made.
type Rule struct {
	Name  string
	Holds func(Step) (reason string) // "" lets the step pass
}

// Obstacle is something outside the plan that would make a step fail: a host port
// that another process holds, a disk that is too full.
type Obstacle struct {
	Ref    spec.Ref
	Rule   string // a word for it: "port", "disk", "major-version"
	Reason string // what is in the way and what to do about it
}

// Around makes a rule of each obstacle: it holds the steps that make or replace
// the thing the obstacle is about, or would remove the data in it.
func Around(obstacles []Obstacle) []Rule {
	var rules []Rule
	for _, o := range obstacles {
		rules = append(rules, Rule{o.Rule, func(s Step) string {
			if s.Change.Ref() != o.Ref {
				return ""
			}
			switch s.Change.(type) {
			case Create, Replace, Start, Update, Restart:
				return o.Reason
			case Remove:
				if o.Ref.Kind == spec.KindBucket { // all else goes whatever is in the way of what follows
					return o.Reason
				}
			}
			return ""
		}})
	}
	return rules
}

// Beyond holds what belongs to tiers above one, so that nothing of them is taken down
// to make room when they do not have their turn.
func Beyond(want spec.Desired, tier string) Rule {
	last := slices.IndexFunc(want.Tiers, func(t spec.Tier) bool { return t.Name == tier })
	return Rule{"upto", func(s Step) string {
		above := want.TierOf(s.Change.Ref())
		if slices.IndexFunc(want.Tiers, func(t spec.Tier) bool { return t.Name == above }) <= last {
			return ""
		}
		return "tier " + above + " comes after " + tier
	}}
}

// KeepMovedTags holds the replacing of containers only because the tag of their
// image names another image by now, but for images that were just made.
func KeepMovedTags(made ...spec.Ref) Rule {
	return Rule{RuleMovedTag, func(s Step) string {
		replace, ok := s.Change.(Replace)
		if !ok || len(s.Fields) != 1 || len(s.Because) != 1 || !moved(s.Fields[0]) {
			return ""
		}
		image := s.Fields[0].Want.String()
		if slices.Contains(made, spec.Ref{Kind: spec.KindImage, Name: image}) {
			return ""
		}
		return "the tag " + image + " names another image now; " + replace.Ref().Name + " follows at the next revision, or with: flumen-agent apply"
	}}
}

// moved tells whether a difference is only that the wanted reference names another
// image than it did when the container was made.
func moved(f drift.Field) bool {
	return f.Name == "image" && strings.HasPrefix(f.Have.String(), f.Want.String()+" (")
}
