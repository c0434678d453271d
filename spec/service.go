package spec

import (
	"cmp"
	"slices"
	"time"
)

// Service is one instance of a Compose service: what one container shall be.
// A zero attribute is left to the image, then to the engine.
type Service struct {
	Name      string // the service's name in the file
	Number    int    // which instance, from 1
	Container string // the container's name on the engine

	Image    string // the reference of an Image of the same Desired
	Platform string

	Entrypoint  []string // nil: the image's; empty: none
	Command     []string // nil: the image's; empty: none
	Environment map[string]Value
	Labels      map[string]string // the user's own
	User        string
	WorkingDir  string
	Hostname    string
	TTY         bool
	StdinOpen   bool
	Init        bool
	Privileged  bool
	ReadOnly    bool // the root file system
	Restart     string
	StopSignal  string
	StopGrace   *time.Duration // nil: the engine's default
	Health      *Health        // nil: the image's

	Mounts []Mount
	Files  []File

	Networks    []Attachment // in the order in which they are attached
	NetworkMode string       // "", "host", "none", "bridge" or "service:NAME"
	PID         string       // "", "host" or "service:NAME"
	IPC         string       // "", "host", "private", "shareable", "none" or "service:NAME"
	Ports       []Port
	ExtraHosts  []string // "name:address"
	DNS         []string
	DNSSearch   []string
	DNSOptions  []string

	NanoCPUs          int64 // billionths of a core
	Memory            int64 // bytes, as are the next three
	MemorySwap        int64 // memory and swap together; -1: no limit
	MemoryReservation int64
	ShmSize           int64
	PidsLimit         int64 // -1: no limit
	Ulimits           map[string]Ulimit
	Sysctls           map[string]string
	CapAdd            []string
	CapDrop           []string
	SecurityOpt       []string
	GroupAdd          []string
	Devices           []Device
	Logging           Logging

	// Secrets are known texts that must not be shown; fields that hold one are sensitive.
	Secrets []Value

	// Depends are the services this one waits for or shares a namespace with,
	// one entry per instance.
	Depends []Dep

	// Job: it is meant to exit with 0, and is done then.
	Job bool
	// RestartUnhealthy: restart the container when its health check fails
	// (x-flumen.heal: restart).
	RestartUnhealthy bool
	// IgnoreFileChanges: a mounted file that changed replaces nothing
	// (x-flumen.on_config_change: none).
	IgnoreFileChanges bool
	// NoRollback: the old container is not started again when a new one fails,
	// since its data may have been migrated (x-flumen.rollback: none).
	NoRollback bool
}

// Health is a health check. Test is Compose's list: CMD or CMD-SHELL and what to
// run, or NONE alone to switch the image's own check off. A zero duration or
// count is the engine's default.
type Health struct {
	Test                                          []string
	Interval, Timeout, StartPeriod, StartInterval time.Duration
	Retries                                       int
}

// MountType is how something is mounted.
type MountType string

// The mount types of Compose that the agent supports.
const (
	MountBind   MountType = "bind"
	MountVolume MountType = "volume"
	MountTmpfs  MountType = "tmpfs"
)

// Mount is a directory or file of the container that is kept elsewhere.
type Mount struct {
	Type     MountType
	Target   string // an absolute path in the container
	Volume   string // Key of the Volume, for a named volume
	Source   string // an absolute path (bind), the volume's name on the engine, or "" (anonymous, tmpfs)
	ReadOnly bool

	Propagation    string // bind
	CreateHostPath bool   // bind: make a missing source directory, as Compose's short form does
	SELinux        string // bind: "z" or "Z", relabel the source for all containers or for this one
	NoCopy         bool   // volume: do not fill an empty one from the image
	Subpath        string // volume: mount this directory of it
	TmpfsSize      int64  // bytes
	TmpfsMode      uint32
	TmpfsOptions   []string // other options of mount(8), sorted: "noexec", "uid=1000"

	// Digest is that of the content of what is bound, when it is a regular file
	// or a directory mounted read-only; "" otherwise. Modified is when the newest
	// of these files changed.
	Digest   string
	Modified time.Time
	// Secret: what is bound is a secret, so its digest is not to be shown or kept.
	Secret bool
}

// File is a config or a secret: content that is copied into the container before
// it starts.
type File struct {
	Target   string // an absolute path in the container
	Content  Value  // sensitive for a secret
	Mode     uint32 // permission bits
	UID, GID string // "" is 0
	Source   string // the file it was read from, or ""
	Digest   string // of content, mode and owner; not to be shown for a secret
	Modified time.Time
}

// Attachment joins a container to a network.
type Attachment struct {
	Network string // Key of the Network
	Name    string // its name on the engine
	Aliases []string
	IPv4    string
	IPv6    string
}

// Port publishes a container's port on the host.
type Port struct {
	Target    uint16
	Protocol  string // "tcp", "udp" or "sctp"
	HostIP    string // "" is every address
	Published string // "" lets the engine choose; a range "8000-8010" lets it choose within
}

// Ulimit is a soft and a hard limit.
type Ulimit struct{ Soft, Hard int64 }

// Device maps a device of the host into the container.
type Device struct{ Source, Target, Permissions string }

// Logging is a log driver and its options; the zero value is the engine's default.
type Logging struct {
	Driver  string
	Options map[string]string
}

// Ref is "service/NAME", or "service/NAME#2" for the second instance.
func (s *Service) Ref() Ref { return InstanceRef(s.Name, s.Number) }

// After lists image, networks, volumes, then other services.
func (s *Service) After() []Dep {
	deps := []Dep{{Ref: Ref{KindImage, s.Image}, Until: Created}}
	for _, a := range s.Networks {
		deps = append(deps, Dep{Ref: Ref{KindNetwork, a.Network}, Until: Created, Shares: true})
	}
	for _, m := range s.Mounts {
		dep := Dep{Ref: Ref{KindVolume, m.Volume}, Until: Created}
		if m.Volume != "" && !slices.Contains(deps, dep) {
			deps = append(deps, dep)
		}
	}
	return append(deps, slices.SortedFunc(slices.Values(s.Depends), func(a, b Dep) int {
		return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Until, b.Until))
	})...)
}

func (*Service) resource() {}
