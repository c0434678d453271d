package docker

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"

	"github.com/flumendata/flumen-agent/spec"
)

// blueprint is a container as the engine is asked to make it. Only the first network
// is given when it is made, since engines before API 1.44 take no more; the others are
// connected before it starts.
type blueprint struct {
	config   *container.Config
	host     *container.HostConfig
	networks []endpoint
}

// endpoint is a container's end of one network.
type endpoint struct {
	network  string
	settings *network.EndpointSettings
}

// site is what a blueprint needs to know besides the service.
type site struct {
	entrypoint []string          // the image's
	labels     map[string]string // ours and Compose's
	containers map[string]string // IDs of containers by service, for shared namespaces
	moved      map[string]string // anonymous volumes that move in, by target
}

// draw makes a blueprint of a service.
func draw(s *spec.Service, at site) blueprint {
	return blueprint{config: drawConfig(s, at), host: drawHost(s, at), networks: drawNetworks(s)}
}

func drawConfig(s *spec.Service, at site) *container.Config {
	c := &container.Config{
		Image:        s.Image,
		Hostname:     s.Hostname,
		User:         s.User,
		WorkingDir:   s.WorkingDir,
		Tty:          s.TTY,
		OpenStdin:    s.StdinOpen,
		Entrypoint:   s.Entrypoint,
		Cmd:          s.Command,
		Env:          drawEnvironment(s.Environment),
		Healthcheck:  drawHealth(s.Health),
		StopSignal:   s.StopSignal,
		StopTimeout:  drawGrace(s.StopGrace),
		ExposedPorts: nat.PortSet{},
		Labels:       maps.Clone(s.Labels),
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, at.labels)
	for port := range drawPorts(s.Ports) {
		c.ExposedPorts[port] = struct{}{}
	}
	// The engine takes the image's command where none is given, unless an entrypoint
	// is: so no command needs the image's own entrypoint said aloud.
	if s.Command != nil && len(s.Command) == 0 && s.Entrypoint == nil {
		c.Entrypoint = at.entrypoint
	}
	return c
}

func drawEnvironment(env map[string]spec.Value) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if env[name].IsZero() {
			all = append(all, name) // takes the image's variable away
			continue
		}
		all = append(all, name+"="+env[name].Reveal())
	}
	return all
}

func drawHealth(h *spec.Health) *container.HealthConfig {
	if h == nil {
		return nil
	}
	return &container.HealthConfig{
		Test: h.Test, Interval: h.Interval, Timeout: h.Timeout,
		StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
	}
}

// drawGrace rounds up to the whole seconds that the engine counts in.
func drawGrace(grace *time.Duration) *int {
	if grace == nil {
		return nil
	}
	seconds := int((*grace + time.Second - 1) / time.Second)
	return &seconds
}

func drawHost(s *spec.Service, at site) *container.HostConfig {
	h := &container.HostConfig{
		RestartPolicy:  drawRestart(s.Restart),
		Privileged:     s.Privileged,
		ReadonlyRootfs: s.ReadOnly,
		NetworkMode:    drawNetworkMode(s, at),
		PidMode:        container.PidMode(drawNamespace(s.PID, at)),
		IpcMode:        container.IpcMode(drawNamespace(s.IPC, at)),
		PortBindings:   drawPorts(s.Ports),
		ExtraHosts:     s.ExtraHosts,
		DNS:            s.DNS,
		DNSSearch:      s.DNSSearch,
		DNSOptions:     s.DNSOptions,
		ShmSize:        s.ShmSize,
		Sysctls:        s.Sysctls,
		CapAdd:         s.CapAdd,
		CapDrop:        s.CapDrop,
		SecurityOpt:    s.SecurityOpt,
		GroupAdd:       s.GroupAdd,
		LogConfig:      container.LogConfig{Type: s.Logging.Driver, Config: s.Logging.Options},
		Resources:      drawResources(s),
	}
	if s.Init {
		h.Init = &s.Init
	}
	drawMounts(s.Mounts, at.moved, h)
	return h
}

func drawResources(s *spec.Service) container.Resources {
	r := container.Resources{
		NanoCPUs:          s.NanoCPUs,
		Memory:            s.Memory,
		MemorySwap:        s.MemorySwap,
		MemoryReservation: s.MemoryReservation,
	}
	if s.PidsLimit != 0 {
		r.PidsLimit = &s.PidsLimit
	}
	for _, name := range slices.Sorted(maps.Keys(s.Ulimits)) {
		r.Ulimits = append(r.Ulimits, &container.Ulimit{Name: name, Soft: s.Ulimits[name].Soft, Hard: s.Ulimits[name].Hard})
	}
	for _, d := range s.Devices {
		r.Devices = append(r.Devices, container.DeviceMapping{PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: d.Permissions})
	}
	return r
}

// drawRestart reads Compose's "on-failure:3".
func drawRestart(restart string) container.RestartPolicy {
	name, count, _ := strings.Cut(restart, ":")
	n, _ := strconv.Atoi(count) // the loader lets no other text pass
	return container.RestartPolicy{Name: container.RestartPolicyMode(name), MaximumRetryCount: n}
}

func drawNetworkMode(s *spec.Service, at site) container.NetworkMode {
	if s.NetworkMode == "" && len(s.Networks) > 0 {
		return container.NetworkMode(s.Networks[0].Name)
	}
	return container.NetworkMode(drawNamespace(s.NetworkMode, at))
}

// drawNamespace turns "service:NAME" into the container that runs it.
func drawNamespace(mode string, at site) string {
	if service, ok := strings.CutPrefix(mode, "service:"); ok {
		return "container:" + at.containers[service]
	}
	return mode
}

func drawPorts(ports []spec.Port) nat.PortMap {
	m := nat.PortMap{}
	for _, p := range ports {
		inside := nat.Port(strconv.Itoa(int(p.Target)) + "/" + p.Protocol)
		m[inside] = append(m[inside], nat.PortBinding{HostIP: p.HostIP, HostPort: p.Published})
	}
	return m
}

func drawNetworks(s *spec.Service) []endpoint {
	var all []endpoint
	for _, a := range s.Networks {
		all = append(all, endpoint{a.Name, drawEndpoint(s.Name, a)})
	}
	return all
}

func drawEndpoint(service string, a spec.Attachment) *network.EndpointSettings {
	e := &network.EndpointSettings{Aliases: append(slices.Clone(a.Aliases), service)}
	if a.IPv4 != "" || a.IPv6 != "" {
		e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: a.IPv4, IPv6Address: a.IPv6}
	}
	return e
}
