package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// common is the number of the tier that what stands beside the tiers has: it
// belongs to all of them.
const common = -1

// section is a part of a file that is a Compose file by itself: the top level,
// a tier, an included file, or what a service extends.
type section struct {
	tier int
	doc  *document
	node *yaml.Node
	env  environment
	dir  string   // relative paths are relative to it
	path []string // where the node stands in its document
	base string   // a service that others extend: nothing else in it matters
	// plain is what it says, with variables put in.
	plain map[string]any
}

// readSections finds all of them, following include and extends.
func (l *load) readSections() {
	n := l.main.roots[0]
	outer := common
	if _, tiered := get(n, "tiers"); !tiered {
		outer = 0
	}
	l.addSection(section{tier: outer, doc: l.main, node: n, env: l.env, dir: l.dir})
	if outer == 0 {
		return
	}
	tiers, _ := get(n, "tiers")
	for i, one := range follow(tiers.value).Content {
		l.addSection(section{tier: i, doc: l.main, node: one, env: l.env, dir: l.dir, path: []string{"tiers", fmt.Sprint(i)}})
	}
}

func (l *load) addSection(s section) {
	for _, known := range l.sections {
		if known.doc == s.doc && known.node == s.node && known.tier == s.tier && known.base == s.base {
			return
		}
	}
	l.sections = append(l.sections, s)
	if s.base == "" {
		l.followIncludes(s)
	}
	l.followExtends(s)
}

func (l *load) followIncludes(s section) {
	include, ok := get(s.node, "include")
	if !ok || s.tier == common {
		return
	}
	list := follow(include.value)
	if list.Kind != yaml.SequenceNode {
		return // the schema check says so
	}
	for _, item := range list.Content {
		l.followInclude(s, follow(item))
	}
}

// followInclude reads the files of one include as Compose does: the first says
// where relative paths begin, the others are merged over it.
func (l *load) followInclude(s section, item *yaml.Node) {
	paths, files := []*yaml.Node{item}, []*yaml.Node(nil)
	dir := ""
	if item.Kind == yaml.MappingNode {
		paths, files = texts(item, "path"), texts(item, "env_file")
		if m, ok := get(item, "project_directory"); ok {
			dir = abs(s.dir, l.substitute(follow(m.value).Value, s.env, s.doc.at(m.value)))
		}
	}
	for i, p := range paths {
		at := s.doc.at(p)
		name := l.substitute(p.Value, s.env, at)
		if remote(name) {
			l.fault(at, "clone it beside flumen.yaml and include the file", "%s: only files can be included", name)
			l.broken = true
			return
		}
		path := abs(s.dir, name)
		if i == 0 {
			if dir == "" {
				dir = filepath.Dir(path)
			}
			s.env = l.includeEnvironment(s, dir, files)
		}
		l.include(s, path, dir, at)
	}
}

func (l *load) include(s section, path, dir string, at place) {
	d := l.document(path, at, "included file")
	if d == nil {
		return
	}
	for _, n := range d.roots {
		l.addSection(section{tier: s.tier, doc: d, node: n, env: s.env, dir: dir})
	}
}

// includeEnvironment adds the env files of an include, or the .env beside it.
func (l *load) includeEnvironment(s section, dir string, nodes []*yaml.Node) environment {
	if len(nodes) == 0 {
		file := filepath.Join(dir, ".env")
		l.Files = append(l.Files, file)
		if !l.readable(file) || !exists(file) || l.sealedInclude(file) {
			return s.env
		}
		return l.addEnvironment(s.env, place{file: l.shown(file)}, file)
	}
	var files []string
	for _, n := range nodes {
		name := l.substitute(n.Value, s.env, s.doc.at(n))
		if s.doc != l.main && !filepath.IsAbs(name) {
			// compose-go looks for it from the current directory, wherever that is.
			l.fault(s.doc.at(n), "call it .env beside the file, or include the file from "+l.main.shown,
				"an included file cannot include another one with an env_file: this version of flumen-agent cannot do this yet")
			l.broken = true
			continue
		}
		if file := abs(s.dir, name); file != os.DevNull && l.envFile(file, s.doc.at(n)) && !l.sealedInclude(file) {
			files = append(files, file)
		}
	}
	return l.addEnvironment(s.env, s.doc.at(nodes[0]), files...)
}

// followExtends reads the files whose services are extended.
func (l *load) followExtends(s section) {
	services, _ := get(s.node, "services")
	for _, service := range members(services.value) {
		if s.base != "" && service.key.Value != s.base {
			continue
		}
		extends, ok := get(service.value, "extends")
		if !ok {
			continue
		}
		file, ok := get(extends.value, "file")
		if !ok {
			continue
		}
		base, _ := get(extends.value, "service")
		at := s.doc.at(file.value)
		path := abs(s.dir, l.substitute(follow(file.value).Value, s.env, at))
		d := l.document(path, at, "extended file")
		if d == nil || base.value == nil {
			continue
		}
		for _, n := range d.roots {
			l.addSection(section{tier: s.tier, doc: d, node: n, env: s.env, dir: filepath.Dir(path), base: follow(base.value).Value})
		}
	}
}

// texts are the scalars of a member that is one text or a list of them.
func texts(n *yaml.Node, name string) []*yaml.Node {
	m, ok := get(n, name)
	if !ok {
		return nil
	}
	list := []*yaml.Node{m.value}
	if v := follow(m.value); v.Kind == yaml.SequenceNode {
		list = v.Content
	}
	var all []*yaml.Node
	for _, item := range list {
		if item = follow(item); item.Kind == yaml.ScalarNode {
			all = append(all, item)
		}
	}
	return all
}

func remote(path string) bool {
	return strings.Contains(path, "://") || strings.HasPrefix(path, "git@") || strings.HasPrefix(path, "oci:")
}

// whole tells whether the section says everything itself: it includes nothing,
// and nothing in it extends anything.
func (s section) whole() bool {
	if _, includes := get(s.node, "include"); includes {
		return false
	}
	services, _ := get(s.node, "services")
	for _, m := range members(services.value) {
		if _, extends := get(m.value, "extends"); extends {
			return false
		}
	}
	return true
}

// where finds where something of a tier stands, as exactly as any file tells.
func (l *load) where(tier int, path ...string) place {
	best, most := l.main.at(nil), 0
	for _, s := range l.sections {
		if s.base != "" || s.tier != tier && s.tier != common && tier != common {
			continue
		}
		if stands, depth := find(s.node, path...); depth > most {
			best, most = s.doc.at(stands), depth
		}
	}
	return best
}
