package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// manyServices is how many services have to go at once, and more than half of all, for it to
// look like a mistake: of two or three, one is often taken away on purpose.
const manyServices = 3

// KeepFromTeardown holds the removal of services when a whole tier or most of the services
// would go: one bad commit must not tear a platform down. They go together, once consent
// names each of them or its tier. last gives the tiers in which services were last in force,
// by service; of others the containers tell, which keep the tier that they were made for.
func KeepFromTeardown(want spec.Desired, have drift.Observed, last map[string]string, now time.Time) Rule {
	t := teardown{want: want, have: have, last: last, now: now, tiers: map[string]*loss{}}
	t.count()
	return Rule{RuleTeardown, t.holds}
}

// teardown is what a spec would take away of what is there.
type teardown struct {
	want spec.Desired
	have drift.Observed
	last map[string]string
	now  time.Time

	all   loss
	tiers map[string]*loss // by the tier that services were in
}

// loss is how much of some services goes, and how much of that nobody has consented to.
type loss struct{ all, gone, unnamed int }

func (l *loss) add(gone, named bool) {
	l.all++
	if gone {
		l.gone++
	}
	if gone && !named {
		l.unnamed++
	}
}

func (t *teardown) count() {
	seen := map[string]bool{}
	for ref, found := range t.have.Found {
		service := serviceOf(ref)
		if ref.Kind != spec.KindService || !found.Owned || seen[service] {
			continue
		}
		seen[service] = true
		tier := t.tier(found)
		gone, named := t.goes(ref), t.named(ref, tier)
		t.all.add(gone, named)
		if t.tiers[tier] == nil {
			t.tiers[tier] = &loss{}
		}
		t.tiers[tier].add(gone, named)
	}
	delete(t.tiers, "") // not known
	// A tier that is left without any service is as good as gone.
	for _, tier := range t.want.Tiers {
		if slices.ContainsFunc(tier.Resources, func(r spec.Resource) bool { return r.Ref().Kind == spec.KindService }) {
			delete(t.tiers, tier.Name)
		}
	}
}

// tier is the one that a container's service was in, or "" if that is not known.
func (t *teardown) tier(found drift.Found) string {
	if tier, ok := t.last[serviceOf(found.Ref)]; ok {
		return tier
	}
	return found.Tier
}

// serviceOf is the service that a container belongs to. What a replacement left behind has
// the name of its service and more.
func serviceOf(ref spec.Ref) string {
	return strings.TrimSuffix(strings.TrimSuffix(ref.Service(), ".next"), ".prev")
}

// goes tells whether nothing of a thing's service is wanted any more.
func (t *teardown) goes(ref spec.Ref) bool {
	return !slices.ContainsFunc(spec.Resources[*spec.Service](t.want), func(s *spec.Service) bool {
		return s.Name == serviceOf(ref) || s.Name == ref.Service()
	})
}

// named tells whether a person has said that a service, or its tier, may go.
func (t *teardown) named(ref spec.Ref, tier string) bool {
	return slices.ContainsFunc(t.want.Consents, func(c spec.Consent) bool {
		names := c.Remove == spec.Ref{Kind: spec.KindService, Name: serviceOf(ref)} ||
			tier != "" && c.Remove == spec.Ref{Kind: spec.KindTier, Name: tier}
		return names && t.now.Before(c.Until)
	})
}

func (t *teardown) holds(s Step) string {
	remove, ok := s.Change.(Remove)
	if !ok || remove.Ref().Kind != spec.KindService || !t.goes(remove.Ref()) {
		return ""
	}
	name := t.tier(remove.Have)
	tier := t.tiers[name]
	switch {
	case tier != nil && tier.gone == tier.all && tier.unnamed > 0:
		return fmt.Sprintf("all of tier %s would go; %s", name, t.next(remove, spec.Ref{Kind: spec.KindTier, Name: name}))
	case t.all.gone >= manyServices && 2*t.all.gone > t.all.all && t.all.unnamed > 0:
		return fmt.Sprintf("%d of %d services would go; %s", t.all.gone, t.all.all, t.next(remove, spec.Ref{Kind: spec.KindService, Name: serviceOf(remove.Ref())}))
	}
	return ""
}

// next says what a person may do.
func (t *teardown) next(remove Remove, consent spec.Ref) string {
	if t.named(remove.Ref(), t.tier(remove.Have)) {
		return "it goes when consent names the others too"
	}
	return fmt.Sprintf("if that is meant, say so in the spec: consent: [{remove: %s, until: %s}]", consent, t.now.AddDate(0, 0, 1).Format(time.DateOnly))
}
