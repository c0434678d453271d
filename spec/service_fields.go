package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fields describes the container. See the documentation's page on drift for the
// list of names.
func (s *Service) Fields() Fields {
	f := Fields{}
	f.set("name", s.Container)
	f.set("image", s.Image)
	f.set("platform", s.Platform)
	f.list("entrypoint", s.Entrypoint)
	f.list("command", s.Command)
	f.set("user", s.User)
	f.set("working_dir", s.WorkingDir)
	f.set("hostname", s.Hostname)
	f.flag("tty", s.TTY)
	f.flag("stdin_open", s.StdinOpen)
	f.flag("init", s.Init)
	f.flag("privileged", s.Privileged)
	f.flag("read_only", s.ReadOnly)
	if s.Restart != "no" {
		f.set("restart", s.Restart)
	}
	f.set("stop_signal", s.StopSignal)
	if s.StopGrace != nil {
		f["stop_grace_period"] = Plain(s.StopGrace.String())
	}
	for k, v := range s.Environment {
		f["env."+k] = v
	}
	for k, v := range s.Labels {
		f["label."+k] = Plain(v)
	}
	s.Health.fields(f)
	for _, m := range s.Mounts {
		m.fields(f, s.IgnoreFileChanges)
	}
	for _, file := range s.Files {
		file.fields(f, s.IgnoreFileChanges)
	}
	s.networkFields(f)
	s.limitFields(f)
	f.hide(s.Secrets)
	return f
}

func (h *Health) fields(f Fields) {
	if h == nil {
		return
	}
	f.list("healthcheck.test", h.Test)
	f.duration("healthcheck.interval", h.Interval)
	f.duration("healthcheck.timeout", h.Timeout)
	f.duration("healthcheck.start_period", h.StartPeriod)
	f.duration("healthcheck.start_interval", h.StartInterval)
	f.number("healthcheck.retries", int64(h.Retries))
}

func (m Mount) fields(f Fields, ignoreContent bool) {
	prefix := "mount." + m.Target
	f.set(prefix, string(m.Type))
	f.set(prefix+".source", m.Source)
	f.flag(prefix+".read_only", m.ReadOnly)
	f.set(prefix+".propagation", m.Propagation)
	f.set(prefix+".selinux", m.SELinux)
	f.flag(prefix+".nocopy", m.NoCopy)
	f.set(prefix+".subpath", m.Subpath)
	f.bytes(prefix+".size", m.TmpfsSize)
	if m.TmpfsMode != 0 {
		f.set(prefix+".mode", fmt.Sprintf("%#o", m.TmpfsMode))
	}
	f.set(prefix+".options", strings.Join(slices.DeleteFunc(slices.Clone(m.TmpfsOptions), isTmpfsDefault), ","))
	switch {
	case ignoreContent:
	case m.Secret && m.Digest != "":
		f["file."+m.Target] = Sensitive(m.Digest)
	default:
		f.set("file."+m.Target, m.Digest)
	}
}

// isTmpfsDefault tells whether the engine gives a tmpfs this option anyway.
func isTmpfsDefault(option string) bool {
	return option == "noexec" || option == "nosuid" || option == "nodev"
}

// fields gives a config's digest. Of a secret it gives what the digest covers,
// since a plain digest of a secret must not be kept anywhere: the target compares
// it with the salted one it keeps.
func (file File) fields(f Fields, ignoreContent bool) {
	if ignoreContent {
		return
	}
	if file.Content.IsSensitive() {
		f["file."+file.Target] = Sensitive(file.Digest)
		return
	}
	f.set("file."+file.Target, file.Digest)
}

func (s *Service) networkFields(f Fields) {
	f.set("network_mode", s.NetworkMode)
	f.set("pid", s.PID)
	f.set("ipc", s.IPC)
	for _, a := range s.Networks {
		prefix := "network." + a.Name
		f.set(prefix, "attached")
		f.sortedList(prefix+".aliases", append(slices.Clone(a.Aliases), s.Name))
		f.set(prefix+".ipv4", a.IPv4)
		f.set(prefix+".ipv6", a.IPv6)
	}
	published := map[string][]string{}
	for _, p := range s.Ports {
		inside := "port." + strconv.Itoa(int(p.Target)) + "/" + p.Protocol
		published[inside] = append(published[inside], p.host())
	}
	for inside, hosts := range published {
		slices.Sort(hosts)
		f.set(inside, strings.Join(slices.Compact(hosts), ", "))
	}
	for _, h := range s.ExtraHosts {
		name, address, _ := strings.Cut(h, ":")
		key := "extra_host." + name
		if have, ok := f[key]; ok {
			address = have.Reveal() + ", " + address
		}
		f.set(key, address)
	}
	f.list("dns", none(s.DNS))
	f.list("dns_search", none(s.DNSSearch))
	f.list("dns_opt", none(s.DNSOptions))
}

// host is the host's side of a published port, as people write it.
func (p Port) host() string {
	published := p.Published
	if published == "" {
		published = "any"
	}
	if p.HostIP == "" {
		return published
	}
	if strings.Contains(p.HostIP, ":") {
		return "[" + p.HostIP + "]:" + published
	}
	return p.HostIP + ":" + published
}

func (s *Service) limitFields(f Fields) {
	if s.NanoCPUs != 0 {
		f.set("cpus", strconv.FormatFloat(float64(s.NanoCPUs)/1e9, 'f', -1, 64))
	}
	f.bytes("mem_limit", s.Memory)
	f.bytes("memswap_limit", s.MemorySwap)
	f.bytes("mem_reservation", s.MemoryReservation)
	f.bytes("shm_size", s.ShmSize)
	f.number("pids_limit", s.PidsLimit)
	for name, u := range s.Ulimits {
		f.set("ulimit."+name, fmt.Sprintf("%d:%d", u.Soft, u.Hard))
	}
	for k, v := range s.Sysctls {
		f["sysctl."+k] = Plain(v)
	}
	f.sortedList("cap_add", s.CapAdd)
	f.sortedList("cap_drop", s.CapDrop)
	f.sortedList("security_opt", s.SecurityOpt)
	f.sortedList("group_add", s.GroupAdd)
	for _, d := range s.Devices {
		f.set("device."+d.Target, d.Source+":"+d.Permissions)
	}
	f.set("logging", s.Logging.Driver)
	for k, v := range s.Logging.Options {
		f["logging."+k] = Plain(v)
	}
}

func (f Fields) duration(name string, d time.Duration) {
	if d != 0 {
		f.set(name, d.String())
	}
}

func (f Fields) number(name string, n int64) {
	if n != 0 {
		f.set(name, strconv.FormatInt(n, 10))
	}
}

// bytes writes a size in the largest unit that divides it, so that nothing is
// rounded: "3GiB", "1500MiB", "1234".
func (f Fields) bytes(name string, n int64) {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	u := 0
	for n > 0 && n%1024 == 0 && u < len(units)-1 {
		n /= 1024
		u++
	}
	if n != 0 {
		f.set(name, strconv.FormatInt(n, 10)+units[u])
	}
}

// none turns an empty list into no list, for attributes where both mean the default.
func none(items []string) []string {
	if len(items) == 0 {
		return nil
	}
	return items
}
