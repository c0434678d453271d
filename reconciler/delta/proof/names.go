package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// Entry is a table as a metastore knows it.
type Entry struct {
	Name     string // "database.table"
	Location string // as it is written there
	Other    string // another place that its entry names too, or ""
	Delta    bool   // it says that it is one of Delta's; what does not say so may be one all the same
}

// Metastore is what became of asking one.
type Metastore struct {
	Tables int    `json:"tables"`          // of all formats
	Why    string `json:"error,omitempty"` // that it could not be asked: no table's name is known then
}

// ReadLocation is the folder of a table as a metastore writes it: "s3a://bucket/folder/",
// "file:/folder".
func ReadLocation(text string) Root {
	scheme, rest, absolute := splitScheme(text)
	switch {
	case !absolute:
		return Root(strings.TrimSuffix(clean(text), "/"))
	case scheme == "":
		return Root(strings.TrimSuffix(clean(rest), "/"))
	}
	return Root(scheme + "://" + strings.Trim(clean(rest), "/"))
}

// Names are those that a metastore gives to the roots that were found.
type Names struct {
	of   map[Root][]Entry
	by   map[string]Entry
	lost []Entry // tables of Delta whose location no root is
}

// NewNames finds the root of each entry. A location may be written as a path or as a URI: it
// means the root that is there.
func NewNames(entries []Entry, roots []Root) *Names {
	n := &Names{of: map[Root][]Entry{}, by: map[string]Entry{}}
	for _, e := range slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		n.by[e.Name] = e
		root := ReadLocation(e.Location)
		if decoded := ReadLocation(Decode(e.Location)); !slices.Contains(roots, root) && slices.Contains(roots, decoded) {
			root = decoded
		}
		switch {
		case slices.Contains(roots, root):
			n.of[root] = append(n.of[root], e)
		case e.Delta:
			n.lost = append(n.lost, e)
		}
	}
	return n
}

// Of is the name and the rule of a root that was found, and what is wrong with that. folder is
// the name that its folder gives it, which counts for a table that the metastore does not know.
func (n *Names) Of(root Root, folder string, r spec.Retention) (name string, rule spec.RetentionRule, wrong *Finding) {
	entries := n.of[root]
	if len(entries) == 0 {
		return n.unregistered(root, folder, r)
	}
	rule = r.RuleFor(entries[0].Name, string(root))
	for _, e := range entries {
		if e.Other != "" && ReadLocation(e.Other) != root && ReadLocation(Decode(e.Other)) != root {
			return e.Name, rule, refuseFor(FoundLocation, "the metastore says that %s is at %s, and at %s too; let whoever made the table set its location again", e.Name, e.Location, e.Other)
		}
		if !sameTerms(rule, r.RuleFor(e.Name, string(root))) {
			return entries[0].Name, rule, refuseFor(FoundTwoNames, "the metastore has it under the names %s and %s, for which different rules count; write one rule for both", entries[0].Name, e.Name)
		}
	}
	return entries[0].Name, rule, nil
}

// Knows tells whether a root is an entry's location.
func (n *Names) Knows(root Root) bool { return len(n.of[root]) > 0 }

// unregistered is a root that is no entry's location.
func (n *Names) unregistered(root Root, folder string, r spec.Retention) (string, spec.RetentionRule, *Finding) {
	rule := r.RuleFor(folder, string(root))
	if e, known := n.by[folder]; known {
		return folder, rule, refuseFor(FoundLocation, "the metastore says that %s is at %s, which is not here: which of the two is the table nobody can know from here; let the metastore have the right place, or drop the table that is not wanted", folder, e.Location)
	}
	for _, name := range slices.Sorted(maps.Keys(n.by)) {
		e := n.by[name]
		where := ReadLocation(e.Location)
		if where == root || e.Other != "" && ReadLocation(e.Other) == root || e.Delta && (below(where, root) || below(root, where)) {
			return folder, rule, refuseFor(FoundLocation, "the metastore says that %s is at %s, which is not the root of this table; let the metastore have the folder with its log", name, e.Location)
		}
	}
	if !sameTerms(rule, r.RuleFor("", string(root))) {
		f := stop(FoundUnregistered, "the metastore does not know it: as %s, which its folder calls it, another rule counts than without a name; register it, or write a rule for its place", folder)
		return folder, rule, &f
	}
	return folder, rule, nil
}

// below tells whether a place lies inside another one.
func below(inner, outer Root) bool { return strings.HasPrefix(string(inner), string(outer)+"/") }

// sameTerms tells whether two rules do the same, whatever they match.
func sameTerms(a, b spec.RetentionRule) bool {
	a.Match, b.Match = nil, nil
	return a.String() == b.String()
}

func refuseFor(k Kind, format string, args ...any) *Finding {
	return &Finding{k, fmt.Sprintf(format, args...), EffectRefuse}
}

// Strays are tables that the metastore knows and that were not found, and the location of one
// that could not be looked at, or "": it may be a shallow clone of any other. Searched are the
// places in which tables were looked for.
func (n *Names) Strays(searched []Root, r spec.Retention) (all []Table, unread string) {
	for _, e := range n.lost {
		where := ReadLocation(e.Location)
		one := Table{Name: e.Name, Place: string(where), Version: -1, Policy: r.RuleFor(e.Name, string(where)).String()}
		if slices.ContainsFunc(searched, func(s Root) bool { return where == s || below(where, s) }) {
			one.Findings = append(one.Findings, *refuseFor(FoundLocation, "the metastore says that it is here, and no table is: it was dropped, or is in another folder; drop it from the metastore, or let that have the right place"))
		} else {
			one.Findings = append(one.Findings, *refuseFor(FoundOutside, "the metastore says that it is at %s, which is in no place of retention.discover; add its store and folder there", e.Location))
			unread = one.Place
		}
		all = append(all, one)
	}
	return all, unread
}

// Nameless is the rule of a table when no names can be had. Where it depends on the name, the
// table is left alone: any other rule may be the wrong one.
func Nameless(root Root, r spec.Retention) (rule spec.RetentionRule, wrong *Finding) {
	rule, sure := r.RuleAt(string(root))
	if !sure {
		return rule, refuseFor(FoundNameless, "the metastore could not be asked, and which rule counts for the table depends on its name; see that it answers")
	}
	f := stop(FoundNameless, "the metastore could not be asked, so that nobody knows whether it has the table at this place; see that it answers")
	return rule, &f
}
