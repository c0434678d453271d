package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Names of the rules that Build itself applies.
const (
	RuleCritical = "critical" // what loses or shows data is for a person to end, where nobody declares anything about it
	RuleData     = "data"     // volumes are never replaced or removed, and buckets removed only by consent
	RuleForeign  = "foreign"  // what is not ours is not touched
	RuleLeft     = "left"     // nothing can be done about what is in a store that left the spec
	RuleUnseen   = "unseen"   // nothing is done about what could not be looked at
	RuleRemoving = "removing" // what is being removed is gone at the next look
	RuleExternal = "external" // an external thing is for others to make
	RulePull     = "pull"     // pull_policy forbids fetching the image
	RuleNeeds    = "needs"    // something it needs is held
	RuleTier     = "tier"     // a lower tier cannot become ready
	RuleBackoff  = "backoff"  // it failed before, and its time to be tried again has not come

	RuleMovedTag   = "moved-tag"  // the tag of its image names another one, which is followed at the next revision
	RuleQuarantine = "quarantine" // the revision failed, and there is none to go back to
	RuleWindow     = "window"     // it interrupts, and the spec's windows do not allow that now
	RuleTeardown   = "teardown"   // a tier or most of the services would go, and nobody has consented
	RuleRollback   = "rollback"   // it does not go back to an earlier revision: its data may have been changed
)

// Build plans what brings reality, seen as have and differing by d, to want. Each
// rule may hold steps back. Equal arguments give equal plans.
//
// It works in passes over a draft of one change per Ref: a change for each
// difference, the consequences of those changes for what depends on them, room for
// what needs a place that something else holds, and what has to be held. Whenever
// something is held it starts again without it, so that nothing is planned on account
// of what will not be done. Last comes the order.
func Build(want spec.Desired, have drift.Observed, d drift.Drift, rules ...Rule) Plan {
	held, guarded := map[spec.Ref]Held{}, map[spec.Ref]bool{}
	b := newBuilder(want, have, d, held, guarded)
	for b.holdMore(rules) {
		b = newBuilder(want, have, d, held, guarded)
	}
	p := Plan{Project: want.Project, Revision: want.Revision, Stages: b.stages(), Held: b.heldInOrder()}
	p.Fingerprint = fingerprint(p)
	return p
}

// draft is a step in the making.
type draft struct {
	change  Change
	tier    string
	because []Cause
	fields  []drift.Field
	verdict drift.Verdict
	first   []*draft // must be done before this one, whatever the spec says
	ahead   *draft   // takes down what is there, in an earlier turn than this one
	heir    *draft   // has taken over what this one was to remove
	stuck   string   // why it cannot be done, or ""
}

func (d *draft) ref() spec.Ref { return d.change.Ref() }

type builder struct {
	want   spec.Desired
	have   drift.Observed
	drafts map[spec.Ref]*draft
	ahead  []*draft // beside those in drafts
	held   map[spec.Ref]Held
	// guarded is what a rule holds that was given to Build, and that may be started as
	// it is.
	guarded map[spec.Ref]bool
}

// newBuilder drafts all changes but for what is held already.
func newBuilder(want spec.Desired, have drift.Observed, d drift.Drift, held map[spec.Ref]Held, guarded map[spec.Ref]bool) *builder {
	b := &builder{want: want, have: have, drafts: map[spec.Ref]*draft{}, held: held, guarded: guarded}
	for _, difference := range d {
		if _, ok := held[difference.Ref]; ok {
			b.keepUp(difference)
		} else {
			b.answer(difference)
		}
	}
	b.addConsequences()
	b.makeRoom()
	b.addConsequences() // making room may have turned an update into a new container
	b.awaitServices(d)
	return b
}

// refs gives the drafts' Refs in order: passes must not depend on how maps are walked.
func (b *builder) refs() []spec.Ref {
	return slices.SortedFunc(maps.Keys(b.drafts), spec.Ref.Compare)
}

// all gives every draft, in order.
func (b *builder) all() []*draft {
	var all []*draft
	for _, ref := range b.refs() {
		all = append(all, b.drafts[ref])
	}
	return append(all, b.ahead...)
}

// answer drafts the change that removes one difference, or holds it.
func (b *builder) answer(d drift.Difference) {
	if later(d) {
		return
	}
	change, rule, reason := b.answerTo(d)
	if rule != "" {
		b.held[d.Ref] = Held{Ref: d.Ref, Tier: d.Tier, Rule: rule, Reason: reason, Fields: d.Fields, Verdict: d.Verdict}
		return
	}
	b.drafts[d.Ref] = &draft{
		change: change, tier: d.Tier, fields: d.Fields, verdict: d.Verdict,
		because: []Cause{{d.Ref, cmp.Or(reason, because(d))}},
	}
}

// keepUp drafts the start of a service whose change a guard holds: it is better as it was
// than not at all. That it is meant to run its restart policy tells; without one it may
// have been a job, or never have worked, and is started only where it would be down for as
// long as a window is closed.
func (b *builder) keepUp(d drift.Difference) {
	service, ok := d.Want.(*spec.Service)
	if !ok || service.Job || d.Verdict != drift.Changed || !d.Have.State.Stopped() || !b.guarded[d.Ref] {
		return
	}
	policy := d.Have.Fields["restart"]
	forLong := b.held[d.Ref].Rule == RuleWindow && d.Have.State != drift.Done
	if (policy.IsZero() || policy.String() == "no") && !forLong {
		return
	}
	b.drafts[d.Ref] = &draft{
		change: Start{d.Want, *d.Have}, tier: d.Tier, verdict: drift.Down,
		because: []Cause{{d.Ref, "does not run, and what it is to become is held"}},
	}
}

// answerTo gives either a change or the rule that forbids one.
func (b *builder) answerTo(d drift.Difference) (c Change, rule, reason string) {
	switch {
	case d.Verdict == drift.Extra && d.Have.Left != "":
		return nil, RuleLeft, d.Have.Left
	case d.Verdict == drift.Extra && d.Ref.Kind == spec.KindBucket:
		return b.answerLeft(d)
	}
	return answer(d)
}

// answer is answerTo for what no person has a say in.
func answer(d drift.Difference) (c Change, rule, reason string) {
	if d.Have != nil && d.Have.Owned && d.Have.State == drift.Removing {
		return nil, RuleRemoving, "is being removed; it is looked at again when that is done"
	}
	switch d.Verdict {
	case drift.Missing, drift.Stale, drift.Pending:
		return answerMissing(d)
	case drift.Changed:
		return answerChanged(d)
	case drift.Down:
		return Start{d.Want, *d.Have}, "", ""
	case drift.Unready:
		service, ok := d.Want.(*spec.Service)
		if ok && service.RestartUnhealthy && d.Have.State == drift.Unhealthy {
			return Restart{d.Want, *d.Have}, "", ""
		}
		return Wait{d.Want, *d.Have}, "", ""
	case drift.Extra:
		switch d.Ref.Kind {
		case spec.KindAccess:
			if d.Have.Adopted {
				return nil, RuleForeign, "no tier declares it, and it was there before the agent, which never removes it; when nobody uses it, remove it with a client of the store; or only its policy flumen-adopted.PROJECT.USER, and it is not spoken of any more"
			}
		case spec.KindVolume:
			return nil, RuleData, "no tier declares it, and volumes are never removed by the agent; when its data is no longer needed: docker volume rm " + name(*d.Have)
		}
		return Remove{Have: *d.Have}, "", ""
	case drift.Foreign:
		return nil, RuleForeign, foreign(d)
	case drift.Critical:
		return nil, RuleCritical, d.Critical + "; end that by hand, or declare what should be instead"
	case drift.Unseen:
		return nil, RuleUnseen, "could not be looked at: " + d.Reason
	default:
		panic("plan: no answer to verdict " + string(d.Verdict))
	}
}

// foreign says what has the place of a thing, as far as that is known.
func foreign(d drift.Difference) string {
	what := fmt.Sprintf("a %s of this name exists", engineWord(d.Ref.Kind))
	if d.Reason != "" {
		what = d.Reason
	}
	if d.Ref.Kind.Inside() {
		return what + "; it is left alone: choose another name, or another store"
	}
	return what + " and does not belong to the project; it is left alone: rename or remove it, or choose another name"
}

func answerMissing(d drift.Difference) (Change, string, string) {
	switch want := d.Want.(type) {
	case *spec.Network:
		if want.External {
			return nil, RuleExternal, "declared external and not there; make it with: docker network create " + want.Name
		}
	case *spec.Volume:
		if want.External {
			return nil, RuleExternal, "declared external and not there; make it with: docker volume create " + want.Name
		}
	case *spec.Image:
		if want.Pull == spec.PullNever && want.Build == nil {
			return nil, RulePull, "not on the engine, and pull_policy is never; load it with: docker pull " + want.Name
		}
	}
	return Create{d.Want}, "", ""
}

func answerChanged(d drift.Difference) (Change, string, string) {
	switch d.Want.(type) {
	case *spec.Image:
		return Create{d.Want}, "", ""
	case *spec.Volume:
		return nil, RuleData, "a volume cannot be changed without making it anew, which would lose its data; change the spec back, or move the data to a volume of another name"
	case *spec.Bucket, *spec.Access:
		return Update{d.Want, *d.Have, d.Fields}, "", ""
	case *spec.Service:
		if updatable(d.Fields) {
			return Update{d.Want, *d.Have, d.Fields}, "", ""
		}
	}
	return Replace{d.Want, *d.Have}, "", ""
}

// because says in words why a difference needs a step.
func because(d drift.Difference) string {
	switch d.Verdict {
	case drift.Missing:
		return "is not there"
	case drift.Changed:
		return "differs in " + fieldList(d.Fields)
	}
	return d.Reason
}

func fieldList(fields []drift.Field) string {
	const most = 3
	s := ""
	for i, f := range fields {
		switch {
		case i == most:
			return fmt.Sprintf("%s and %d more", s, len(fields)-most)
		case i > 0:
			s += ", "
		}
		s += f.Name
	}
	return s
}

func engineWord(k spec.Kind) string {
	if k == spec.KindService {
		return "container"
	}
	return string(k)
}

// name is what the engine calls a thing, as far as its fields tell.
func name(f drift.Found) string {
	if f.ID != "" && f.Ref.Kind == spec.KindVolume {
		return f.ID
	}
	if n, ok := f.Fields["name"]; ok {
		return n.String()
	}
	return f.Ref.Name
}
