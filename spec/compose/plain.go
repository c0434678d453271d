package compose

import (
	"fmt"
	"slices"
	"sync"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// casts says which texts become numbers and booleans once their variables are in.
type casts struct {
	keys map[string]*casts
	cast interpolation.Cast
}

var castTree = sync.OnceValue(func() *casts {
	top := &casts{}
	for path, cast := range loader.ToOptions(&types.ConfigDetails{}, nil).Interpolate.TypeCastMapping {
		at := top
		for _, part := range path.Parts() {
			if at.keys == nil {
				at.keys = map[string]*casts{}
			}
			if at.keys[part] == nil {
				at.keys[part] = &casts{}
			}
			at = at.keys[part]
		}
		at.cast = cast
	}
	return top
})

func (c *casts) below(key string) *casts {
	if c == nil {
		return nil
	}
	if next, ok := c.keys[key]; ok {
		return next
	}
	return c.keys["*"]
}

// plainer turns nodes into plain values, as a decoder would, with aliases and
// merged keys in their places.
type plainer struct {
	doc  *document
	left int // nodes it may still visit
	// env is what variables are looked up in; nil leaves them as they are.
	env environment
	f   *findings
}

func (p *plainer) value(n *yaml.Node, c *casts) any {
	n = follow(n)
	if p.left--; n == nil || p.left < 0 {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, one := range slices.Backward(members(n)) {
			if tag := follow(one.value).Tag; tag == "!reset" {
				continue
			}
			m[one.key.Value] = p.value(one.value, c.below(one.key.Value))
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, p.value(item, c.below("[]")))
		}
		return list
	default:
		return p.scalar(n, c)
	}
}

func (p *plainer) scalar(n *yaml.Node, c *casts) any {
	if n.ShortTag() != "!!str" {
		return decodeScalar(n)
	}
	if p.env == nil {
		return n.Value
	}
	text, err := template.Substitute(n.Value, p.env.lookup)
	if err != nil || c == nil || c.cast == nil {
		return text // what is wrong with variables is said elsewhere
	}
	cast, err := c.cast(text)
	if err != nil {
		p.f.fault(p.doc.at(n), "", "%q is not a number or boolean of the kind that is wanted here", text)
		p.f.broken = true
		return text
	}
	return cast
}

func decodeScalar(n *yaml.Node) any {
	var v any
	if err := n.Decode(&v); err != nil {
		return n.Value
	}
	switch v := v.(type) {
	case nil, bool, int, int64, uint64, float64, string:
		return v
	default:
		return fmt.Sprint(n.Value) // a date, which Compose takes for a text
	}
}
