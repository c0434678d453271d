package compose

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"
)

// DefaultTimeout is how long a tier may take to become ready: the slowest
// service of a lakehouse needs two minutes on a small machine.
const DefaultTimeout = 10 * time.Minute

// defaultTier is the name of the only tier of a plain Compose file.
const defaultTier = "default"

// reservedTiers are stages of a plan that belong to no tier.
var reservedTiers = []string{"images", "prepare", "remove"}

func (l *load) readTiers(n *yaml.Node) {
	tiers, ok := get(n, "tiers")
	if !ok {
		l.tiers = []tier{{Name: defaultTier}}
		return
	}
	l.tiers = l.root.Tiers
	list := follow(tiers.value)
	if len(list.Content) == 0 {
		l.fault(l.main.at(tiers.key), "", "there are no tiers")
		l.broken = true
	}
	for _, key := range []string{"services", "include"} {
		if m, ok := get(n, key); ok {
			l.fault(l.main.at(m.key), "move it into a tier", "%s cannot stand beside tiers", key)
		}
	}
	for i, one := range list.Content {
		if i < len(l.tiers) && follow(one).Kind == yaml.MappingNode {
			l.checkTier(i)
		}
	}
}

func (l *load) checkTier(i int) {
	t := l.tiers[i]
	at := l.tierPlace(i, "name")
	taken := slices.IndexFunc(l.tiers[:i], func(o tier) bool { return o.Name == t.Name })
	switch {
	case t.Name == "":
		l.fault(at, "give it one: name: foundation", "tier %d has no name", i+1)
	case taken >= 0:
		l.fault(at, "", "tier %q is already declared at %s", t.Name, l.tierPlace(taken, "name"))
	case slices.Contains(reservedTiers, t.Name):
		l.fault(at, "choose another one", "a tier cannot be called %q: that is a stage of every plan", t.Name)
	}
	if emptyNode(&t.Services) && emptyNode(&t.Include) {
		l.fault(at, "give it services or an include, or remove it", "tier %q is empty", t.Name)
	}
}

func emptyNode(n *yaml.Node) bool {
	n = follow(n)
	return n.Kind == 0 || n.Tag == "!!null" || n.Kind != yaml.ScalarNode && len(n.Content) == 0
}

// tierPlace is where a key of a tier stands, or the tier.
func (l *load) tierPlace(i int, key string) place {
	stands, _ := find(l.main.roots[0], "tiers", fmt.Sprint(i), key)
	return l.main.at(stands)
}

// timeout of a tier.
func (l *load) timeout(i int) time.Duration {
	text := l.tiers[i].Timeout
	if text == "" {
		return DefaultTimeout
	}
	at := l.tierPlace(i, "timeout")
	d, err := time.ParseDuration(l.substitute(text, l.env, at))
	if err != nil || d <= 0 {
		l.fault(at, "write it as in 5m or 90s", "%q is not a time", text)
	}
	return d
}
