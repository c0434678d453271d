package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// document is one YAML file, as nodes that know where they stand.
type document struct {
	path    string // absolute
	shown   string // as people know it
	content []byte
	roots   []*yaml.Node // one per document of the stream
}

// maxNodes bounds the work that one file can ask for through aliases of aliases.
const maxNodes = 100_000

func readDocument(path, shown string) (*document, error) {
	content, err := readRegular(path)
	if err != nil {
		return nil, err
	}
	return parseDocument(path, shown, content)
}

// readRegular reads a file that is one: a device or a pipe may never end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", filepath.Base(path))
	}
	return os.ReadFile(path)
}

func parseDocument(path, shown string, content []byte) (*document, error) {
	d := &document{path: path, shown: shown, content: content}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return d, nil
		}
		if err != nil {
			return d, d.syntax(err)
		}
		if node.Kind == yaml.DocumentNode && len(node.Content) == 1 {
			d.roots = append(d.roots, node.Content[0])
		}
	}
}

// syntax makes a fault of what the YAML library says.
func (d *document) syntax(err error) error {
	at := place{file: d.shown}
	var one *yaml.LoadError
	if !errors.As(err, &one) {
		return newFault(at, "", "%v", err)
	}
	at.line, at.column = one.Mark.Line, one.Mark.Column
	if at.line == 0 {
		at.line, at.column = one.ContextMark.Line, one.ContextMark.Column
	}
	return newFault(at, "", "not YAML: %s", one.Message)
}

func (d *document) at(n *yaml.Node) place {
	if n == nil {
		return place{file: d.shown}
	}
	return place{d.shown, n.Line, n.Column}
}

// follow gives what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 16; i++ {
		n = n.Alias
	}
	return n
}

// member is a key of a mapping with its value.
type member struct{ key, value *yaml.Node }

// maxMerges bounds how many mappings are merged into one: merged mappings can
// merge others, and themselves.
const maxMerges = 100

// members are the keys of a mapping, those of merged mappings (<<) last.
func members(n *yaml.Node) []member {
	left := maxMerges
	return gather(n, &left)
}

func gather(n *yaml.Node, left *int) []member {
	n = follow(n)
	if *left--; n == nil || n.Kind != yaml.MappingNode || *left < 0 {
		return nil
	}
	var own, merged []member
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !isMerge(key) {
			own = append(own, member{key, value})
			continue
		}
		for _, source := range mergeSources(value) {
			merged = append(merged, gather(source, left)...)
		}
	}
	return append(own, merged...)
}

func mergeSources(value *yaml.Node) []*yaml.Node {
	if v := follow(value); v != nil && v.Kind == yaml.SequenceNode {
		return v.Content
	}
	return []*yaml.Node{value}
}

func isMerge(key *yaml.Node) bool { return key.Value == "<<" && key.Style == 0 }

// get gives a member of a mapping.
func get(n *yaml.Node, name string) (member, bool) {
	for _, m := range members(n) {
		if m.key.Value == name {
			return m, true
		}
	}
	return member{}, false
}

// find goes down from n along a path of keys and list indexes as far as it gets.
// It gives the last key or item on the way, and how many steps it took.
func find(n *yaml.Node, path ...string) (stands *yaml.Node, depth int) {
	stands = n
	for _, step := range path {
		current := follow(n)
		if current == nil {
			return stands, depth
		}
		switch current.Kind {
		case yaml.MappingNode:
			m, ok := get(current, step)
			if !ok {
				return stands, depth
			}
			stands, n = m.key, m.value
		case yaml.SequenceNode:
			item := itemOf(current, step)
			if item == nil {
				return stands, depth
			}
			stands, n = item, item
		default:
			return stands, depth
		}
		depth++
	}
	return stands, depth
}

// valueOf is the value at the end of a path, or nil.
func valueOf(n *yaml.Node, path []string) *yaml.Node {
	for _, step := range path {
		n = follow(n)
		if n != nil && n.Kind == yaml.SequenceNode {
			n = itemOf(n, step)
			continue
		}
		m, _ := get(n, step)
		n = m.value
	}
	return n
}

// itemOf finds an item of a list by its index, or by its text where the list
// stands for a set (as in the short form of depends_on).
func itemOf(list *yaml.Node, step string) *yaml.Node {
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(list.Content) {
		return list.Content[i]
	}
	for _, item := range list.Content {
		if follow(item).Value == step {
			return item
		}
	}
	return nil
}
