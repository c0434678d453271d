package compose

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flumendata/flumen-agent/spec"
)

// Tree is a directory that a spec lies in and must not lead out of: nothing beside it is
// read. What is made of the spec has its files elsewhere, in As, where the same tree will
// be when it counts.
type Tree struct{ Dir, As string }

// within tells whether a path, which is absolute, lies in a directory.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// outside refuses a path that leads out of the tree, or to what processes were started with.
func (l *load) outside(path string, at place, what string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil && within(real, "/proc") {
		l.fault(at, "name a file", "%s %s is of a process and no file, and nothing of processes is read", what, path)
		return true
	}
	if l.readable(path) {
		return false
	}
	l.fault(at, "put it into the repository", "%s %s lies outside the repository, and nothing outside is read", what, path)
	return true
}

// readable tells whether a path may be read.
func (l *load) readable(path string) bool {
	return l.options.Tree == nil || within(path, l.options.Tree.Dir)
}

// checkMounts refuses relative mounts that lead out of the tree: nobody can say what will
// be there. An absolute path is one of the host's.
func (l *load) checkMounts() {
	if l.options.Tree == nil {
		return
	}
	for _, s := range l.sections {
		services, _ := get(s.node, "services")
		for _, service := range members(services.value) {
			volumes, ok := get(service.value, "volumes")
			if !ok {
				continue
			}
			for _, item := range follow(volumes.value).Content {
				l.checkMount(s, follow(item))
			}
		}
	}
}

func (l *load) checkMount(s section, item *yaml.Node) {
	at := s.doc.at(item)
	source := ""
	if item.Kind == yaml.ScalarNode {
		source, _, _ = strings.Cut(l.substitute(item.Value, s.env, at), ":")
	} else if m, ok := get(item, "source"); ok {
		source = l.substitute(follow(m.value).Value, s.env, at)
	}
	if strings.HasPrefix(source, "~") {
		l.fault(at, "write the whole path", "%s: the agent's home directory is not that of whoever wrote this", source)
		return
	}
	if strings.HasPrefix(source, ".") || strings.Contains(source, "/") && !filepath.IsAbs(source) {
		l.outside(abs(s.dir, source), at, "mounted file")
	}
}

// HostDir is a directory that this process and the engine know by two names.
type HostDir struct{ Here, Host string }

// ParseHostDir reads "HERE=HOST".
func ParseHostDir(text string) (HostDir, error) {
	here, host, ok := strings.Cut(text, "=")
	if !ok || !filepath.IsAbs(here) || !filepath.IsAbs(host) {
		return HostDir{}, fmt.Errorf("%q does not say which directory here is which on the host: write HERE=HOST, two absolute paths", text)
	}
	return HostDir{filepath.Clean(here), filepath.Clean(host)}, nil
}

// OnHost is what the engine calls a path of this process. Of several directories that hold
// it the innermost counts.
func OnHost(dirs []HostDir, path string) string {
	best := HostDir{}
	for _, d := range dirs {
		if within(path, d.Here) && len(d.Here) > len(best.Here) {
			best = d
		}
	}
	if best.Here == "" {
		return path
	}
	return moved(path, best.Here, best.Host)
}

// moved gives a path of one directory in another.
func moved(path, from, to string) string {
	rel, _ := filepath.Rel(from, path) // the caller knows that it lies within
	return filepath.Join(to, rel)
}

// relocate has everything that was made of the spec name its files as they will be called:
// what the agent reads where the tree will be, what the engine mounts by the host's name.
func (l *load) relocate() {
	for _, s := range spec.Resources[*spec.Service](l.Desired) {
		s.Mounts, s.Files = slices.Clone(s.Mounts), slices.Clone(s.Files) // instances share them
		for i := range s.Mounts {
			if s.Mounts[i].Type == spec.MountBind {
				s.Mounts[i].Source = OnHost(l.options.HostDirs, l.relocated(s.Mounts[i].Source))
			}
		}
		for i := range s.Files {
			s.Files[i].Source = OnHost(l.options.HostDirs, l.relocated(s.Files[i].Source))
		}
	}
	for _, image := range spec.Resources[*spec.Image](l.Desired) {
		if b := image.Build; b != nil {
			b.Context, b.Dockerfile = l.relocated(b.Context), l.relocated(b.Dockerfile)
		}
	}
	l.Desired.Checks.Reports.Dir = l.relocated(l.Desired.Checks.Reports.Dir)
}

func (l *load) relocated(path string) string {
	t := l.options.Tree
	if t == nil || path == "" || !within(path, t.Dir) {
		return path
	}
	return moved(path, t.Dir, t.As)
}
