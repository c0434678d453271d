package compose

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"github.com/flumendata/flumen-agent/spec"
)

// environment is what ${...} is looked up in: the process, then env files.
type environment map[string]string

func (e environment) lookup(name string) (string, bool) {
	text, ok := e[name]
	return text, ok
}

// with adds what an env file says to what is set already, which wins.
func (e environment) with(files ...string) (environment, error) {
	more, err := dotenv.GetEnvFromFile(e, files)
	if err != nil {
		return e, err
	}
	sum := maps.Clone(e)
	for name, text := range more {
		if _, set := sum[name]; !set {
			sum[name] = text
		}
	}
	return sum, nil
}

// reference is one ${NAME...} in a text.
type reference struct {
	name     string
	operator string // "", "-", ":-", "?", ":?", "+", ":+"
	operand  string // what follows the operator
}

// referenceStart is Compose's way to begin a variable, without its operator.
var referenceStart = regexp.MustCompile(`^\$(\$|\{?[A-Za-z_][A-Za-z0-9_]*)`)

// references lists the variables of a text, not those inside of operands.
func references(text string) []reference {
	var all []reference
	for i := strings.IndexByte(text, '$'); i >= 0; i = strings.IndexByte(text, '$') {
		text = text[i:]
		start := referenceStart.FindString(text)
		switch {
		case start == "":
			text = text[1:]
		case start[1] != '{':
			text = text[len(start):]
			if start != "$$" {
				all = append(all, reference{name: start[1:]})
			}
		default:
			end := closing(text)
			all = append(all, braced(start[2:], text[len(start):max(end, len(start))]))
			text = text[max(end, len(start)):]
		}
	}
	return all
}

func braced(name, rest string) reference {
	for _, operator := range []string{":-", ":?", ":+", "-", "?", "+"} {
		if strings.HasPrefix(rest, operator) {
			return reference{name, operator, rest[len(operator):]}
		}
	}
	return reference{name: name}
}

// closing is where the brace that the text begins with is closed.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// use records the variables that a text takes from env. It gives the names that
// are neither set nor have a default, and those of the agent's own.
func (l *load) use(text string, env environment) (unset []string) {
	for _, r := range references(text) {
		value, set := env[r.name]
		if set {
			l.variable(r.name, value)
		}
		if !set && Own(r.name) {
			unset = append(unset, r.name)
			continue
		}
		given := set && (value != "" || !strings.HasPrefix(r.operator, ":"))
		switch strings.TrimPrefix(r.operator, ":") {
		case "-", "?":
			if !given {
				unset = append(unset, l.use(r.operand, env)...)
				l.named(r.name, r.operand)
			}
		case "+":
			if given {
				unset = append(unset, l.use(r.operand, env)...)
			}
		default:
			if !set {
				unset = append(unset, r.name)
			}
		}
	}
	return unset
}

func (l *load) variable(name, text string) {
	value := spec.Plain(text)
	if spec.SensitiveName(name) || l.opened[name] {
		value = value.Hide()
		l.named(name, text)
	}
	l.Variables[name] = value
}

// substitute gives a text with its variables put in. A text that cannot be read
// is a fault, an unset variable without a default a warning.
func (l *load) substitute(text string, env environment, at place) string {
	if !strings.Contains(text, "$") {
		return text
	}
	for _, name := range l.use(text, env) {
		if Own(name) {
			l.refuseOwn(at, name)
			continue
		}
		l.warn(at, "set it, or write ${"+name+":-default}", "variable %s is not set", name)
	}
	value, err := template.Substitute(text, env.lookup)
	var missing *template.MissingRequiredError
	switch {
	case errors.As(err, &missing) && Own(missing.Variable): // said above
	case errors.As(err, &missing):
		l.fault(at, missing.Reason, "variable %s is required and not set", missing.Variable)
		l.broken = true
	case err != nil:
		l.fault(at, "write $$ for a $ of its own", "%q is not a valid use of variables", text)
		l.broken = true
	}
	return value
}

// read goes through every node once: it puts variables into every text, and
// finds keys that stand in a mapping twice and tags that do nothing.
func (l *load) read(d *document, n *yaml.Node, env environment) {
	l.checkTag(d, n)
	switch n.Kind {
	case yaml.ScalarNode:
		l.substitute(n.Value, env, d.at(n))
	case yaml.MappingNode:
		l.checkTwice(d, n)
		for i := 1; i < len(n.Content); i += 2 {
			l.read(d, n.Content[i], env)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			l.read(d, item, env)
		}
	}
}

// checkTag refuses Compose's tags for merging in a flumen.yaml with tiers: they
// say how a file overrides another one, and a tier is no such file.
func (l *load) checkTag(d *document, n *yaml.Node) {
	if n.Tag != "!reset" && n.Tag != "!override" {
		return
	}
	if _, tiered := get(l.main.roots[0], "tiers"); tiered && d == l.main {
		l.fault(d.at(n), "put the service into a file and include it", "%s works in included files only", n.Tag)
	}
}

func (l *load) checkTwice(d *document, n *yaml.Node) {
	first := map[string]*yaml.Node{}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if have, twice := first[key.Value]; twice {
			l.fault(d.at(key), "remove one of them", "key %q is already there at %s", key.Value, d.at(have))
			l.broken = true
		}
		first[key.Value] = key
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
