package compose

import (
	"cmp"
	"errors"
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
			c.fault(c.item(s.Name, "tmpfs", text), `write it as in "/run:size=64m,mode=1777,noexec"`, "%v", err)
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
		if v.Volume != nil {
			m.NoCopy, m.Subpath = v.Volume.NoCopy, v.Volume.Subpath
		}
	case types.VolumeTypeTmpfs:
		m.Source = ""
		if v.Tmpfs != nil {
			m.TmpfsSize, m.TmpfsMode = int64(v.Tmpfs.Size), v.Tmpfs.Mode
		}
	case types.VolumeTypeBind:
		m.CreateHostPath = true
		if v.Bind != nil {
			m.CreateHostPath, m.Propagation, m.SELinux = bool(v.Bind.CreateHostPath), v.Bind.Propagation, v.Bind.SELinux
		}
		c.checkSELinux(at, m)
		c.bind(at, &m)
	default:
		c.fault(at, "use bind, volume or tmpfs", "mounts of type %q: this version of flumen-agent cannot do this yet", v.Type)
		return m, false
	}
	return m, true
}

// checkSELinux: only the engine's older form of a mount can relabel, and it has colons
// between its parts.
func (c *conversion) checkSELinux(at place, m spec.Mount) {
	switch {
	case m.SELinux == "":
	case m.SELinux != types.SELinuxShared && m.SELinux != types.SELinuxPrivate:
		c.fault(at, "write z (shared by containers) or Z (for this one)", "selinux %q is unknown", m.SELinux)
	case strings.Contains(m.Source+m.Target, ":"):
		c.fault(at, "", "the engine cannot relabel %s for SELinux, since a colon is in its path", m.Source)
	}
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
	if isSealed(m.Source) {
		c.fault(at, "hand it over as a secret or config, which is opened in memory", "%s is encrypted, and would be mounted as it is", c.shown(m.Source))
		return
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
		case "", "rw":
		case "ro":
			m.ReadOnly = true
		case "size":
			m.TmpfsSize, err = units.RAMInBytes(value)
		case "mode":
			var mode uint64
			mode, err = strconv.ParseUint(value, 8, 32)
			m.TmpfsMode = uint32(mode)
		default:
			err = checkTmpfsOption(option)
			m.TmpfsOptions = append(m.TmpfsOptions, option)
		}
		if err != nil {
			return m, fmt.Errorf("tmpfs option %q: %w", option, err)
		}
	}
	slices.Sort(m.TmpfsOptions)
	return m, nil
}

// tmpfsFlags and tmpfsNumbers are the options that the engine takes, besides size and mode;
// it finds the others wrong only when the container is made.
var (
	tmpfsFlags = []string{
		"async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "mand", "noatime", "nodev", "nodiratime", "noexec", "nomand",
		"norelatime", "nostrictatime", "nosuid", "rbind", "relatime", "remount", "strictatime", "suid", "sync",
	}
	tmpfsNumbers = []string{"uid", "gid", "nr_inodes", "nr_blocks"}
)

func checkTmpfsOption(option string) error {
	key, value, valued := strings.Cut(option, "=")
	switch {
	case valued && (slices.Contains(tmpfsNumbers, key) || key == "mpol"):
		if _, err := strconv.ParseUint(strings.TrimRight(value, "kmgKMG"), 10, 64); err != nil && key != "mpol" {
			return fmt.Errorf("%q is not a number", value)
		}
		return nil
	case !valued && slices.Contains(tmpfsFlags, key):
		return nil
	}
	return errors.New("the engine knows no such option")
}
