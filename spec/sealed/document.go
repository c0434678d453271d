package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// maxDepth is deeper than any file of values.
const maxDepth = 100

// kindOfDocument tells YAML and JSON of SOPS from files that only speak of it.
func kindOfDocument(content []byte) Kind {
	top, err := parse(content)
	if err != nil {
		return None
	}
	own := member(top, "sops")
	if own == nil || member(own, "mac") == nil {
		return None
	}
	switch {
	case !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")):
		return YAML
	case len(top.Content) == 4 && member(top, "data") != nil:
		return Binary
	}
	return JSON
}

// parse reads a mapping. JSON is YAML.
func parse(content []byte) (*yaml.Node, error) {
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(content))
	if err := d.Decode(&doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no mapping")
	}
	return doc.Content[0], nil
}

// member is the value of a key, or nil.
func member(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func (k *Keys) openDocument(content []byte, kind Kind) (o Opened, err error) {
	top, err := parse(content)
	if err != nil {
		return o, err
	}
	if several(content) {
		return o, errors.New("it has several YAML documents, of which one is expected")
	}
	var m metadata
	if err := member(top, "sops").Decode(&m); err != nil {
		return o, errors.New("what SOPS keeps in it cannot be read")
	}
	remove(top, "sops")
	leaves, err := leavesOf(top, nil, 0)
	if err != nil {
		return o, err
	}
	if o.Secrets, err = k.open(m, leaves); err != nil {
		return o, err
	}
	switch kind {
	case Binary:
		o.Content = []byte(strings.Join(o.Secrets, "")) // the one value; a node cannot hold any bytes
	case JSON:
		o.Content, err = asJSON(top)
	default:
		o.Content, err = yaml.Marshal(top)
	}
	return o, err
}

// several tells of a file with more than one document.
func several(content []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(content))
	var first, second yaml.Node
	return d.Decode(&first) == nil && d.Decode(&second) == nil
}

func remove(n *yaml.Node, name string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}

// leavesOf lists the values below a node, in the order in which they stand. It takes the
// comments away: they may be encrypted, and are no part of what counts.
func leavesOf(n *yaml.Node, path []string, depth int) (all []leaf, err error) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				return nil, errors.New("it has a key that is no text")
			}
			key.HeadComment, key.LineComment, key.FootComment = "", "", ""
			more, err := leavesOf(n.Content[i+1], append(path[:len(path):len(path)], key.Value), depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			more, err := leavesOf(item, path, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	case yaml.ScalarNode:
		plain, err := macText(n)
		return []leaf{{path: path, text: n.Value, plain: plain, null: n.ShortTag() == "!!null", set: func(plain, kind string) { setNode(n, plain, kind) }}}, err
	default:
		return nil, errors.New("it has an alias, which SOPS does not write")
	}
	return all, nil
}

// macText is a value that is not encrypted as SOPS has it in the MAC.
func macText(n *yaml.Node) (string, error) {
	if n.ShortTag() == "!!str" {
		return n.Value, nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return "", errors.New("it has a value that cannot be read")
	}
	switch v := v.(type) {
	case bool:
		return map[bool]string{true: "True", false: "False"}[v], nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case time.Time:
		text, err := v.MarshalText()
		return string(text), err
	}
	return fmt.Sprint(v), nil
}

// tags are those of what SOPS encrypts.
var tags = map[string]string{"int": "!!int", "float": "!!float", "bool": "!!bool", "time": "!!timestamp"}

func setNode(n *yaml.Node, plain, kind string) {
	n.Tag, n.Style, n.Value = tags[kind], 0, plain
	switch {
	case n.Tag == "":
		n.SetString(plain)
	case kind == "bool":
		n.Value = strings.ToLower(plain)
	}
}

// asJSON writes a document with its keys in their order.
func asJSON(n *yaml.Node) ([]byte, error) {
	var flat, b bytes.Buffer
	if err := writeJSON(&flat, n); err != nil {
		return nil, err
	}
	err := json.Indent(&b, flat.Bytes(), "", "\t")
	return append(b.Bytes(), '\n'), err
}

func writeJSON(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		mapping := n.Kind == yaml.MappingNode
		b.WriteString(map[bool]string{true: "{", false: "["}[mapping])
		for i, one := range n.Content {
			switch {
			case mapping && i%2 == 1:
				b.WriteByte(':')
			case i > 0:
				b.WriteByte(',')
			}
			var err error
			if mapping && i%2 == 0 {
				err = writeText(b, one.Value)
			} else {
				err = writeJSON(b, one)
			}
			if err != nil {
				return err
			}
		}
		b.WriteString(map[bool]string{true: "}", false: "]"}[mapping])
		return nil
	}
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool", "!!null":
		b.WriteString(n.Value)
		return nil
	}
	return writeText(b, n.Value)
}

func writeText(b *bytes.Buffer, text string) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(text)
}
