package compose

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"
)

// Own tells whether a variable of the process is the agent's own: what it is told, and the
// keys and tokens that it has. Whoever may write a spec is not to have them in a container,
// so a spec sees none of them. One of that name in an env file is the spec's.
func Own(name string) bool {
	switch name {
	case "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": // with the token of a collector
		return true
	}
	return strings.HasPrefix(name, "FLUMEN_") || strings.HasPrefix(name, "SOPS_AGE_KEY")
}

// foreign is an environment without what is the agent's own.
func foreign(process map[string]string) environment {
	env := environment{}
	for name, text := range process {
		if !Own(name) {
			env[name] = text
		}
	}
	return env
}

func (l *load) refuseOwn(at place, name string) {
	l.fault(at, "set the value under another name, or in an env file",
		"%s: variables of that name are the agent's own, and a spec may not have them", name)
	l.broken = true
}

// asks refuses what looks a variable up by its name, if that is the agent's own and nothing of
// the spec sets it.
func (l *load) asks(name string, env environment, at place) {
	if _, set := env[name]; !set && Own(name) {
		l.refuseOwn(at, name)
	}
}

// checkPassed looks at what Compose fills from the variable of the same name: a name without a
// value in an environment or among build arguments, and `environment` of configs and secrets.
func (l *load) checkPassed(s section) {
	services, _ := get(s.node, "services")
	for _, service := range members(services.value) {
		if s.base != "" && service.key.Value != s.base {
			continue
		}
		l.checkUnvalued(s, valueOf(service.value, []string{"environment"}))
		l.checkUnvalued(s, valueOf(service.value, []string{"build", "args"}))
	}
	for _, kind := range []string{"configs", "secrets"} {
		objects, _ := get(s.node, kind)
		for _, m := range members(objects.value) {
			l.checkName(s, valueOf(m.value, []string{"environment"}))
		}
	}
}

// checkUnvalued looks at the names of a list or mapping that have no value.
func (l *load) checkUnvalued(s section, n *yaml.Node) {
	if n = follow(n); n == nil {
		return
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			l.checkName(s, item)
		}
		return
	}
	for _, m := range members(n) {
		if follow(m.value).ShortTag() == "!!null" {
			l.asks(m.key.Value, s.env, s.doc.at(m.key))
		}
	}
}

// checkName looks at a text that is the name of a variable.
func (l *load) checkName(s section, n *yaml.Node) {
	if n = follow(n); n == nil || n.Kind != yaml.ScalarNode {
		return
	}
	if text, err := template.Substitute(n.Value, s.env.lookup); err == nil && !strings.Contains(text, "=") {
		l.asks(text, s.env, s.doc.at(n))
	}
}

// asked are the agent's own variables that an env file takes values from, which known does not
// have. What else is wrong with it is said elsewhere.
func asked(content []byte, format string, known dotenv.LookupFn) []string {
	own, set := map[string]bool{}, map[string]string{}
	look := func(name string) (string, bool) {
		text, ok := known(name)
		if _, above := set[name]; !ok && !above && Own(name) {
			own[name] = true
		}
		return text, ok
	}
	_ = dotenv.ParseWithFormat(bytes.NewReader(content), "", set, look, format)
	return slices.Sorted(maps.Keys(own))
}

// checkAsked refuses env files that take a value from the agent's own variables.
func (l *load) checkAsked(path, format string, known dotenv.LookupFn) {
	content, err := readRegular(path)
	if err != nil {
		return // that is said elsewhere
	}
	for _, name := range asked(content, format, known) {
		l.refuseOwn(place{l.shown(path), lineOf(content, name), 1}, name)
	}
}

// lineOf is the first line of an env file, from 1, that uses a variable and is no comment.
func lineOf(content []byte, name string) int {
	has := regexp.MustCompile(`\$\{?` + name + `\b|^\s*(export\s+)?` + name + `\s*$`)
	for i, line := range bytes.Split(content, []byte("\n")) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) && has.Match(line) {
			return i + 1
		}
	}
	return 0
}
