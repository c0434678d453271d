package compose

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v4"

	"github.com/flumendata/flumen-agent/spec"
)

// Options say what to load and in which surroundings.
type Options struct {
	File     string            // path of flumen.yaml
	Project  string            // overrides `name`
	Profiles []string          // services of these profiles are active
	Environ  map[string]string // the process environment
	Strict   bool              // warnings are errors
}

// Loaded is what a spec says and what it was made of. When Load fails, Warnings,
// Files, Secrets and Variables hold what was seen up to then, so that a watcher
// knows which change may mend it and no message shows a secret.
type Loaded struct {
	Desired  spec.Desired
	Warnings []*Fault
	// Files are the absolute paths of everything whose change matters: files and
	// directories. Some may not be there yet.
	Files []string
	// Secrets is every sensitive text that is known, for masking output.
	Secrets []string
	// Variables are those that were put in for ${...}, with their values.
	Variables map[string]spec.Value
}

// Load reads a spec. The error is a multierror of every *Fault, in the order of
// the files.
func Load(ctx context.Context, o Options) (Loaded, error) {
	// compose-go says in its log what is said here as a warning with its place.
	logrus.SetLevel(logrus.ErrorLevel)
	l := &load{options: o, env: maps.Clone(environment(o.Environ))}
	if l.env == nil {
		l.env = environment{}
	}
	l.Variables = map[string]spec.Value{}
	l.run(ctx)
	l.forgetPublic()
	var err error
	l.Warnings, err = l.finish(o.Strict, l.Secrets)
	l.Files = slices.Compact(slices.Sorted(slices.Values(l.Files)))
	if err != nil {
		l.Desired = spec.Desired{}
	}
	return l.Loaded, err
}

// load is one Load on its way.
type load struct {
	findings
	Loaded

	options  Options
	file     string // absolute
	dir      string // of file
	env      environment
	project  string
	main     *document
	root     root
	tiers    []tier
	sections []section
	seen     map[string]*document
	joined   joined
	digests  map[string]digest
}

func (l *load) run(ctx context.Context) {
	// compose-go takes much for granted about types; whatever gets past our own
	// validation must not take the agent down.
	defer func() {
		if p := recover(); p != nil {
			l.fault(place{file: l.options.File}, "", "cannot be read: %v", p)
		}
	}()
	if !l.open() || !l.readRoot() {
		return
	}
	l.readSections()
	l.checkSections()
	if l.broken {
		return
	}
	project, ok := l.compose(ctx)
	if !ok {
		return
	}
	l.convert(project)
	l.Desired.Project = l.project
	l.Desired.Revision = spec.Revision{ID: l.revision(), Source: l.options.File}
}

// open finds and parses the file itself.
func (l *load) open() bool {
	var err error
	l.seen = map[string]*document{}
	l.digests = map[string]digest{}
	if l.file, err = filepath.Abs(l.options.File); err != nil {
		l.fault(place{file: l.options.File}, "", "%v", err)
		return false
	}
	l.dir = filepath.Dir(l.file)
	l.main = l.document(l.file, place{file: l.options.File}, "file")
	return l.main != nil
}

// document reads a YAML file, once.
func (l *load) document(path string, from place, what string) *document {
	if d, ok := l.seen[path]; ok {
		return d
	}
	l.Files = append(l.Files, path)
	d, err := readDocument(path, l.shown(path))
	if os.IsNotExist(err) {
		l.fault(from, "", "%s %s does not exist", what, l.shown(path))
		l.broken = true
		return nil
	}
	if err != nil {
		l.broken = true
		if f, ok := err.(*Fault); ok {
			l.faults = append(l.faults, f)
		} else {
			l.fault(from, "", "%v", err)
		}
		return nil
	}
	l.seen[path] = d
	return d
}

// shown is a path as people would write it beside the -f they gave.
func (l *load) shown(path string) string {
	rel, err := filepath.Rel(l.dir, path)
	if err != nil || filepath.IsAbs(l.options.File) {
		return path
	}
	return filepath.Join(filepath.Dir(l.options.File), rel)
}

// abs makes a path of the spec absolute.
func abs(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

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
	l.refuseLater(n)
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

func (l *load) readEnvironment(n *yaml.Node) {
	if _, given := get(n, "env_file"); !given {
		file := filepath.Join(l.dir, ".env")
		l.Files = append(l.Files, file)
		if exists(file) {
			l.env = l.addEnvironment(l.env, place{file: l.shown(file)}, file)
		}
		return
	}
	var files []string
	for _, f := range texts(n, "env_file") {
		file := abs(l.dir, l.substitute(f.Value, l.env, l.main.at(f)))
		if l.envFile(file, l.main.at(f)) {
			files = append(files, file)
		}
	}
	l.env = l.addEnvironment(l.env, l.main.at(nil), files...)
}

// envFile tells whether an env file that is asked for is there.
func (l *load) envFile(file string, at place) bool {
	l.Files = append(l.Files, file)
	if !exists(file) {
		l.fault(at, "make it, or remove it from env_file", "env_file %s does not exist", l.shown(file))
		l.broken = true
		return false
	}
	return true
}

// addEnvironment reads env files; of two, the later one wins, as in Compose.
func (l *load) addEnvironment(env environment, at place, files ...string) environment {
	more, err := env.with(files...)
	if err != nil {
		l.fault(at, "", "%v", err)
		l.broken = true
	}
	return more
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

func (l *load) refuseLater(n *yaml.Node) {
	for _, name := range later {
		if m, ok := get(n, name); ok {
			l.fault(l.main.at(m.key), "", "%s: this version of flumen-agent cannot do this yet", name)
		}
	}
}

func (l *load) details() types.ConfigDetails {
	return types.ConfigDetails{WorkingDir: l.dir, Environment: types.Mapping(l.env).Clone()}
}
