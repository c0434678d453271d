package compose

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// checkSections is the first pass: everything that can be said about each file
// by itself.
func (l *load) checkSections() {
	l.read(l.main, l.main.roots[0], l.env)
	for i, s := range l.sections {
		if s.doc != l.main {
			l.checkIncluded(s)
		}
		l.sections[i].plain = l.checkSchema(s)
		l.checkServices(s)
		l.checkPassed(s)
	}
	l.checkEmpty()
}

// checkEmpty finds tiers of whose files none declares anything.
func (l *load) checkEmpty() {
	for i, t := range l.tiers {
		if emptyNode(&t.Include) {
			continue // said of the tier itself
		}
		declares := func(s section) bool {
			return s.tier == i && slices.ContainsFunc([]string{"services", "volumes", "networks", "configs", "secrets"}, func(key string) bool {
				m, ok := get(s.node, key)
				return ok && !emptyNode(m.value)
			})
		}
		if !l.broken && !slices.ContainsFunc(l.sections, declares) {
			l.fault(l.tierPlace(i, "name"), "give it services, or remove it", "tier %q is empty: nothing that it includes has a service", t.Name)
		}
	}
}

func (l *load) checkIncluded(s section) {
	n := s.node
	if follow(n).Kind != yaml.MappingNode {
		l.fault(s.doc.at(n), "", "is not one mapping")
		l.broken = true
		return
	}
	if s.base != "" {
		m, _ := get(n, "services")
		m, ok := get(m.value, s.base)
		if !ok {
			return // compose-go says who wanted it
		}
		composeShape().at("services.*").check(s.doc, m.value, []string{"services", s.base}, &l.findings)
		l.read(s.doc, m.value, s.env)
		return
	}
	composeShape().check(s.doc, n, nil, &l.findings)
	l.read(s.doc, n, s.env)
	if m, ok := get(n, "version"); ok {
		l.warn(s.doc.at(m.key), "remove it", "version is obsolete and does nothing")
	}
}

// composeSchema is compiled once: it takes longer than all else.
var composeSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := jsonschema.UnmarshalJSON(strings.NewReader(schema.Schema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("compose-spec.json", text); err != nil {
		return nil, err
	}
	return compiler.Compile("compose-spec.json")
})

// checkSchema holds the section against Compose's schema, and gives it as plain
// values.
func (l *load) checkSchema(s section) map[string]any {
	content := l.plain(s)
	compiled, err := composeSchema()
	if err != nil {
		panic(err) // the schema is built in
	}
	var invalid *jsonschema.ValidationError
	if err := compiled.Validate(content); errors.As(err, &invalid) {
		for _, leaf := range leaves(invalid) {
			l.schemaFault(s, leaf)
		}
	}
	return content
}

// plain is the part of a section that Compose knows.
func (l *load) plain(s section) map[string]any {
	p := plainer{doc: s.doc, left: maxNodes, env: s.env, f: &l.findings}
	all, _ := p.value(s.node, castTree()).(map[string]any)
	if p.left < 0 {
		l.fault(s.doc.at(s.node), "", "has more nodes than can be read: aliases of aliases?")
		l.broken = true
	}
	content := map[string]any{}
	for name, value := range all {
		// The name of a tier need not be one that Compose allows.
		if composeShape().keys[name] != nil && (name != "name" || s.path == nil) {
			content[name] = value
		}
	}
	if s.base != "" {
		services, _ := content["services"].(map[string]any)
		content = map[string]any{}
		if base, ok := services[s.base]; ok { // else compose-go says who misses it
			content["services"] = map[string]any{s.base: base}
		}
	}
	return content
}

// leaf is one thing the schema does not allow, and at which place.
type leaf struct {
	at    []string
	key   bool // the key is wrong, not its value
	says  string
	wants []string // types, when the type is wrong
}

// leaves picks from the tree of what failed: of alternatives (oneOf, anyOf) that
// all fail, the one that got deepest is what was meant.
func leaves(e *jsonschema.ValidationError) []leaf {
	if _, unknown := e.ErrorKind.(*kind.FalseSchema); unknown {
		return nil // an unknown key: the shape has said so, and what it may be
	}
	if len(e.Causes) == 0 {
		return []leaf{leafOf(e)}
	}
	var all []leaf
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	switch e.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf:
		if len(all) > 0 {
			return []leaf{likeliest(all)}
		}
	}
	return all
}

func leafOf(e *jsonschema.ValidationError) leaf {
	one := leaf{at: e.InstanceLocation}
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		one.wants = k.Want
	case *kind.AdditionalProperties:
		one.at, one.key = append(slices.Clone(e.InstanceLocation), k.Properties[0]), true
		one.says = "cannot be called so: use letters, digits, ., _ and -"
	default:
		one.says = e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	}
	return one
}

func likeliest(all []leaf) leaf {
	best := all[0]
	for _, one := range all[1:] {
		if len(one.at) > len(best.at) {
			best = one
		}
	}
	for _, one := range all {
		if len(best.wants) > 0 && slices.Equal(one.at, best.at) {
			best.wants = append(best.wants[:len(best.wants):len(best.wants)], one.wants...)
		}
	}
	return best
}

func (l *load) schemaFault(s section, one leaf) {
	stands, depth := find(s.node, one.at...)
	if v := valueOf(s.node, one.at); v != nil && v.Line > 0 && !one.key && depth == len(one.at) {
		stands = v
	}
	at := s.doc.at(stands)
	if l.has(at) || !composeShape().supports(one.at) {
		return // it has been said what is wrong there
	}
	l.broken = true
	says := one.says
	if len(one.wants) > 0 {
		says = "must be " + oneOf(one.wants)
	}
	l.fault(at, "", "%s: %s", strings.Join(one.at, "."), says)
}

// oneOf lists JSON's types in YAML's words.
func oneOf(types []string) string {
	words := map[string]string{"object": "a mapping", "array": "a list", "string": "a text", "null": "nothing",
		"boolean": "true or false", "integer": "a whole number", "number": "a number"}
	var all []string
	for _, t := range types {
		if word := words[t]; !slices.Contains(all, word) && t != "null" {
			all = append(all, word)
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	if last := len(all) - 1; last > 0 {
		return strings.Join(all[:last], ", ") + " or " + all[last]
	}
	return all[0]
}
