package docker

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func ptr[T any](v T) *T { return &v }

// attributes are the attributes of a service, each with a value, another value, and the
// fields that differ between the two.
var attributes = []struct {
	name    string
	value   func(*spec.Service)
	other   func(*spec.Service)
	differs []string
}{
	{"nothing", func(s *spec.Service) {}, nil, nil},
	{"command", func(s *spec.Service) { s.Command = []string{"run", "a b", ""} }, func(s *spec.Service) { s.Command = []string{"run"} }, []string{"command"}},
	{"no command", func(s *spec.Service) { s.Command = []string{} }, func(s *spec.Service) { s.Command = []string{"run"} }, []string{"command"}},
	{"entrypoint", func(s *spec.Service) { s.Entrypoint = []string{"/sleeper", "run"} }, func(s *spec.Service) { s.Entrypoint = nil }, []string{"entrypoint"}},
	{"entrypoint taken away", func(s *spec.Service) { s.Entrypoint = []string{}; s.Command = []string{"/sleeper"} }, func(s *spec.Service) { s.Command = []string{} }, []string{"command", "entrypoint"}},
	{"environment", func(s *spec.Service) {
		s.Environment = map[string]spec.Value{"A": spec.Plain("1=2"), "EMPTY": spec.Plain(""), "DB_PASSWORD": spec.Sensitive("x y")}
	}, func(s *spec.Service) {
		s.Environment = map[string]spec.Value{"A": spec.Plain("1"), "DB_PASSWORD": spec.Sensitive("x z")}
	}, []string{"env.A", "env.DB_PASSWORD", "env.EMPTY"}},
	{"labels", func(s *spec.Service) { s.Labels = map[string]string{"a": "b", "c.d": ""} }, func(s *spec.Service) { s.Labels = nil }, []string{"label.a", "label.c.d"}},
	{"user", func(s *spec.Service) { s.User = "1000:1000" }, func(s *spec.Service) { s.User = "" }, []string{"user"}},
	{"working_dir", func(s *spec.Service) { s.WorkingDir = "/srv/" }, func(s *spec.Service) { s.WorkingDir = "/other" }, []string{"working_dir"}},
	{"hostname", func(s *spec.Service) { s.Hostname = "here" }, func(s *spec.Service) { s.Hostname = "" }, []string{"hostname"}},
	{"tty and stdin", func(s *spec.Service) { s.TTY, s.StdinOpen = true, true }, func(s *spec.Service) { s.TTY, s.StdinOpen = false, false }, []string{"stdin_open", "tty"}},
	{"init", func(s *spec.Service) { s.Init = true }, func(s *spec.Service) { s.Init = false }, []string{"init"}},
	{"read_only", func(s *spec.Service) { s.ReadOnly = true }, func(s *spec.Service) { s.ReadOnly = false }, []string{"read_only"}},
	{"restart", func(s *spec.Service) { s.Restart = "on-failure:3" }, func(s *spec.Service) { s.Restart = "always" }, []string{"restart"}},
	{"no restart", func(s *spec.Service) { s.Restart = "no" }, func(s *spec.Service) { s.Restart = "unless-stopped" }, []string{"restart"}},
	{"stop", func(s *spec.Service) { s.StopSignal, s.StopGrace = "SIGINT", ptr(1500*time.Millisecond) }, func(s *spec.Service) { s.StopSignal, s.StopGrace = "SIGTERM", nil }, []string{"stop_grace_period", "stop_signal"}},
	{"healthcheck", func(s *spec.Service) {
		s.Health = &spec.Health{Test: []string{"CMD", "/sleeper", "health"}, Interval: 500 * time.Millisecond, Timeout: 2 * time.Minute, StartPeriod: time.Second, Retries: 5}
	}, func(s *spec.Service) {
		s.Health = &spec.Health{Test: []string{"CMD", "/sleeper", "health"}, Interval: 300 * time.Millisecond, Retries: 4}
	}, []string{"healthcheck.interval", "healthcheck.retries", "healthcheck.start_period", "healthcheck.timeout"}},
	{"healthcheck off", func(s *spec.Service) { s.Health = &spec.Health{Test: []string{"NONE"}} }, func(s *spec.Service) { s.Health = nil }, []string{"healthcheck.test"}},
	{"ports", func(s *spec.Service) {
		s.Ports = []spec.Port{{Target: 80, Protocol: "tcp", HostIP: "127.0.0.1"}, {Target: 53, Protocol: "udp", Published: "42100-48999"}, {Target: 80, Protocol: "tcp", HostIP: "127.0.0.2"}}
	}, func(s *spec.Service) {
		s.Ports = []spec.Port{{Target: 80, Protocol: "tcp", HostIP: "127.0.0.1"}}
	}, []string{"port.53/udp", "port.80/tcp"}},
	{"tmpfs", func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountTmpfs, Target: "/run"}, {Type: spec.MountTmpfs, Target: "/tmp", TmpfsSize: 64 << 20, TmpfsMode: 0o1777}}
	}, func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountTmpfs, Target: "/tmp", TmpfsSize: 32 << 20, TmpfsMode: 0o700}}
	}, []string{"mount./run", "mount./tmp.mode", "mount./tmp.size"}},
	{"tmpfs with options", func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountTmpfs, Target: "/run", TmpfsSize: 1 << 20, TmpfsMode: 0o700, TmpfsOptions: []string{"exec", "uid=1000"}}}
	}, func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountTmpfs, Target: "/run", TmpfsSize: 1 << 20, TmpfsMode: 0o700, ReadOnly: true, TmpfsOptions: []string{"noexec"}}}
	}, []string{"mount./run.options", "mount./run.read_only"}},
	{"bind relabelled for SELinux", func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/etc", Target: "/a", ReadOnly: true, SELinux: "z"}}
	}, func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/etc", Target: "/a", ReadOnly: true, SELinux: "Z", CreateHostPath: true}}
	}, []string{"mount./a.selinux"}},
	{"anonymous volume", func(s *spec.Service) { s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data"}} }, func(s *spec.Service) { s.Mounts = nil }, []string{"mount./data"}},
	{"anonymous volume without the image's files", func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data", NoCopy: true}}
	}, func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data"}}
	}, []string{"mount./data.nocopy"}},
	{"platform", func(s *spec.Service) { s.Platform = "linux/" + runtime.GOARCH }, func(s *spec.Service) { s.Platform = "linux/s390x" }, []string{"platform"}},
	{"bind", func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/etc", Target: "/a", ReadOnly: true}, {Type: spec.MountBind, Source: "/etc/", Target: "/b", CreateHostPath: true, Propagation: "rprivate"}, {Type: spec.MountBind, Source: "/tmp", Target: "/c", Propagation: "private"}}
	}, func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: "/etc", Target: "/a"}, {Type: spec.MountBind, Source: "/usr", Target: "/b", CreateHostPath: true}, {Type: spec.MountBind, Source: "/tmp", Target: "/c"}}
	}, []string{"mount./a.read_only", "mount./b.source", "mount./c.propagation"}},
	{"aliases", func(s *spec.Service) { s.Networks[0].Aliases = []string{"db", "sql"} }, func(s *spec.Service) { s.Networks[0].Aliases = []string{"db"} }, nil},
	{"network_mode host", func(s *spec.Service) { s.Networks, s.NetworkMode = nil, "host" }, func(s *spec.Service) { s.Networks, s.NetworkMode = nil, "none" }, []string{"network_mode"}},
	{"pid and ipc of the host", func(s *spec.Service) { s.PID, s.IPC = "host", "host" }, func(s *spec.Service) { s.PID, s.IPC = "", "" }, []string{"ipc", "pid"}},
	{"ipc shareable", func(s *spec.Service) { s.IPC = "shareable" }, func(s *spec.Service) { s.IPC = "private" }, []string{"ipc"}},
	{"extra_hosts", func(s *spec.Service) { s.ExtraHosts = []string{"a:10.0.0.2", "a:10.0.0.1", "b:::1", "c:host-gateway"} }, func(s *spec.Service) { s.ExtraHosts = []string{"b:::2"} }, []string{"extra_host.a", "extra_host.b", "extra_host.c"}},
	{"dns", func(s *spec.Service) {
		s.DNS, s.DNSSearch, s.DNSOptions = []string{"9.9.9.9", "1.1.1.1"}, []string{"example.org"}, []string{"ndots:2"}
	}, func(s *spec.Service) { s.DNS = []string{"1.1.1.1", "9.9.9.9"} }, []string{"dns", "dns_opt", "dns_search"}},
	{"cpus", func(s *spec.Service) { s.NanoCPUs = 500_000_000 }, func(s *spec.Service) { s.NanoCPUs = 1_000_000_000 }, []string{"cpus"}},
	{"memory", func(s *spec.Service) { s.Memory = 64 << 20 }, func(s *spec.Service) { s.Memory = 65 << 20 }, []string{"mem_limit"}},
	{"memory and swap", func(s *spec.Service) { s.Memory, s.MemorySwap, s.MemoryReservation = 64<<20, 64<<20, 32<<20 }, func(s *spec.Service) { s.Memory, s.MemorySwap = 64<<20, 96<<20 }, []string{"mem_reservation", "memswap_limit"}},
	{"shm_size", func(s *spec.Service) { s.ShmSize = 128 << 20 }, func(s *spec.Service) { s.ShmSize = 0 }, []string{"shm_size"}},
	{"pids_limit", func(s *spec.Service) { s.PidsLimit = 100 }, func(s *spec.Service) { s.PidsLimit = -1 }, []string{"pids_limit"}},
	{"no pids_limit", func(s *spec.Service) { s.PidsLimit = -1 }, func(s *spec.Service) { s.PidsLimit = 50 }, []string{"pids_limit"}},
	{"ulimits", func(s *spec.Service) {
		s.Ulimits = map[string]spec.Ulimit{"nofile": {Soft: 1024, Hard: 4096}, "core": {Soft: 0, Hard: 0}}
	}, func(s *spec.Service) { s.Ulimits = map[string]spec.Ulimit{"nofile": {Soft: 2048, Hard: 4096}} }, []string{"ulimit.core", "ulimit.nofile"}},
	{"sysctls", func(s *spec.Service) { s.Sysctls = map[string]string{"net.core.somaxconn": "512"} }, func(s *spec.Service) { s.Sysctls = nil }, []string{"sysctl.net.core.somaxconn"}},
	{"capabilities", func(s *spec.Service) { s.CapAdd, s.CapDrop = []string{"NET_ADMIN"}, []string{"ALL"} }, func(s *spec.Service) { s.CapDrop = []string{"CHOWN"} }, []string{"cap_add", "cap_drop"}},
	{"seccomp profile", func(s *spec.Service) { s.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW"}`} }, func(s *spec.Service) {
		s.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[]}`}
	}, []string{"security_opt"}},
	{"security_opt", func(s *spec.Service) { s.SecurityOpt = []string{"no-new-privileges:true", "seccomp=unconfined"} }, func(s *spec.Service) { s.SecurityOpt = nil }, []string{"security_opt"}},
	{"group_add", func(s *spec.Service) { s.GroupAdd = []string{"2000", "1000"} }, func(s *spec.Service) { s.GroupAdd = []string{"1000"} }, []string{"group_add"}},
	{"devices", func(s *spec.Service) {
		s.Devices = []spec.Device{{Source: "/dev/null", Target: "/dev/nothing", Permissions: "r"}, {Source: "/dev/zero", Target: "/dev/zero", Permissions: "rwm"}}
	}, func(s *spec.Service) {
		s.Devices = []spec.Device{{Source: "/dev/null", Target: "/dev/nothing", Permissions: "rw"}}
	}, []string{"device./dev/nothing", "device./dev/zero"}},
	{"logging", func(s *spec.Service) {
		s.Logging = spec.Logging{Driver: "json-file", Options: map[string]string{"max-size": "1m", "max-file": "2"}}
	}, func(s *spec.Service) {
		s.Logging = spec.Logging{Driver: "local", Options: map[string]string{"max-size": "1m"}}
	}, []string{"logging", "logging.max-file"}},
	{"log driver alone", func(s *spec.Service) { s.Logging = spec.Logging{Driver: "none"} }, func(s *spec.Service) { s.Logging = spec.Logging{} }, []string{"logging"}},
}

func TestAppliedAttributeIsNoDriftAndAChangedOneIsReportedByField(t *testing.T) {
	eachWorld(t, func(w world) {
		w.mustConverge(w.desired(w.withAttributes(false)...))
		changed := w.drift(w.desired(w.withAttributes(true)...))
		for _, a := range attributes {
			want := a.differs
			if a.name == "aliases" {
				want = []string{"network." + w.project + "_default.aliases"}
			}
			d, _ := changed.Of(spec.InstanceRef(serviceName(a.name), 1))
			if diff := cmp.Diff(want, fieldNames(d.Fields)); diff != "" {
				t.Errorf("%s: fields that differ (-want +got):\n%s", a.name, diff)
			}
		}
	})
}

// withAttributes is one service for each attribute, with its value or with the other.
func (w world) withAttributes(other bool) []spec.Resource {
	var all []spec.Resource
	for _, a := range attributes {
		edit := a.value
		if other && a.other != nil {
			edit = a.other
		}
		all = append(all, w.service(serviceName(a.name), edit))
	}
	return all
}

func serviceName(attribute string) string {
	return strings.NewReplacer(" ", "-", "'", "").Replace(attribute)
}

// An engine that is not itself allowed everything cannot start a privileged container.
func TestPrivilegedIsNoDriftOrTheRefusalIsReported(t *testing.T) {
	eachWorld(t, func(w world) {
		want := w.desired(w.service("web", func(s *spec.Service) { s.Privileged = true }))
		err := w.converge(want)
		failure := (*plan.Failure)(nil)
		if errors.As(err, &failure) {
			w.Log(err)
			if failure.Ref.Name != "web" || !strings.Contains(failure.Reason, "start: ") {
				w.Errorf("refused without a word on what was refused: %v", err)
			}
			return
		}
		if err != nil {
			w.Fatal(err)
		}
		w.mustBeInSync(want)
		d, _ := w.drift(w.desired(w.service("web"))).Of(spec.InstanceRef("web", 1))
		if diff := cmp.Diff([]string{"privileged"}, fieldNames(d.Fields)); diff != "" {
			w.Errorf("fields that differ (-want +got):\n%s", diff)
		}
	})
}

func fieldNames(fields []drift.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}
