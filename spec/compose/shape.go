package compose

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// shape says which keys a mapping may have, and which of them the agent acts on.
type shape struct {
	keys      map[string]*shape
	any       *shape // any other key: names that users choose
	items     *shape // of a list
	supported bool
}

// add makes a shape know a path such as "services.*.ports.[].target".
func (s *shape) add(path string, supported bool) {
	for part := range strings.SplitSeq(path, ".") {
		s = s.child(part)
	}
	s.supported = s.supported || supported
}

func (s *shape) child(part string) *shape {
	slot := &s.any
	switch part {
	case "*":
	case "[]":
		slot = &s.items
	default:
		if s.keys == nil {
			s.keys = map[string]*shape{}
		}
		if s.keys[part] == nil {
			s.keys[part] = &shape{}
		}
		return s.keys[part]
	}
	if *slot == nil {
		*slot = &shape{}
	}
	return *slot
}

// free: below it anything goes, or there is nothing to know.
func (s *shape) free() bool { return s.keys == nil && s.any == nil && s.items == nil }

func (s *shape) names() []string {
	var names []string
	for name, one := range s.keys {
		if one.supported {
			names = append(names, name)
		}
	}
	return names
}

// check reports the keys of n and below that s does not know, those that the
// agent does not support, and those that stand there twice. An alias is checked
// at its anchor only if that lies within n; what is merged in is checked where
// it is used.
func (s *shape) check(d *document, n *yaml.Node, path []string, f *findings) {
	s.checkNode(d, n, path, f, map[*yaml.Node]*shape{})
}

func (s *shape) checkNode(d *document, n *yaml.Node, path []string, f *findings, seen map[*yaml.Node]*shape) {
	n = follow(n)
	if n == nil || s.free() || seen[n] == s {
		return
	}
	seen[n] = s
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if s.items != nil {
				s.items.checkNode(d, item, path, f, seen)
			}
		}
	case yaml.MappingNode:
		for _, m := range members(n) {
			if next := s.checkKey(d, m, path, f); next != nil {
				next.checkNode(d, m.value, append(path[:len(path):len(path)], m.key.Value), f, seen)
			}
		}
	}
}

// checkKey gives the shape below the key, or nil when there is nothing to check.
func (s *shape) checkKey(d *document, m member, path []string, f *findings) *shape {
	name := m.key.Value
	next, known := s.keys[name]
	if !known {
		next = s.any
	}
	at := d.at(m.key)
	switch {
	case next == nil && name == "x-flumen":
		f.fault(at, "services and configs have one", "x-flumen means nothing here")
		return nil
	case next == nil && strings.HasPrefix(name, "x-"):
		return nil
	case next == nil && f.has(at):
		return nil
	case next == nil:
		f.fault(at, didYouMean(name, s.names()), "unknown key %q", name)
		return nil
	case !next.supported:
		f.fault(at, "", "%s: this version of flumen-agent cannot do this yet", dotted(path, name))
		return nil
	}
	return next
}

func didYouMean(name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return `did you mean "` + best + `"?`
	}
	return ""
}

func dotted(path []string, name string) string {
	return strings.Join(append(path[:len(path):len(path)], name), ".")
}
