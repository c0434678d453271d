package compose

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	imagename "github.com/distribution/reference"
)

var restartPolicy = regexp.MustCompile(`^(no|always|unless-stopped|on-failure(:\d+)?)?$`)

// checkValues looks at values that the schema takes for mere texts.
func (c *conversion) checkValues(s types.ServiceConfig) {
	if !restartPolicy.MatchString(s.Restart) {
		c.fault(c.service(s.Name, "restart"), "use no, always, unless-stopped or on-failure[:times]", "%q is not a restart policy", s.Restart)
	}
	c.checkMode(s, "network_mode", s.NetworkMode, "host", "none", "bridge")
	c.checkMode(s, "pid", s.Pid, "host")
	c.checkMode(s, "ipc", s.Ipc, "host", "none", "private", "shareable")
	if s.NetworkMode != "" && len(s.Networks) > 0 {
		c.fault(c.service(s.Name, "network_mode"), "remove one of the two", "service %q has both network_mode and networks", s.Name)
	}
	if s.HealthCheck != nil && len(s.HealthCheck.Test) > 0 && !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, s.HealthCheck.Test[0]) {
		c.fault(c.service(s.Name, "healthcheck", "test"), "", "a list for healthcheck.test begins with CMD, CMD-SHELL or NONE")
	}
	for _, p := range s.Ports {
		if _, err := netip.ParseAddr(p.HostIP); p.HostIP != "" && err != nil {
			c.fault(c.port(s.Name, p), "", "%q is not an IP address", p.HostIP)
		}
		if p.Target == 0 || p.Target > 65535 {
			c.fault(c.port(s.Name, p), "", "%d is not a port", p.Target)
		}
	}
	if s.Deploy != nil && s.Deploy.Mode != "" && s.Deploy.Mode != "replicated" {
		c.fault(c.service(s.Name, "deploy", "mode"), "", "deploy.mode %q: this version of flumen-agent cannot do this yet", s.Deploy.Mode)
	}
	if s.Scale != nil && s.Deploy != nil && s.Deploy.Replicas != nil && *s.Scale != *s.Deploy.Replicas {
		c.fault(c.service(s.Name, "scale"), "keep one of the two", "scale and deploy.replicas differ")
	}
	if n := s.GetScale(); n < 0 || n > maxScale {
		c.fault(c.scalePlace(s), "", "a service cannot have %d instances: 0 to %d are possible", n, maxScale)
	}
	c.checkReference(s)
}

// maxScale is more than one engine can run: a network of it has fewer addresses.
const maxScale = 1000

// scalePlace is where the number of instances is said.
func (c *conversion) scalePlace(s types.ServiceConfig) place {
	if s.Deploy != nil && s.Deploy.Replicas != nil {
		return c.service(s.Name, "deploy", "replicas")
	}
	return c.service(s.Name, "scale")
}

// checkReference: the engine would refuse the name of the image when it is pulled or built.
func (c *conversion) checkReference(s types.ServiceConfig) {
	if s.Image == "" {
		return
	}
	if _, err := imagename.ParseNormalizedNamed(s.Image); err != nil {
		c.fault(c.service(s.Name, "image"), "write it as [HOST/]NAME[:TAG], in lower case but for the tag", "%q is not the name of an image: %v", s.Image, err)
	}
}

// checkMode: a namespace is one of the known words, or another service's.
func (c *conversion) checkMode(s types.ServiceConfig, key, mode string, known ...string) {
	if mode == "" || slices.Contains(known, mode) || strings.HasPrefix(mode, types.ServicePrefix) {
		return
	}
	c.fault(c.service(s.Name, key), "use "+strings.Join(append(known, "service:NAME"), ", "), "%s %q: this version of flumen-agent cannot do this yet", key, mode)
}

// The most that a limit can sensibly say: more than any machine has.
const (
	maxMemory = 1 << 50 // bytes: 1 PiB
	maxCores  = 100_000
)

// checkLimits: limits are what a machine can have, and what can be said in two places is
// said alike.
func (c *conversion) checkLimits(s types.ServiceConfig) {
	c.checkBytes(c.service(s.Name, "mem_limit"), s.MemLimit)
	c.checkBytes(c.service(s.Name, "mem_reservation"), s.MemReservation)
	c.checkBytes(c.service(s.Name, "shm_size"), s.ShmSize)
	c.checkBytes(c.service(s.Name, "memswap_limit"), max(s.MemSwapLimit, 0)) // -1 is no limit
	c.checkCores(c.service(s.Name, "cpus"), s.CPUS)
	if s.Deploy == nil {
		return
	}
	differ := func(key, other string, a, b float64) {
		if a != 0 && b != 0 && a != b {
			c.fault(c.service(s.Name, key), "keep one of the two", "%s and deploy.resources.%s differ", key, other)
		}
	}
	if r := s.Deploy.Resources.Limits; r != nil {
		c.checkBytes(c.service(s.Name, "deploy", "resources", "limits", "memory"), r.MemoryBytes)
		c.checkCores(c.service(s.Name, "deploy", "resources", "limits", "cpus"), r.NanoCPUs.Value())
		differ("cpus", "limits.cpus", float64(s.CPUS), float64(r.NanoCPUs.Value()))
		differ("mem_limit", "limits.memory", float64(s.MemLimit), float64(r.MemoryBytes))
		differ("pids_limit", "limits.pids", float64(s.PidsLimit), float64(r.Pids))
	}
	if r := s.Deploy.Resources.Reservations; r != nil {
		c.checkBytes(c.service(s.Name, "deploy", "resources", "reservations", "memory"), r.MemoryBytes)
		differ("mem_reservation", "reservations.memory", float64(s.MemReservation), float64(r.MemoryBytes))
	}
}

func (c *conversion) checkBytes(at place, n types.UnitBytes) {
	if n < 0 || n > maxMemory {
		c.fault(at, "as in 512m or 2g", "%d bytes are not a size that a machine can have", n)
	}
}

func (c *conversion) checkCores(at place, n float32) {
	if !(n >= 0 && n <= maxCores) { // NaN is neither
		c.fault(at, "as in 0.5 or 2", "%v is not a number of cores that a machine can have", n)
	}
}

// checkMounts: one thing is mounted at each place, which is an absolute path.
func (c *conversion) checkMounts(s types.ServiceConfig) {
	taken := map[string]bool{}
	add := func(at place, target string) {
		if !strings.HasPrefix(target, "/") {
			c.fault(at, "", "%q is not an absolute path in the container", target)
		}
		if taken[target] {
			c.fault(at, "", "service %q mounts two things at %s", s.Name, target)
		}
		taken[target] = true
	}
	for _, v := range s.Volumes {
		add(c.item(s.Name, "volumes", v.Target), v.Target)
	}
	for _, text := range s.Tmpfs {
		target, _, _ := strings.Cut(text, ":")
		add(c.item(s.Name, "tmpfs", text), target)
	}
	for _, h := range c.handouts(s) {
		add(h.at, h.target())
	}
}
