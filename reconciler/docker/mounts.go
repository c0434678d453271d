package docker

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/go-units"

	"github.com/flumendata/flumen-agent/spec"
)

// anonymousName is how the engine names a volume that was given no name.
var anonymousName = regexp.MustCompile(`^[0-9a-f]{64}$`)

// drawMounts writes the mounts of a service into h. An anonymous volume that moves in
// takes the place of a new one; one at a target that only the image declares is added.
func drawMounts(mounts []spec.Mount, moved map[string]string, h *container.HostConfig) {
	moved = maps.Clone(moved)
	for _, m := range mounts {
		if m.Type == spec.MountVolume && m.Source == "" {
			m.Source = moved[m.Target]
		}
		delete(moved, m.Target)
		if bind, ok := drawBind(m); ok {
			h.Binds = append(h.Binds, bind)
			continue
		}
		if len(m.TmpfsOptions) > 0 {
			drawTmpfs(m, h)
			continue
		}
		h.Mounts = append(h.Mounts, drawMount(m))
	}
	for _, target := range slices.Sorted(maps.Keys(moved)) {
		h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Source: moved[target], Target: target})
	}
}

// drawBind writes a bind mount whose source the engine shall make when it is missing:
// before API 1.42 only this older form does so. It is the only one that relabels.
func drawBind(m spec.Mount) (string, bool) {
	if m.Type != spec.MountBind || !m.CreateHostPath && m.SELinux == "" || strings.Contains(m.Source+m.Target, ":") {
		return "", false
	}
	mode := "rw"
	if m.ReadOnly {
		mode = "ro"
	}
	if m.Propagation != "" {
		mode += "," + m.Propagation
	}
	if m.SELinux != "" {
		mode += "," + m.SELinux
	}
	return m.Source + ":" + m.Target + ":" + mode, true
}

func drawMount(m spec.Mount) mount.Mount {
	out := mount.Mount{Type: mount.Type(m.Type), Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly}
	switch {
	case m.Type == spec.MountBind && m.Propagation != "":
		out.BindOptions = &mount.BindOptions{Propagation: mount.Propagation(m.Propagation)}
	case m.Type == spec.MountVolume && (m.NoCopy || m.Subpath != ""):
		out.VolumeOptions = &mount.VolumeOptions{NoCopy: m.NoCopy, Subpath: m.Subpath}
	case m.Type == spec.MountTmpfs && (m.TmpfsSize != 0 || m.TmpfsMode != 0):
		// The engine prints Mode in octal as it is: the bits are Unix's, not Go's.
		out.TmpfsOptions = &mount.TmpfsOptions{SizeBytes: m.TmpfsSize, Mode: os.FileMode(m.TmpfsMode)}
	}
	return out
}

// drawTmpfs writes a tmpfs with options for which the newer form has no place.
func drawTmpfs(m spec.Mount, h *container.HostConfig) {
	options := slices.Clone(m.TmpfsOptions)
	if m.ReadOnly {
		options = append(options, "ro")
	}
	if m.TmpfsSize != 0 {
		options = append(options, "size="+strconv.FormatInt(m.TmpfsSize, 10))
	}
	if m.TmpfsMode != 0 {
		options = append(options, "mode="+strconv.FormatUint(uint64(m.TmpfsMode), 8))
	}
	if h.Tmpfs == nil {
		h.Tmpfs = map[string]string{}
	}
	h.Tmpfs[m.Target] = strings.Join(options, ",")
}

// readMounts reads the mounts of a container, by target. What is mounted is told by
// the engine's own list; how it was asked for, by the two forms of asking.
func readMounts(c container.InspectResponse) []spec.Mount {
	asked := map[string]mount.Mount{}
	for _, m := range c.HostConfig.Mounts {
		asked[path.Clean(m.Target)] = m
	}
	var all []spec.Mount
	for _, p := range c.Mounts {
		if p.Type == mount.TypeBind || p.Type == mount.TypeVolume {
			all = append(all, readMount(p, asked[p.Destination]))
		}
	}
	for target, m := range asked {
		if m.Type == mount.TypeTmpfs {
			all = append(all, readTmpfs(target, m))
		}
	}
	for target, options := range c.HostConfig.Tmpfs {
		all = append(all, readTmpfsOptions(target, options))
	}
	slices.SortFunc(all, func(a, b spec.Mount) int { return strings.Compare(a.Target, b.Target) })
	return all
}

func readMount(p container.MountPoint, asked mount.Mount) spec.Mount {
	m := spec.Mount{Type: spec.MountType(p.Type), Target: p.Destination, Source: p.Source, ReadOnly: !p.RW}
	modes := strings.Split(p.Mode, ",")
	if m.Type == spec.MountBind {
		m.Propagation = string(p.Propagation)
		for _, label := range []string{"z", "Z"} {
			if slices.Contains(modes, label) {
				m.SELinux = label
			}
		}
		return m
	}
	m.NoCopy = slices.Contains(modes, "nocopy")
	if o := asked.VolumeOptions; o != nil {
		m.NoCopy, m.Subpath = m.NoCopy || o.NoCopy, o.Subpath
	}
	if m.Source = p.Name; anonymousName.MatchString(p.Name) {
		m.Source = ""
	}
	return m
}

func readTmpfs(target string, m mount.Mount) spec.Mount {
	out := spec.Mount{Type: spec.MountTmpfs, Target: target, ReadOnly: m.ReadOnly}
	if o := m.TmpfsOptions; o != nil {
		out.TmpfsSize, out.TmpfsMode = o.SizeBytes, uint32(o.Mode)
	}
	return out
}

// readTmpfsOptions reads the older form, "size=64m,mode=1777,ro".
func readTmpfsOptions(target, options string) spec.Mount {
	out := spec.Mount{Type: spec.MountTmpfs, Target: target}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "", "rw":
		case "ro":
			out.ReadOnly = true
		case "size":
			out.TmpfsSize, _ = units.RAMInBytes(value) // the engine mounted it, so it is a size
		case "mode":
			mode, _ := strconv.ParseUint(value, 8, 32)
			out.TmpfsMode = uint32(mode)
		default:
			out.TmpfsOptions = append(out.TmpfsOptions, option)
		}
	}
	slices.Sort(out.TmpfsOptions)
	return out
}

// anonymousVolumes gives the names of a container's anonymous volumes by target.
func anonymousVolumes(c container.InspectResponse) map[string]string {
	found := map[string]string{}
	for _, p := range c.Mounts {
		if p.Type == mount.TypeVolume && anonymousName.MatchString(p.Name) {
			found[p.Destination] = p.Name
		}
	}
	return found
}
