package compose

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"

	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/sealed"
)

// Options say what to load and in which surroundings.
type Options struct {
	File     string            // path of flumen.yaml
	Project  string            // overrides `name`
	Profiles []string          // services of these profiles are active
	Environ  map[string]string // the process environment; a spec sees nothing of it that is Own
	Strict   bool              // warnings are errors
	// Tree is what the spec lies in, if that is a checkout; nil: any file may be read.
	Tree *Tree
	// HostDirs say what the engine calls directories of this process, if it has a file
	// system of its own: in a container.
	HostDirs []HostDir
	// Barred says why a port of a service cannot be reached from here, which is published at
	// these addresses of the engine's host, or ""; nil: all can be.
	Barred func(published []string) string
	// Keys open files that are encrypted for age; nil: there are none.
	Keys *sealed.Keys
	// Command runs a program that prints a secret, without a shell; nil: none may be run.
	Command func(ctx context.Context, words []string) (string, error)
	// CheckSchedule says what is wrong with a schedule of drift checks; nil: any text
	// will do.
	CheckSchedule func(text string) error
	// CheckWindow says what is wrong with a window; nil: any is taken.
	CheckWindow func(spec.Window) error
	// MeetsQuiet tells whether a look at tables on the schedule of a project ever begins while nobody
	// writes them, and how much later than the schedule says they begin; nil: some do.
	MeetsQuiet func(project string, r spec.Retention) (later time.Duration, meets bool)
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
	l := &load{options: o, env: foreign(o.Environ)}
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
	opened   map[string]bool   // files that are encrypted, by path, and variables that come from one, by name
	outputs  map[string]string // of commands, by secret
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
	l.checkMounts()
	if l.broken {
		return
	}
	project, ok := l.compose(ctx)
	if !ok {
		return
	}
	if !l.runCommands(ctx, project) {
		return
	}
	l.convert(project)
	l.readChecks()
	l.readWindows()
	l.relocate()
	l.Desired.Project = l.project
	l.Desired.File = OnHost(l.options.HostDirs, l.relocated(l.file))
	l.Desired.Revision = spec.Revision{ID: l.revision(), Source: l.options.File}
}

// open finds and parses the file itself.
func (l *load) open() bool {
	var err error
	l.seen = map[string]*document{}
	l.digests = map[string]digest{}
	l.opened, l.outputs = map[string]bool{}, map[string]string{}
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
	if l.outside(path, from, what) {
		l.broken = true
		return nil
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
	if t := l.options.Tree; t != nil && within(path, t.Dir) {
		rel, _ := filepath.Rel(t.Dir, path) // it lies within
		return rel
	}
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

func (l *load) details() types.ConfigDetails {
	return types.ConfigDetails{WorkingDir: l.dir, Environment: types.Mapping(l.env).Clone()}
}
