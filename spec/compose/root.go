package compose

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"go.yaml.in/yaml/v4"
)

// readRoot reads what flumen.yaml says besides Compose: variables, name, tiers.
func (l *load) readRoot() bool {
	if len(l.main.roots) != 1 || follow(l.main.roots[0]).Kind != yaml.MappingNode {
		l.fault(l.main.at(nil), "begin with name: and tiers:", "is empty or not one mapping")
		return false
	}
	n := l.main.roots[0]
	rootShape().check(l.main, n, nil, &l.findings)
	l.decode(n, &l.root)
	l.readEnvironment(n)
	l.readName(n)
	l.readProfiles()
	l.readTiers(n)
	if m, ok := get(n, "version"); ok {
		l.warn(l.main.at(m.key), "remove it", "version is obsolete and does nothing")
	}
	return true
}

// decode reads nodes into a typed value; what does not fit is a fault.
func (l *load) decode(n *yaml.Node, into any) {
	err := n.Decode(into)
	if err == nil {
		return
	}
	l.broken = true
	var all *yaml.LoadErrors
	if !errors.As(err, &all) {
		l.fault(l.main.at(n), "", "%v", err)
		return
	}
	for _, one := range all.Errors {
		l.fault(place{l.main.shown, one.Mark.Line, one.Mark.Column}, "", "%s", inWords(one.Message))
	}
}

// inWords puts what the YAML library says about types in words of YAML.
func inWords(says string) string {
	_, want, ok := strings.Cut(says, " into ")
	if !ok {
		return says
	}
	switch {
	case want == "string":
		return "must be a text"
	case want == "bool":
		return "must be true or false"
	case strings.HasPrefix(want, "int"):
		return "must be a whole number"
	case strings.HasPrefix(want, "["), strings.HasSuffix(want, "List"):
		return "must be a list"
	default:
		return "must be a mapping"
	}
}

// profilesVariable names profiles that are active, as in Compose.
const profilesVariable = "COMPOSE_PROFILES"

// readProfiles takes the profiles from the variable where the caller names none.
func (l *load) readProfiles() {
	if len(l.options.Profiles) > 0 {
		return
	}
	for profile := range strings.SplitSeq(l.env[profilesVariable], ",") {
		if profile = strings.TrimSpace(profile); profile != "" {
			l.options.Profiles = append(l.options.Profiles, profile)
		}
	}
}

// projectVariable is set by Compose itself.
const projectVariable = "COMPOSE_PROJECT_NAME"

// readName takes the name of the project: from the caller, the file, or as
// Compose does from the directory.
func (l *load) readName(n *yaml.Node) {
	at := l.main.at(nil)
	l.project = l.options.Project
	if m, ok := get(n, "name"); ok && l.project == "" {
		at = l.main.at(m.value)
		l.project = l.substitute(follow(m.value).Value, l.env, at)
	}
	if l.project == "" {
		l.project = loader.NormalizeProjectName(filepath.Base(l.dir))
	}
	if l.project == "" || loader.NormalizeProjectName(l.project) != l.project {
		l.fault(at, "use lower-case letters, digits, - and _, beginning with a letter or digit", "%q cannot be the name of a project", l.project)
		l.broken = true
	}
	l.env[projectVariable] = l.project
}
