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
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// fileMode is what a config or secret has unless its service says otherwise.
const fileMode = 0o444

// secretsDir is where Compose puts secrets that name no absolute path.
const secretsDir = "/run/secrets/"

// handout is a config or secret that a service gets.
type handout struct {
	kind   string // "configs" or "secrets"
	ref    types.FileReferenceConfig
	object types.FileObjectConfig
	at     place // where the service asks for it
}

// handouts are those of a service.
func (c *conversion) handouts(s types.ServiceConfig) []handout {
	var all []handout
	for _, ref := range s.Configs {
		all = append(all, handout{"configs", types.FileReferenceConfig(ref), types.FileObjectConfig(c.project.Configs[ref.Source]),
			c.item(s.Name, "configs", ref.Source, ref.Target)})
	}
	for _, ref := range s.Secrets {
		all = append(all, handout{"secrets", types.FileReferenceConfig(ref), types.FileObjectConfig(c.project.Secrets[ref.Source]),
			c.item(s.Name, "secrets", ref.Source, strings.TrimPrefix(ref.Target, secretsDir))})
	}
	return all
}

// target is where it goes in the container.
func (h handout) target() string {
	name := cmp.Or(h.ref.Target, h.ref.Source)
	switch {
	case path.IsAbs(name):
		return path.Clean(name)
	case h.kind == "secrets":
		return path.Join(secretsDir, name)
	default:
		return path.Join("/", name)
	}
}

// interpolated: the file has variables (x-flumen.interpolate).
func (h handout) interpolated() bool {
	own, _ := h.object.Extensions["x-flumen"].(map[string]any)
	return h.kind == "configs" && fmt.Sprint(own["interpolate"]) == "true"
}

// String is as in "configs.site".
func (h handout) String() string { return h.kind + "." + h.ref.Source }

// files hands configs and secrets to a service, by target.
func (c *conversion) files(one *spec.Service, s types.ServiceConfig) {
	for _, h := range c.handouts(s) {
		if one.ReadOnly {
			c.bindHandout(one, h)
		} else {
			c.copyHandout(one, h)
		}
	}
	slices.SortFunc(one.Files, func(a, b spec.File) int { return cmp.Compare(a.Target, b.Target) })
	slices.SortFunc(one.Mounts, func(a, b spec.Mount) int { return cmp.Compare(a.Target, b.Target) })
}

func (c *conversion) copyHandout(one *spec.Service, h handout) {
	content, modified, ok := c.content(h)
	if !ok {
		return
	}
	f := spec.File{
		Target:   h.target(),
		Content:  c.text(content),
		Mode:     fileMode,
		UID:      h.ref.UID,
		GID:      h.ref.GID,
		Source:   h.object.File,
		Modified: modified,
	}
	if h.kind == "secrets" || c.opened[h.object.File] {
		f.Content = f.Content.Hide()
	}
	if h.ref.Mode != nil {
		f.Mode = uint32(*h.ref.Mode)
	}
	for _, id := range []string{f.UID, f.GID} {
		if _, err := strconv.ParseUint(id, 10, 32); id != "" && err != nil {
			c.fault(h.at, "", "%q is not a number: uid and gid of %s have to be", id, h.ref.Source)
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%o %q %q\n%s", f.Mode, f.UID, f.GID, content))
	f.Digest = "sha256:" + hex.EncodeToString(sum[:])
	one.Files = append(one.Files, f)
}

// bindHandout mounts the file itself: nothing can be copied into a container
// whose root file system is read-only.
func (c *conversion) bindHandout(one *spec.Service, h handout) {
	if h.ref.UID != "" || h.ref.GID != "" || h.ref.Mode != nil {
		c.fault(h.at, "set them on the file itself", "uid, gid and mode have no effect in a service with read_only: true, where %s is bound", h.ref.Source)
		return
	}
	if h.object.File == "" || h.interpolated() {
		c.fault(h.at, "give it a file:, or remove read_only: true", "%s cannot be copied into a service with read_only: true", h.ref.Source)
		return
	}
	if c.outside(h.object.File, c.source(h, "file"), h.String()+": file") {
		return
	}
	if isSealed(h.object.File) {
		c.fault(h.at, "remove read_only: true", "%s is encrypted, and cannot be copied into a service with read_only: true", c.shown(h.object.File))
		return
	}
	m := spec.Mount{Type: spec.MountBind, Target: h.target(), Source: h.object.File, ReadOnly: true}
	c.bind(h.at, &m)
	m.Secret = h.kind == "secrets"
	one.Mounts = append(one.Mounts, m)
}

// content gives what a config or secret holds, and when its file changed.
func (c *conversion) content(h handout) (content string, modified time.Time, ok bool) {
	switch {
	case h.object.File != "":
		return c.fileContent(h)
	case h.object.Environment != "":
		text, set := c.project.Environment[h.object.Environment]
		content = cmp.Or(h.object.Content, text) // an included file has variables of its own
		if !set && content == "" {
			c.fault(c.source(h, "environment"), "set it", "variable %s of %s is not set", h.object.Environment, h)
			return "", time.Time{}, false
		}
		c.variable(h.object.Environment, content)
		return content, time.Time{}, true
	case len(h.command()) > 0:
		content, ok = c.outputs[h.ref.Source]
		return content, time.Time{}, ok
	default:
		return h.object.Content, time.Time{}, true
	}
}

// source is where a config or secret says what it holds.
func (c *conversion) source(h handout, key string) place {
	return c.where(c.joined.from[h.kind][h.ref.Source], h.kind, h.ref.Source, key)
}

func (c *conversion) fileContent(h handout) (string, time.Time, bool) {
	at := c.source(h, "file")
	if c.outside(h.object.File, at, h.String()+": file") {
		return "", time.Time{}, false
	}
	c.Files = append(c.Files, h.object.File)
	content, err := readRegular(h.object.File)
	if err != nil {
		c.fault(at, "make it", "%s: %s cannot be read: %v", h, c.shown(h.object.File), reason(err))
		return "", time.Time{}, false
	}
	info, err := os.Stat(h.object.File)
	if err != nil {
		c.fault(at, "", "%v", err)
		return "", time.Time{}, false
	}
	opened, ok := c.unseal(content, h.object.File, at)
	if !ok {
		return "", time.Time{}, false
	}
	text := string(opened.Content)
	if h.interpolated() {
		if text, err = c.fill(text); err != nil {
			c.fault(at, "set it, write ${NAME:-default}, or $$ for a $ of its own", "%s: %v", c.shown(h.object.File), err)
			return "", time.Time{}, false
		}
	}
	return text, info.ModTime(), true
}

// fill puts variables into a file. One that is not set is an error here: nobody
// reads the warnings of a server that starts with half a configuration.
func (c *conversion) fill(text string) (string, error) {
	if unset := c.use(text, environment(c.project.Environment)); len(unset) > 0 {
		if Own(unset[0]) {
			return "", fmt.Errorf("variable %s is the agent's own, and a spec may not have it", unset[0])
		}
		return "", fmt.Errorf("variable %s is not set", unset[0])
	}
	return template.Substitute(text, c.project.Environment.Resolve)
}
