package compose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// instances makes one resource of each instance of a service.
func (c *conversion) instances(s types.ServiceConfig) []*spec.Service {
	one := c.convertService(s)
	var all []*spec.Service
	for n := 1; n <= s.GetScale(); n++ {
		instance := *one
		instance.Number = n
		if instance.Container = s.ContainerName; instance.Container == "" {
			instance.Container = containerName(c.load.project, s.Name, n)
		}
		all = append(all, &instance)
	}
	return all
}

func containerName(project, service string, n int) string {
	return project + "-" + service + "-" + strconv.Itoa(n)
}

func (c *conversion) convertService(s types.ServiceConfig) *spec.Service {
	own := c.own(s)
	one := &spec.Service{
		Name:       s.Name,
		Image:      c.reference(s),
		Platform:   s.Platform,
		Entrypoint: s.Entrypoint,
		Command:    s.Command,
		Labels:     s.Labels,
		User:       s.User,
		WorkingDir: s.WorkingDir,
		Hostname:   s.Hostname,
		TTY:        s.Tty,
		StdinOpen:  s.StdinOpen,
		Init:       s.Init != nil && *s.Init,
		Privileged: s.Privileged,
		ReadOnly:   s.ReadOnly,
		Restart:    s.Restart,
		StopSignal: s.StopSignal,
		Health:     health(s.HealthCheck),

		NetworkMode: s.NetworkMode,
		PID:         s.Pid,
		IPC:         s.Ipc,
		ExtraHosts:  extraHosts(s.ExtraHosts),
		DNS:         s.DNS,
		DNSSearch:   s.DNSSearch,
		DNSOptions:  s.DNSOpts,
		Ports:       ports(s.Ports),

		Depends: c.depends(s),

		Job:               c.jobs[s.Name],
		RestartUnhealthy:  own["heal"] == "restart",
		IgnoreFileChanges: own["on_config_change"] == "none",
		NoRollback:        own["rollback"] == "none",
	}
	if s.StopGracePeriod != nil {
		grace := time.Duration(*s.StopGracePeriod)
		one.StopGrace = &grace
	}
	one.Environment = map[string]spec.Value{}
	for key, text := range s.Environment {
		if text != nil {
			one.Environment[key] = c.value(key, *text)
		}
	}
	one.Networks = c.attachments(s)
	limits(one, s)
	c.security(one, s)
	c.mounts(one, s)
	c.files(one, s)
	return one
}

// own are the texts of x-flumen.
func (c *conversion) own(s types.ServiceConfig) map[string]string {
	texts := map[string]string{}
	values, _ := s.Extensions["x-flumen"].(map[string]any)
	for key, v := range values {
		texts[key] = fmt.Sprint(v)
	}
	return texts
}

func health(h *types.HealthCheckConfig) *spec.Health {
	if h == nil {
		return nil
	}
	if h.Disable {
		return &spec.Health{Test: []string{"NONE"}}
	}
	one := &spec.Health{
		Test:          h.Test,
		Interval:      duration(h.Interval),
		Timeout:       duration(h.Timeout),
		StartPeriod:   duration(h.StartPeriod),
		StartInterval: duration(h.StartInterval),
	}
	if h.Retries != nil {
		one.Retries = int(min(*h.Retries, math.MaxInt32))
	}
	return one
}

func duration(d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

func extraHosts(hosts types.HostsList) []string {
	list := hosts.AsList(":")
	slices.Sort(list)
	return list
}

// ports are those of Compose, which knows them in its long form only by now.
func ports(list []types.ServicePortConfig) []spec.Port {
	var all []spec.Port
	for _, p := range list {
		one := spec.Port{
			Target:    uint16(p.Target),
			Protocol:  cmp.Or(strings.ToLower(p.Protocol), "tcp"),
			HostIP:    p.HostIP,
			Published: p.Published,
		}
		if one.Published == "0" {
			one.Published = ""
		}
		all = append(all, one)
	}
	return all
}

// attachments are the networks of a service, by priority and then by name.
func (c *conversion) attachments(s types.ServiceConfig) []spec.Attachment {
	var all []spec.Attachment
	for _, key := range s.NetworksByPriority() {
		one := spec.Attachment{Network: key, Name: c.project.Networks[key].Name}
		if settings := s.Networks[key]; settings != nil {
			one.Aliases, one.IPv4, one.IPv6 = settings.Aliases, settings.Ipv4Address, settings.Ipv6Address
		}
		all = append(all, one)
	}
	return all
}

// limits takes them from where Compose has them today and where it had them
// before; the check has seen that they do not contradict each other.
func limits(one *spec.Service, s types.ServiceConfig) {
	one.NanoCPUs = nanoCPUs(s.CPUS)
	one.Memory = int64(s.MemLimit)
	one.MemorySwap = int64(s.MemSwapLimit)
	one.MemoryReservation = int64(s.MemReservation)
	one.ShmSize = int64(s.ShmSize)
	one.PidsLimit = s.PidsLimit
	if s.Deploy == nil {
		return
	}
	if r := s.Deploy.Resources.Limits; r != nil {
		one.NanoCPUs = cmp.Or(one.NanoCPUs, nanoCPUs(r.NanoCPUs.Value()))
		one.Memory = cmp.Or(one.Memory, int64(r.MemoryBytes))
		one.PidsLimit = cmp.Or(one.PidsLimit, r.Pids)
	}
	if r := s.Deploy.Resources.Reservations; r != nil {
		one.MemoryReservation = cmp.Or(one.MemoryReservation, int64(r.MemoryBytes))
	}
}

// nanoCPUs goes over the decimal text, since 0.1 is 0.100000001 as a float32.
func nanoCPUs(cores float32) int64 {
	exact, _ := strconv.ParseFloat(strconv.FormatFloat(float64(cores), 'f', -1, 32), 64)
	return int64(math.Round(exact * 1e9))
}

func (c *conversion) security(one *spec.Service, s types.ServiceConfig) {
	one.CapAdd, one.CapDrop = s.CapAdd, s.CapDrop
	one.SecurityOpt, one.GroupAdd = c.securityOptions(s), s.GroupAdd
	one.Sysctls = s.Sysctls
	if len(s.Ulimits) > 0 {
		one.Ulimits = map[string]spec.Ulimit{}
	}
	for name, u := range s.Ulimits {
		one.Ulimits[name] = spec.Ulimit{Soft: int64(cmp.Or(u.Soft, u.Single)), Hard: int64(cmp.Or(u.Hard, u.Single))}
	}
	for _, d := range s.Devices {
		one.Devices = append(one.Devices, spec.Device{Source: d.Source, Target: cmp.Or(d.Target, d.Source), Permissions: cmp.Or(d.Permissions, "rwm")})
	}
	if s.Logging != nil {
		one.Logging = spec.Logging{Driver: s.Logging.Driver, Options: s.Logging.Options}
	}
}
