package compose

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// secret makes a text one that no output shows. Short ones and words that are
// everywhere would black out half of what there is to read.
func (l *load) secret(text string) {
	if len(text) < 4 || text == "true" || text == "false" || text == "none" || slices.Contains(l.Secrets, text) {
		return
	}
	l.Secrets = append(l.Secrets, text)
}

// named makes the text of that name a secret if the name says so. What ends in
// _FILE is the path of a secret, not one itself.
func (l *load) named(name, text string) {
	if spec.SensitiveName(name) && !strings.HasSuffix(strings.ToUpper(name), "_FILE") {
		l.secret(text)
	}
}

// value is a text of that name: sensitive by its name, or because a secret is in it.
func (l *load) value(name, text string) spec.Value {
	if spec.SensitiveName(name) {
		return spec.Sensitive(text)
	}
	return l.text(text)
}

// text is sensitive if a secret is in it.
func (l *load) text(text string) spec.Value {
	for _, secret := range l.Secrets {
		if strings.Contains(text, secret) {
			return spec.Sensitive(text)
		}
	}
	if spec.URLPassword(text) != "" {
		return spec.Sensitive(text)
	}
	return spec.Plain(text)
}

// forgetPublic takes out of the secrets what is a part of a public name, also of an image's:
// a password "postgres" cannot be hidden in the output about a service postgres.
func (l *load) forgetPublic() {
	public := []string{l.project}
	for _, t := range l.tiers {
		public = append(public, t.Name)
	}
	public = slices.AppendSeq(public, maps.Keys(l.root.Stores))
	for _, s := range l.root.Stores {
		public = slices.AppendSeq(public, maps.Keys(s.Access))
	}
	public = slices.AppendSeq(public, maps.Keys(l.root.Buckets))
	for _, s := range l.sections {
		for _, kind := range append([]string{"services"}, kinds...) {
			section, _ := get(s.node, kind)
			for _, m := range members(section.value) {
				public = append(public, m.key.Value)
				if image, ok := get(m.value, "image"); ok && kind == "services" {
					public = append(public, image.value.Value)
				}
			}
		}
	}
	l.Secrets = slices.DeleteFunc(l.Secrets, func(secret string) bool {
		return slices.ContainsFunc(public, func(name string) bool { return strings.Contains(name, secret) })
	})
	// The longest first: another one may be a part of it.
	slices.SortFunc(l.Secrets, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
}

// learnSecrets gathers every sensitive text before the first value is judged.
func (c *conversion) learnSecrets() {
	for _, name := range c.names() {
		s := c.services[name]
		c.learn(s.Environment)
		if s.Build != nil {
			c.learn(s.Build.Args)
		}
		for _, h := range c.handouts(s) {
			if h.kind != "secrets" && !isSealed(h.object.File) {
				continue // what is in it is nobody's secret
			}
			if content, _, ok := c.content(h); ok && h.kind == "secrets" {
				c.secret(strings.TrimSpace(content))
			}
		}
	}
}

func (c *conversion) learn(values types.MappingWithEquals) {
	for key, text := range values {
		if text != nil {
			c.named(key, *text)
			c.secret(spec.URLPassword(*text))
		}
	}
}
