package spec_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/spec"
)

// texts are the fields of a resource as people see them.
func texts(r spec.Resource) map[string]string {
	all := map[string]string{}
	for name, v := range r.Fields() {
		all[name] = v.String()
	}
	return all
}

func TestFieldsAreCanonical(t *testing.T) {
	grace := 90 * time.Second
	for name, c := range map[string]struct {
		service spec.Service
		want    map[string]string
	}{
		"nothing said": {spec.Service{}, nil},
		"sizes in the largest unit that divides them": {
			spec.Service{Memory: 3 << 30, MemorySwap: -1, MemoryReservation: 1500 << 20, ShmSize: 1234},
			map[string]string{"mem_limit": "3GiB", "memswap_limit": "-1", "mem_reservation": "1500MiB", "shm_size": "1234"},
		},
		"cpus without trailing zeros": {spec.Service{NanoCPUs: 1_500_000_000, PidsLimit: -1}, map[string]string{"cpus": "1.5", "pids_limit": "-1"}},
		"lists where an empty one counts": {
			spec.Service{Command: []string{}, Entrypoint: []string{"sh", "-c", "a \"b\""}},
			map[string]string{"command": "[]", "entrypoint": `["sh","-c","a \"b\""]`},
		},
		"lists where none is the default": {spec.Service{DNS: []string{}, CapAdd: []string{}}, nil},
		"sets in order, each once": {
			spec.Service{CapAdd: []string{"SYS_TIME", "CHOWN", "SYS_TIME"}, GroupAdd: []string{"b", "a"}},
			map[string]string{"cap_add": `["CHOWN","SYS_TIME"]`, "group_add": `["a","b"]`},
		},
		"ports by what is inside": {
			spec.Service{Ports: []spec.Port{
				{Target: 80, Protocol: "tcp", Published: "8081"}, {Target: 80, Protocol: "tcp", HostIP: "127.0.0.1", Published: "8080"},
				{Target: 80, Protocol: "tcp", Published: "8081"}, {Target: 53, Protocol: "udp"}, {Target: 443, Protocol: "tcp", HostIP: "::1", Published: "443"},
			}},
			map[string]string{"port.80/tcp": "127.0.0.1:8080, 8081", "port.53/udp": "any", "port.443/tcp": "[::1]:443"},
		},
		"restart no is the default": {spec.Service{Restart: "no", StopGrace: &grace}, map[string]string{"stop_grace_period": "1m30s"}},
		"a service's own name is an alias": {
			spec.Service{Name: "db", Networks: []spec.Attachment{{Network: "default", Name: "p_default", Aliases: []string{"pg"}}}},
			map[string]string{"network.p_default": "attached", "network.p_default.aliases": `["db","pg"]`},
		},
		"one host name with two addresses": {
			spec.Service{ExtraHosts: []string{"h:10.0.0.1", "h:::1"}}, map[string]string{"extra_host.h": "10.0.0.1, ::1"},
		},
		"a secret file's digest is sensitive": {
			spec.Service{Files: []spec.File{
				{Target: "/run/secrets/s", Content: spec.Sensitive("x"), Digest: "sha256:1"}, {Target: "/etc/c", Content: spec.Plain("x"), Digest: "sha256:2"},
			}},
			map[string]string{"file./run/secrets/s": spec.Masked, "file./etc/c": "sha256:2"},
		},
		"changed content may be asked to be ignored": {
			spec.Service{IgnoreFileChanges: true, Mounts: []spec.Mount{{Type: spec.MountBind, Target: "/c", Source: "/s", Digest: "d"}}, Files: []spec.File{{Target: "/f", Digest: "d"}}},
			map[string]string{"mount./c": "bind", "mount./c.source": "/s"},
		},
		"health checks": {
			spec.Service{Health: &spec.Health{Test: []string{"CMD", "x"}, Interval: 1500 * time.Millisecond, Retries: 3}},
			map[string]string{"healthcheck.test": `["CMD","x"]`, "healthcheck.interval": "1.5s", "healthcheck.retries": "3"},
		},
		"a tmpfs": {
			spec.Service{Mounts: []spec.Mount{{Type: spec.MountTmpfs, Target: "/tmp", TmpfsSize: 64 << 20, TmpfsMode: 0o1777}}},
			map[string]string{"mount./tmp": "tmpfs", "mount./tmp.size": "64MiB", "mount./tmp.mode": "01777"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == nil {
				c.want = map[string]string{}
			}
			if diff := cmp.Diff(c.want, texts(&c.service)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExternalResourcesHaveNoFields(t *testing.T) {
	labels := map[string]string{"a": "b"}
	for _, r := range []spec.Resource{
		&spec.Network{Key: "n", Name: "n", External: true, Driver: "bridge", Labels: labels},
		&spec.Volume{Key: "v", Name: "v", External: true, Driver: "local", Labels: labels},
	} {
		if f := r.Fields(); len(f) > 0 {
			t.Errorf("%s: %v", r.Ref(), f)
		}
	}
}

func TestServiceNeedsEachThingOnce(t *testing.T) {
	s := &spec.Service{
		Name: "web", Number: 1, Image: "i",
		Networks: []spec.Attachment{{Network: "front", Name: "p_front"}},
		Mounts:   []spec.Mount{{Type: spec.MountVolume, Volume: "v", Target: "/a"}, {Type: spec.MountVolume, Volume: "v", Target: "/b"}, {Type: spec.MountTmpfs, Target: "/t"}},
		Depends:  []spec.Dep{{Ref: spec.InstanceRef("db", 2), Until: spec.Ready}, {Ref: spec.InstanceRef("db", 1), Until: spec.Ready}},
	}
	want := []spec.Dep{
		{Ref: spec.Ref{Kind: spec.KindImage, Name: "i"}, Until: spec.Created},
		{Ref: spec.Ref{Kind: spec.KindNetwork, Name: "front"}, Until: spec.Created, Shares: true},
		{Ref: spec.Ref{Kind: spec.KindVolume, Name: "v"}, Until: spec.Created},
		{Ref: spec.InstanceRef("db", 1), Until: spec.Ready},
		{Ref: spec.InstanceRef("db", 2), Until: spec.Ready},
	}
	if diff := cmp.Diff(want, s.After()); diff != "" {
		t.Error(diff)
	}
}
