package compose

import (
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// item is where the item of a service's list stands that says all of texts. Its
// number would not do: what a service extends, and ranges of ports, shift it.
func (c *conversion) item(service, key string, texts ...string) place {
	return c.itemThat(service, key, func(s section, n *yaml.Node) bool {
		said := c.said(s, n)
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(said, text) })
	})
}

// port is where a port stands, be it as one of a range.
func (c *conversion) port(service string, p types.ServicePortConfig) place {
	return c.itemThat(service, "ports", func(s section, n *yaml.Node) bool {
		if n.Kind == yaml.MappingNode {
			target, _ := get(n, "target")
			published, _ := get(n, "published")
			return c.said(s, target.value) == strconv.Itoa(int(p.Target)) && c.said(s, published.value) == p.Published
		}
		all, _ := types.ParsePortConfig(c.said(s, n))
		return slices.ContainsFunc(all, func(one types.ServicePortConfig) bool {
			return one.Target == p.Target && one.Published == p.Published && one.HostIP == p.HostIP && one.Protocol == p.Protocol
		})
	})
}

func (c *conversion) itemThat(service, key string, is func(section, *yaml.Node) bool) place {
	for _, s := range c.sections {
		if s.tier != c.joined.tierOf[service] && s.tier != common {
			continue
		}
		list := follow(valueOf(s.node, []string{"services", service, key}))
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, n := range list.Content {
			if is(s, follow(n)) {
				return s.doc.at(n)
			}
		}
	}
	return c.service(service, key)
}

// said is what a node says once variables are in: a text, or the texts of a mapping.
func (c *conversion) said(s section, n *yaml.Node) string {
	if n = follow(n); n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		var all []string
		for _, m := range members(n) {
			all = append(all, c.said(s, m.value))
		}
		return strings.Join(all, "\n")
	}
	text, err := template.Substitute(n.Value, s.env.lookup)
	if err != nil {
		return n.Value
	}
	return text
}
