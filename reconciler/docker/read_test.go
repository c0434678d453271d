package docker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/spec"
)

func TestWhatIsDrawnReadsBackTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := drawnService().Draw(r, "service")
		at := site{labels: map[string]string{composeService: s.Name, labelProject: "p"}, containers: map[string]string{"other": "0123456789abcdef"}}
		c := built(s.Container, draw(s, at))
		got, _ := describe(c, s, knowledge{services: map[string]string{"0123456789abcdef": "other"}, references: map[string]string{s.Image: c.Image}}, newDigests())
		if diff := cmp.Diff(s.Fields(), got, cmp.AllowUnexported(spec.Value{})); diff != "" {
			r.Fatalf("(-wanted +read):\n%s", diff)
		}
	})
}

// built is what an engine makes of a blueprint, as inspect tells it.
func built(name string, b blueprint) container.InspectResponse {
	c := container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{ID: strings.Repeat("f", 64), Name: "/" + name, Image: "sha256:1", State: &container.State{}, HostConfig: b.host},
		Config:            b.config,
		NetworkSettings:   &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}},
	}
	for _, e := range b.networks {
		c.NetworkSettings.Networks[e.network] = e.settings
	}
	for _, m := range b.host.Mounts {
		point := container.MountPoint{Type: m.Type, Destination: m.Target, RW: !m.ReadOnly}
		switch m.Type {
		case mount.TypeVolume:
			point.Name = m.Source
			if m.Source == "" {
				point.Name = strings.Repeat("a", 64)
			}
		case mount.TypeBind:
			point.Source, point.Propagation = m.Source, mount.PropagationRPrivate
			if m.BindOptions != nil {
				point.Propagation = m.BindOptions.Propagation
			}
		}
		c.Mounts = append(c.Mounts, point)
	}
	for _, bind := range b.host.Binds {
		parts := strings.Split(bind, ":")
		options := strings.Split(parts[2], ",")
		point := container.MountPoint{Type: mount.TypeBind, Source: parts[0], Destination: parts[1], RW: options[0] == "rw", Propagation: mount.PropagationRPrivate}
		if len(options) > 1 {
			point.Propagation = mount.Propagation(options[1])
		}
		c.Mounts = append(c.Mounts, point)
	}
	return c
}

var (
	word   = rapid.StringMatching(`[a-z][a-z0-9]{0,6}`)
	text   = rapid.StringMatching(`[ -~]{0,8}`)
	folder = rapid.StringMatching(`(/[a-z]{1,4}){1,3}`)
	size   = rapid.Int64Range(0, 1<<34)
)

func drawnService() *rapid.Generator[*spec.Service] {
	return rapid.Custom(func(r *rapid.T) *spec.Service {
		s := &spec.Service{
			Name: word.Draw(r, "name"), Number: 1, Container: word.Draw(r, "container"), Image: word.Draw(r, "image"),
			Entrypoint: list(r, "entrypoint"), Command: list(r, "command"),
			Environment: map[string]spec.Value{}, Labels: rapid.MapOfN(word, text, 0, 3).Draw(r, "labels"),
			User: rapid.SampledFrom([]string{"", "0", "1000:1000", "app"}).Draw(r, "user"), WorkingDir: rapid.SampledFrom([]string{"", "/", "/srv/"}).Draw(r, "dir"),
			Hostname: rapid.SampledFrom([]string{"", "here"}).Draw(r, "hostname"),
			TTY:      rapid.Bool().Draw(r, "tty"), StdinOpen: rapid.Bool().Draw(r, "stdin"), Init: rapid.Bool().Draw(r, "init"),
			Privileged: rapid.Bool().Draw(r, "privileged"), ReadOnly: rapid.Bool().Draw(r, "readonly"),
			Restart:    rapid.SampledFrom([]string{"", "no", "always", "unless-stopped", "on-failure", "on-failure:3"}).Draw(r, "restart"),
			StopSignal: rapid.SampledFrom([]string{"", "SIGINT", "TERM"}).Draw(r, "signal"),
			NanoCPUs:   rapid.Int64Range(0, 64e9).Draw(r, "cpus"), Memory: size.Draw(r, "memory"), MemoryReservation: size.Draw(r, "reservation"),
			ShmSize: size.Draw(r, "shm"), PidsLimit: rapid.Int64Range(-1, 100).Draw(r, "pids"),
			Sysctls: rapid.MapOfN(word, text, 0, 2).Draw(r, "sysctls"), CapAdd: words(r, "add"), CapDrop: words(r, "drop"), GroupAdd: words(r, "groups"),
			SecurityOpt: rapid.SampledFrom([][]string{nil, {"no-new-privileges:true"}, {"seccomp=unconfined", "apparmor:unconfined"}}).Draw(r, "security"),
			ExtraHosts:  rapid.SampledFrom([][]string{nil, {"a:10.0.0.1"}, {"a:10.0.0.2", "a:10.0.0.1", "b:::1"}}).Draw(r, "hosts"),
			DNS:         words(r, "dns"), DNSSearch: words(r, "search"), DNSOptions: words(r, "options"),
			Logging: spec.Logging{Driver: word.Draw(r, "driver"), Options: rapid.MapOfN(word, text, 0, 2).Draw(r, "log options")},
		}
		for _, name := range words(r, "variables") {
			s.Environment[name] = spec.Plain(text.Draw(r, name))
		}
		if rapid.Bool().Draw(r, "grace") {
			s.StopGrace = ptr(time.Duration(rapid.Int64Range(0, 1e11).Draw(r, "grace time")))
		}
		drawnHealth(r, s)
		drawnMounts(r, s)
		drawnNetworks(r, s)
		drawnMaps(r, s)
		return s
	})
}

func list(r *rapid.T, label string) []string {
	if rapid.Bool().Draw(r, label) {
		return nil
	}
	return rapid.SliceOfN(text, 0, 3).Draw(r, label)
}

func words(r *rapid.T, label string) []string {
	return rapid.SliceOfNDistinct(word, 0, 3, rapid.ID).Draw(r, label)
}

func drawnHealth(r *rapid.T, s *spec.Service) {
	if rapid.Bool().Draw(r, "has a health check") {
		s.Health = &spec.Health{
			Test:     append([]string{"CMD"}, words(r, "test")...),
			Interval: time.Duration(rapid.Int64Range(0, 1e12).Draw(r, "interval")), StartPeriod: time.Second,
			Retries: rapid.IntRange(0, 9).Draw(r, "retries"),
		}
	}
}

func drawnMounts(r *rapid.T, s *spec.Service) {
	for _, target := range rapid.SliceOfNDistinct(folder, 0, 4, rapid.ID).Draw(r, "targets") {
		m := spec.Mount{Target: target, ReadOnly: rapid.Bool().Draw(r, "read only")}
		switch m.Type = rapid.SampledFrom([]spec.MountType{spec.MountBind, spec.MountVolume, spec.MountTmpfs}).Draw(r, "type"); m.Type {
		case spec.MountBind:
			m.Source, m.CreateHostPath = folder.Draw(r, "source"), rapid.Bool().Draw(r, "create")
			m.Propagation = rapid.SampledFrom([]string{"", "rslave", "rprivate"}).Draw(r, "propagation")
		case spec.MountVolume:
			if rapid.Bool().Draw(r, "named") {
				m.Source, m.NoCopy = "volume", rapid.Bool().Draw(r, "no copy")
			}
		case spec.MountTmpfs:
			m.TmpfsSize, m.TmpfsMode = size.Draw(r, "size"), rapid.Uint32Range(0, 0o7777).Draw(r, "mode")
		}
		s.Mounts = append(s.Mounts, m)
	}
}

func drawnNetworks(r *rapid.T, s *spec.Service) {
	namespace := rapid.SampledFrom([]string{"", "host", "service:other"})
	s.PID, s.IPC = namespace.Draw(r, "pid"), namespace.Draw(r, "ipc")
	if s.NetworkMode = namespace.Draw(r, "network mode"); s.NetworkMode == "" {
		for i, name := range rapid.SliceOfNDistinct(word, 1, 3, rapid.ID).Draw(r, "networks") {
			a := spec.Attachment{Network: name, Name: "p_" + name, Aliases: words(r, "aliases")}
			if i == 0 {
				a.IPv4 = rapid.SampledFrom([]string{"", "10.0.0.1"}).Draw(r, "address")
			}
			s.Networks = append(s.Networks, a)
		}
	}
	for range rapid.IntRange(0, 3).Draw(r, "ports") {
		s.Ports = append(s.Ports, spec.Port{
			Target: rapid.Uint16Range(1, 90).Draw(r, "port"), Protocol: rapid.SampledFrom([]string{"tcp", "udp"}).Draw(r, "protocol"),
			HostIP: rapid.SampledFrom([]string{"", "127.0.0.1", "::1"}).Draw(r, "ip"), Published: rapid.SampledFrom([]string{"", "80", "90-99"}).Draw(r, "published"),
		})
	}
}

func drawnMaps(r *rapid.T, s *spec.Service) {
	s.Ulimits = map[string]spec.Ulimit{}
	for _, name := range words(r, "ulimits") {
		s.Ulimits[name] = spec.Ulimit{Soft: size.Draw(r, "soft"), Hard: size.Draw(r, "hard")}
	}
	for _, target := range rapid.SliceOfNDistinct(folder, 0, 2, rapid.ID).Draw(r, "devices") {
		s.Devices = append(s.Devices, spec.Device{Source: "/dev/x", Target: target, Permissions: rapid.SampledFrom([]string{"", "r", "rwm"}).Draw(r, "permissions")})
	}
	slices.SortFunc(s.Devices, func(a, b spec.Device) int { return strings.Compare(a.Target, b.Target) })
}

func TestOlderFormOfTmpfsReadsTheSame(t *testing.T) {
	got := readTmpfsOptions("/tmp", "size=64m,mode=1777,ro,noexec")
	want := spec.Mount{Type: spec.MountTmpfs, Target: "/tmp", ReadOnly: true, TmpfsSize: 64 << 20, TmpfsMode: 0o1777, TmpfsOptions: []string{"noexec"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSpellingsThatTheEngineTakesForTheSameAreNoDrift(t *testing.T) {
	for name, pair := range map[string][2]string{
		"working_dir":          {"/a/", "/a"},
		"stop_grace_period":    {"1.5s", "2s"},
		"stop_signal":          {"TERM", "SIGTERM"},
		"cap_add":              {`["CAP_NET_ADMIN","chown"]`, `["CHOWN","NET_ADMIN"]`},
		"security_opt":         {`["no-new-privileges"]`, `["label=disable","no-new-privileges:true"]`},
		"device./dev/x":        {"/dev/x:", "/dev/x:rwm"},
		"extra_host.a":         {"10.0.0.2, 10.0.0.1", "10.0.0.1, 10.0.0.2"},
		"mount./a.source":      {"/b/", "/b"},
		"network.n.ipv6":       {"fd00:0::1", "fd00::1"},
		"platform":             {"linux/arm64", "linux/arm64/v8"},
		"mount./a.propagation": {"", "rprivate"},
		"pids_limit":           {"", "-1"},
		"command":              {"[]", ""},
	} {
		a, ok := canonical(name, pair[0])
		b, _ := canonical(name, pair[1])
		if !ok || a != b {
			t.Errorf("%s: %q and %q are %q and %q", name, pair[0], pair[1], a, b)
		}
	}
}

func TestSpellingOfOtherFieldsCounts(t *testing.T) {
	for _, name := range []string{"env.A", "label.a", "user", "image", "name", "port.80/tcp", "mem_limit"} {
		if text, ok := canonical(name, "A/"); ok {
			t.Errorf("%s has the canonical text %q", name, text)
		}
	}
}

func TestOldSecretIsHiddenWhereverAContainerHasIt(t *testing.T) {
	c := container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{Name: "/p-web-1", HostConfig: &container.HostConfig{}},
		Config: &container.Config{
			Env: []string{"DB_PASSWORD=hunter22", "API_TOKEN=abc"},
			Cmd: []string{"run", "--password=hunter22"}, Labels: map[string]string{"note": "hunter22", "other": "abc"},
		},
		NetworkSettings: &container.NetworkSettings{},
	}
	f := read(c, nil).Fields()
	for name, hidden := range map[string]bool{"command": true, "label.note": true, "label.other": false} {
		if f[name].IsSensitive() != hidden {
			t.Errorf("%s: sensitive %v", name, !hidden)
		}
	}
}

func TestSecretsAreKnownInWhatOthersMade(t *testing.T) {
	t.Parallel()
	got := readEnvironment([]string{"DB_PASSWORD=hush-hush", "URL=db://hush-hush/x", "DSN=postgres://u:pw@db/shop", "TZ=UTC", "MODE=hush"})
	for name, sensitive := range map[string]bool{"DB_PASSWORD": true, "URL": true, "DSN": true, "TZ": false, "MODE": false} {
		if got[name].IsSensitive() != sensitive {
			t.Errorf("%s: sensitive is %v", name, !sensitive)
		}
	}
}

func TestLogShowsNoSecretOfItsContainer(t *testing.T) {
	t.Parallel()
	c := container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{Name: "/shop-postgres-1"},
		Config:            &container.Config{Image: "postgres:17", Env: []string{"POSTGRES_PASSWORD=postgres", "API_TOKEN=hush-hush", "DSN=db://u:passphrase@db"}},
	}
	got := masked("postgres: hush-hush and passphrase refused", c)
	if want := "postgres: *** and *** refused"; got != want {
		t.Errorf("got %q", got)
	}
}
