package compose

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"

	"github.com/flumendata/flumen-agent/spec"
)

// mounts are the volumes of a service and its tmpfs, by target.
func (c *conversion) mounts(one *spec.Service, s types.ServiceConfig) {
	for _, v := range s.Volumes {
		at := c.item(s.Name, "volumes", v.Target)
		if m, ok := c.mount(at, v); ok {
			one.Mounts = append(one.Mounts, m)
		}
	}
	for _, text := range s.Tmpfs {
		m, err := tmpfs(text)
		if err != nil {
			c.fault(c.item(s.Name, "tmpfs", text), "size and mode are supported", "%v", err)
			continue
		}
		one.Mounts = append(one.Mounts, m)
	}
	slices.SortFunc(one.Mounts, func(a, b spec.Mount) int { return cmp.Compare(a.Target, b.Target) })
}

func (c *conversion) mount(at place, v types.ServiceVolumeConfig) (spec.Mount, bool) {
	m := spec.Mount{Type: spec.MountType(v.Type), Target: path.Clean(v.Target), Source: v.Source, ReadOnly: v.ReadOnly}
	switch v.Type {
	case types.VolumeTypeVolume:
		if v.Source != "" {
			m.Volume, m.Source = v.Source, c.project.Volumes[v.Source].Name
		}
		m.NoCopy = v.Volume != nil && v.Volume.NoCopy
	case types.VolumeTypeTmpfs:
		m.Source = ""
		if v.Tmpfs != nil {
			m.TmpfsSize, m.TmpfsMode = int64(v.Tmpfs.Size), v.Tmpfs.Mode
		}
	case types.VolumeTypeBind:
		m.CreateHostPath = true
		if v.Bind != nil {
			m.CreateHostPath, m.Propagation = bool(v.Bind.CreateHostPath), v.Bind.Propagation
		}
		c.bind(at, &m)
	default:
		c.fault(at, "use bind, volume or tmpfs", "mounts of type %q: this version of flumen-agent cannot do this yet", v.Type)
		return m, false
	}
	return m, true
}

// bind looks at what is bound: whether it is there, and what it holds.
func (c *conversion) bind(at place, m *spec.Mount) {
	if !exists(m.Source) {
		c.Files = append(c.Files, m.Source)
		if m.CreateHostPath {
			c.warn(at, "make it first if it is meant to be a file", "%s does not exist: Docker would make an empty directory of it", c.shown(m.Source))
		} else {
			c.fault(at, "make it, or remove create_host_path: false", "%s does not exist", c.shown(m.Source))
		}
		return
	}
	if !c.readable(m.Source) {
		return // it is the host's, and changes as it likes
	}
	d, err := c.digest(m.Source, m.ReadOnly)
	switch {
	case err != nil:
		c.warn(at, "the service will not be replaced when it changes", "%s cannot be read: %v", c.shown(m.Source), reason(err))
	case d.tooMuch:
		c.warn(at, "the service will not be replaced when it changes", "%s holds more than %d files or %s", c.shown(m.Source), maxFiles, units.BytesSize(maxBytes))
	case d.sum != "":
		c.Files = append(c.Files, m.Source) // what has no digest may change as it likes
	}
	m.Digest, m.Modified = d.sum, d.modified
}

// digest reads what is mounted into many services only once.
func (l *load) digest(path string, directories bool) (digest, error) {
	key := fmt.Sprint(directories, path)
	if d, ok := l.digests[key]; ok {
		return d, nil
	}
	d, err := digestOf(path, directories)
	l.digests[key] = d
	return d, err
}

// tmpfs reads the short form: "/run:size=64m,mode=1777".
func tmpfs(text string) (spec.Mount, error) {
	target, options, _ := strings.Cut(text, ":")
	m := spec.Mount{Type: spec.MountTmpfs, Target: path.Clean(target)}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		var err error
		switch key {
		case "":
		case "size":
			m.TmpfsSize, err = units.RAMInBytes(value)
		case "mode":
			var mode uint64
			mode, err = strconv.ParseUint(value, 8, 32)
			m.TmpfsMode = uint32(mode)
		default:
			err = fmt.Errorf("this version of flumen-agent cannot do this yet")
		}
		if err != nil {
			return m, fmt.Errorf("tmpfs option %q: %w", option, err)
		}
	}
	return m, nil
}
