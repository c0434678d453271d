package compose

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// fileMode is what a config or secret has unless its service says otherwise.
const fileMode = 0o444

// files are the configs and secrets of a service, by target.
func (c *conversion) files(one *spec.Service, s types.ServiceConfig) {
	for _, ref := range s.Configs {
		at := c.item(s.Name, "configs", ref.Source, ref.Target)
		object := types.FileObjectConfig(c.project.Configs[ref.Source])
		c.file(one, at, "configs", types.FileReferenceConfig(ref), object)
	}
	for _, ref := range s.Secrets {
		at := c.item(s.Name, "secrets", ref.Source, ref.Target)
		object := types.FileObjectConfig(c.project.Secrets[ref.Source])
		c.file(one, at, "secrets", types.FileReferenceConfig(ref), object)
	}
	slices.SortFunc(one.Files, func(a, b spec.File) int { return cmp.Compare(a.Target, b.Target) })
	slices.SortFunc(one.Mounts, func(a, b spec.Mount) int { return cmp.Compare(a.Target, b.Target) })
}

func (c *conversion) file(one *spec.Service, at place, kind string, ref types.FileReferenceConfig, object types.FileObjectConfig) {
	content, modified, ok := c.content(kind, ref.Source, object)
	if !ok {
		return
	}
	target := fileTarget(kind, ref)
	if one.ReadOnly {
		c.bindFile(one, at, kind, target, ref, object)
		return
	}
	f := spec.File{
		Target:   target,
		Content:  c.text(content),
		Mode:     fileMode,
		UID:      ref.UID,
		GID:      ref.GID,
		Source:   object.File,
		Modified: modified,
	}
	if kind == "secrets" {
		f.Content = f.Content.Hide()
	}
	if ref.Mode != nil {
		f.Mode = uint32(*ref.Mode)
	}
	c.checkOwner(at, ref)
	sum := sha256.Sum256(fmt.Appendf(nil, "%o %q %q\n%s", f.Mode, f.UID, f.GID, content))
	f.Digest = "sha256:" + hex.EncodeToString(sum[:])
	one.Files = append(one.Files, f)
}

// bindFile mounts the file itself: nothing can be copied into a container whose
// root file system is read-only.
func (c *conversion) bindFile(one *spec.Service, at place, kind, target string, ref types.FileReferenceConfig, object types.FileObjectConfig) {
	if ref.UID != "" || ref.GID != "" || ref.Mode != nil {
		c.fault(at, "set them on the file itself", "uid, gid and mode have no effect in a service with read_only: true, where %s is bound", ref.Source)
		return
	}
	if object.File == "" || c.interpolated(kind, object) {
		c.fault(at, "give it a file:, or remove read_only: true", "%s cannot be copied into a service with read_only: true", ref.Source)
		return
	}
	m := spec.Mount{Type: spec.MountBind, Target: target, Source: object.File, ReadOnly: true}
	c.bind(at, &m)
	if kind == "secrets" {
		m.Digest = stretch(m.Digest, target)
	}
	one.Mounts = append(one.Mounts, m)
}

func (c *conversion) checkOwner(at place, ref types.FileReferenceConfig) {
	for _, id := range []string{ref.UID, ref.GID} {
		if _, err := strconv.ParseUint(id, 10, 32); id != "" && err != nil {
			c.fault(at, "", "%q is not a number: uid and gid of %s have to be", id, ref.Source)
		}
	}
}

func fileTarget(kind string, ref types.FileReferenceConfig) string {
	target := cmp.Or(ref.Target, ref.Source)
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	if kind == "secrets" {
		return path.Join("/run/secrets", target)
	}
	return path.Join("/", target)
}

// content gives what a config or secret holds.
func (c *conversion) content(kind, name string, object types.FileObjectConfig) (content string, modified time.Time, ok bool) {
	switch {
	case object.File != "":
		return c.fileContent(kind, name, object)
	case object.Environment != "":
		at := c.where(c.joined.from[kind][name], kind, name, "environment")
		if _, set := c.project.Environment[object.Environment]; !set && object.Content == "" {
			c.fault(at, "set it", "variable %s of %s.%s is not set", object.Environment, kind, name)
			return "", time.Time{}, false
		}
		content = cmp.Or(object.Content, c.project.Environment[object.Environment])
		c.variable(object.Environment, content)
		return content, time.Time{}, true
	default:
		return object.Content, time.Time{}, true
	}
}

func (c *conversion) fileContent(kind, name string, object types.FileObjectConfig) (string, time.Time, bool) {
	at := c.where(c.joined.from[kind][name], kind, name, "file")
	c.Files = append(c.Files, object.File)
	content, err := readRegular(object.File)
	if err != nil {
		c.fault(at, "make it", "%s.%s: %s cannot be read: %v", kind, name, c.shown(object.File), reason(err))
		return "", time.Time{}, false
	}
	info, err := os.Stat(object.File)
	if err != nil {
		c.fault(at, "", "%v", err)
		return "", time.Time{}, false
	}
	text := string(content)
	if c.interpolated(kind, object) {
		if text, err = c.fill(text); err != nil {
			c.fault(at, "set it, write ${NAME:-default}, or $$ for a $ of its own", "%s: %v", c.shown(object.File), err)
			return "", time.Time{}, false
		}
	}
	return text, info.ModTime(), true
}

// interpolated: the file has variables (x-flumen.interpolate).
func (c *conversion) interpolated(kind string, object types.FileObjectConfig) bool {
	own, _ := object.Extensions["x-flumen"].(map[string]any)
	return kind == "configs" && fmt.Sprint(own["interpolate"]) == "true"
}

// fill puts variables into a file. One that is not set is an error here: nobody
// reads the warnings of a server that starts with half a configuration.
func (c *conversion) fill(text string) (string, error) {
	if unset := c.use(text, environment(c.project.Environment)); len(unset) > 0 {
		return "", fmt.Errorf("variable %s is not set", unset[0])
	}
	return template.Substitute(text, c.project.Environment.Resolve)
}
