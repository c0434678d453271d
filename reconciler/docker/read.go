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

// read makes a service of a container: the reverse of draw. services names those that
// the project's containers run, by container ID, for shared namespaces.
func read(c container.InspectResponse, services map[string]string) *spec.Service {
	s := &spec.Service{
		Name:      c.Config.Labels[composeService],
		Number:    1,
		Container: strings.TrimPrefix(c.Name, "/"),
		Image:     c.Config.Image,
	}
	readConfig(s, c.Config)
	readHost(s, c.HostConfig)
	readNamespaces(s, c, services)
	s.Mounts = readMounts(c)
	return s
}

func readConfig(s *spec.Service, c *container.Config) {
	s.Hostname, s.User, s.WorkingDir = c.Hostname, c.User, c.WorkingDir
	s.TTY, s.StdinOpen = c.Tty, c.OpenStdin
	s.Entrypoint, s.Command = c.Entrypoint, c.Cmd
	s.Environment = readEnvironment(c.Env)
	s.Secrets = secretsOf(s.Environment)
	s.Labels = readLabels(c.Labels)
	s.Health = readHealth(c.Healthcheck)
	s.StopSignal = c.StopSignal
	if c.StopTimeout != nil {
		grace := time.Duration(*c.StopTimeout) * time.Second
		s.StopGrace = &grace
	}
}

func readEnvironment(env []string) map[string]spec.Value {
	all := map[string]spec.Value{}
	for _, line := range env {
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			all[name] = spec.Value{}
		case spec.SensitiveName(name):
			all[name] = spec.Sensitive(value)
		default:
			all[name] = spec.Plain(value)
		}
	}
	secrets := secretsOf(all)
	for name, v := range all {
		if spec.URLPassword(v.Reveal()) != "" || slices.ContainsFunc(secrets, func(s spec.Value) bool { return strings.Contains(v.Reveal(), s.Reveal()) }) {
			all[name] = v.Hide()
		}
	}
	return all
}

// leastSecret is how long the value of a variable must be to be looked for elsewhere:
// what is shorter is found in any text.
const leastSecret = 6

// secretsOf are the values of the variables that are secrets by their names, which may
// have been put into a command or a label as well.
func secretsOf(environment map[string]spec.Value) []spec.Value {
	var secrets []spec.Value
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if v := environment[name]; v.IsSensitive() && len(v.Reveal()) >= leastSecret {
			secrets = append(secrets, v)
		}
	}
	return secrets
}

func readLabels(labels map[string]string) map[string]string {
	users := maps.Clone(labels)
	maps.DeleteFunc(users, func(name, _ string) bool { return reserved(name) })
	return users
}

func readHealth(h *container.HealthConfig) *spec.Health {
	if h == nil {
		return nil
	}
	return &spec.Health{
		Test: h.Test, Interval: h.Interval, Timeout: h.Timeout,
		StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries,
	}
}

func readHost(s *spec.Service, h *container.HostConfig) {
	s.Init = h.Init != nil && *h.Init
	s.Privileged, s.ReadOnly = h.Privileged, h.ReadonlyRootfs
	s.Restart = readRestart(h.RestartPolicy)
	s.Ports = readPorts(h.PortBindings)
	s.ExtraHosts = readExtraHosts(h.ExtraHosts)
	s.DNS, s.DNSSearch, s.DNSOptions = h.DNS, h.DNSSearch, h.DNSOptions
	s.NanoCPUs, s.Memory, s.MemorySwap, s.MemoryReservation = h.NanoCPUs, h.Memory, h.MemorySwap, h.MemoryReservation
	s.ShmSize, s.Sysctls = h.ShmSize, h.Sysctls
	if h.PidsLimit != nil {
		s.PidsLimit = *h.PidsLimit
	}
	s.Ulimits = map[string]spec.Ulimit{}
	for _, u := range h.Ulimits {
		s.Ulimits[u.Name] = spec.Ulimit{Soft: u.Soft, Hard: u.Hard}
	}
	s.CapAdd, s.CapDrop, s.SecurityOpt, s.GroupAdd = h.CapAdd, h.CapDrop, h.SecurityOpt, h.GroupAdd
	for _, d := range h.Devices {
		s.Devices = append(s.Devices, spec.Device{Source: d.PathOnHost, Target: d.PathInContainer, Permissions: d.CgroupPermissions})
	}
	s.Logging = spec.Logging{Driver: h.LogConfig.Type, Options: h.LogConfig.Config}
}

func readRestart(p container.RestartPolicy) string {
	if p.MaximumRetryCount > 0 {
		return string(p.Name) + ":" + strconv.Itoa(p.MaximumRetryCount)
	}
	return string(p.Name)
}

func readPorts(bindings nat.PortMap) []spec.Port {
	var all []spec.Port
	for _, inside := range slices.Sorted(maps.Keys(bindings)) {
		for _, b := range bindings[inside] {
			p := spec.Port{Target: uint16(inside.Int()), Protocol: inside.Proto(), HostIP: b.HostIP, Published: b.HostPort}
			if p.Published == "0" {
				p.Published = ""
			}
			all = append(all, p)
		}
	}
	return all
}

// readExtraHosts puts the two ways of writing "name=address" into one.
func readExtraHosts(hosts []string) []string {
	all := slices.Clone(hosts)
	for i, h := range all {
		if at := strings.IndexAny(h, ":="); at >= 0 {
			all[i] = h[:at] + ":" + h[at+1:]
		}
	}
	return all
}

func readNamespaces(s *spec.Service, c container.InspectResponse, services map[string]string) {
	s.PID = readNamespace(string(c.HostConfig.PidMode), services)
	s.IPC = readNamespace(string(c.HostConfig.IpcMode), services)
	switch mode := c.HostConfig.NetworkMode; {
	case mode.IsDefault():
	case mode.IsUserDefined():
		s.Networks = readAttachments(c)
	default:
		s.NetworkMode = readNamespace(string(mode), services)
	}
}

// readNamespace turns "container:ID" into the service that the container runs.
func readNamespace(mode string, services map[string]string) string {
	id, ok := strings.CutPrefix(mode, "container:")
	if !ok {
		return mode
	}
	if service, ok := services[id]; ok {
		return "service:" + service
	}
	return "container:" + short(id)
}

// readAttachments reads the networks of a container. Aliases that the engine and
// Compose add, the container's ID and its name, are not the service's.
func readAttachments(c container.InspectResponse) []spec.Attachment {
	if c.NetworkSettings == nil {
		return nil
	}
	var all []spec.Attachment
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		all = append(all, readAttachment(name, c.NetworkSettings.Networks[name], c.ID))
	}
	return all
}

func readAttachment(name string, e *network.EndpointSettings, id string) spec.Attachment {
	a := spec.Attachment{Network: name, Name: name}
	if e == nil {
		return a
	}
	for _, alias := range e.Aliases {
		if alias != short(id) {
			a.Aliases = append(a.Aliases, alias)
		}
	}
	if e.IPAMConfig != nil {
		a.IPv4, a.IPv6 = e.IPAMConfig.IPv4Address, e.IPAMConfig.IPv6Address
	}
	return a
}

// short is an ID as the engine shows it to people.
func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(len(id), 12)]
}
