package plan_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/spec"
)

// The names that random desired states are made of. They are few, so that two states
// in a row have much in common and get in each other's way.
var (
	serviceNames = []string{"a", "b", "c", "d", "e"}
	networkNames = []string{"default", "side"}
	volumeNames  = []string{"v1", "v2"}
	someImages   = []string{"pulled:1", "pulled:2", "built:1"}
	somePorts    = []string{"8001", "8002", "8003"}
	customNames  = []string{"custom-x", "custom-y"}
	bucketNames  = []string{"k1", "k2"}
	bucketFields = []string{"versioning", "tag.owner", "tag.cost", "lifecycle.r1", "lifecycle.r2", "encryption"} // by hand
	userNames    = []string{"u1", "u2"}
	userFields   = []string{"enabled", "policy", "secret"} // by hand
)

const testProject = "p"

// maker is a random desired state in the making.
type maker struct {
	t        *rapid.T
	services []*spec.Service // every instance, in an order in which each may need the earlier
	tier     map[string]int  // by service
	networks map[string]*spec.Network
	volumes  map[string]*spec.Volume
	images   map[string]*spec.Image
}

// genDesired draws a valid desired state. All its services can become ready.
func genDesired(t *rapid.T, label string) spec.Desired {
	s := &maker{t: t, tier: map[string]int{}, networks: map[string]*spec.Network{}, volumes: map[string]*spec.Volume{}, images: map[string]*spec.Image{}}
	s.backdrop()
	names := rapid.Permutation(serviceNames).Draw(t, label)[:s.upTo(len(serviceNames))]
	ports := rapid.Permutation(somePorts).Draw(t, "ports")
	custom := slices.Clone(customNames)
	tier := 0
	for _, name := range names {
		if s.chance(3) {
			tier++
		}
		s.tier[name] = tier
		one := s.service(name)
		if len(ports) > 0 && s.chance(2) && one.NetworkMode == "" {
			one.Ports = []spec.Port{{Target: 80, Protocol: "tcp", Published: ports[0]}}
			ports = ports[1:]
		}
		if len(custom) > 0 && s.chance(5) {
			one.Container, custom = custom[0], custom[1:]
		}
		s.services = append(s.services, one)
		s.scale(one)
	}
	return s.desired()
}

// scale adds a second instance where nothing forbids one.
func (s *maker) scale(one *spec.Service) {
	alone := slices.ContainsFunc(one.Networks, func(a spec.Attachment) bool { return a.IPv4 != "" })
	if alone || one.Container != containerOf(one.Name, 1) || len(one.Ports) > 0 || one.Job || !s.chance(5) {
		return
	}
	second := *one
	second.Number, second.Container = 2, containerOf(one.Name, 2)
	s.services = append(s.services, &second)
}

func containerOf(service string, n int) string {
	return fmt.Sprintf("%s-%s-%d", testProject, service, n)
}

// chance is true once in n times, and false where a failure shrinks to.
func (s *maker) chance(n int) bool { return rapid.IntRange(0, n-1).Draw(s.t, "chance") == n-1 }

func (s *maker) upTo(n int) int { return rapid.IntRange(0, n).Draw(s.t, "n") }

func (s *maker) pick(from ...string) string { return rapid.SampledFrom(from).Draw(s.t, "pick") }

// backdrop draws what services use.
func (s *maker) backdrop() {
	for _, key := range networkNames {
		n := &spec.Network{Key: key, Name: testProject + "_" + key}
		if s.chance(4) {
			n.Labels = map[string]string{"variant": "other"}
		}
		s.networks[key] = n
	}
	for _, key := range volumeNames {
		s.volumes[key] = &spec.Volume{Key: key, Name: testProject + "_" + key}
	}
	for _, name := range someImages {
		s.images[name] = &spec.Image{Name: name, Pull: spec.PullMissing}
	}
	s.images["built:1"].Build = &spec.Build{Context: "/src", Digest: s.pick("sha256:1", "sha256:2")}
}

// service draws one service that may need those drawn before it.
func (s *maker) service(name string) *spec.Service {
	one := &spec.Service{
		Name: name, Number: 1, Container: containerOf(name, 1),
		Image:            s.pick(someImages...),
		Environment:      map[string]spec.Value{"X": spec.Plain(s.pick("1", "2"))},
		Restart:          s.pick("", "always", "unless-stopped"),
		RestartUnhealthy: s.chance(4),
		NoRollback:       s.chance(6),
	}
	if s.chance(3) {
		one.Memory = 64 << 20
	}
	s.purpose(one)
	s.place(one)
	s.depend(one)
	if s.chance(2) {
		one.Mounts = []spec.Mount{{Type: spec.MountVolume, Target: "/data", ReadOnly: s.chance(4)}}
		one.Mounts[0].Volume = s.pick(volumeNames...)
		one.Mounts[0].Source = testProject + "_" + one.Mounts[0].Volume
	}
	return one
}

// purpose makes it a job, or something that stays.
func (s *maker) purpose(one *spec.Service) {
	switch {
	case s.chance(6):
		one.Job, one.Restart, one.Command = true, "", []string{"exit", "0"}
	case s.chance(2):
		one.Health = &spec.Health{Test: []string{"CMD", "/sleeper", "health"}, Interval: time.Second}
	}
}

// place puts it on networks of its own, or into the network namespace of another.
func (s *maker) place(one *spec.Service) {
	hosts := s.earlier(func(o *spec.Service) bool { return !o.Job && o.NetworkMode == "" && o.Number == 1 })
	if len(hosts) > 0 && s.chance(6) {
		host := rapid.SampledFrom(hosts).Draw(s.t, "host")
		one.NetworkMode = "service:" + host.Name
		one.Depends = []spec.Dep{{Ref: host.Ref(), Until: spec.Started, Shares: true}}
		return
	}
	keys := [][]string{{"default"}, {"side"}, {"default", "side"}}
	for _, key := range rapid.SampledFrom(keys).Draw(s.t, "networks") {
		one.Networks = append(one.Networks, spec.Attachment{Network: key, Name: testProject + "_" + key})
	}
	address := "10.0.0." + s.pick("8", "9")
	taken := func(o *spec.Service) bool {
		return slices.ContainsFunc(o.Networks, func(a spec.Attachment) bool { return a.IPv4 == address })
	}
	if one.Networks[0].Network == "default" && s.chance(5) && len(s.earlier(taken)) == 0 {
		one.Networks[0].IPv4 = address
	}
}

// depend makes it wait for some of those drawn before it.
func (s *maker) depend(one *spec.Service) {
	for _, other := range s.earlier(func(*spec.Service) bool { return true }) {
		if !s.chance(3) || slices.ContainsFunc(one.Depends, func(d spec.Dep) bool { return d.Ref == other.Ref() }) {
			continue
		}
		dep := spec.Dep{Ref: other.Ref(), Until: spec.Ready, Restarts: s.chance(3) && !one.Job}
		switch {
		case other.Job:
			dep.Until = spec.Done
		case s.chance(2):
			dep.Until = spec.Started
		}
		one.Depends = append(one.Depends, dep)
	}
}

func (s *maker) earlier(ok func(*spec.Service) bool) []*spec.Service {
	return slices.DeleteFunc(slices.Clone(s.services), func(o *spec.Service) bool { return !ok(o) })
}

// desired puts the services into tiers, and what they use into the first tier that
// uses it.
func (s *maker) desired() spec.Desired {
	want := spec.Desired{Project: testProject}
	if len(s.services) == 0 {
		return want
	}
	want.Tiers = make([]spec.Tier, s.tier[s.services[len(s.services)-1].Name]+1)
	placed := map[spec.Ref]bool{}
	for i := range want.Tiers {
		want.Tiers[i] = spec.Tier{Name: fmt.Sprint("t", i), Timeout: time.Minute}
	}
	for _, one := range s.services {
		tier := &want.Tiers[s.tier[one.Name]]
		add := func(r spec.Resource) {
			if !placed[r.Ref()] {
				placed[r.Ref()] = true
				tier.Resources = append(tier.Resources, r)
			}
		}
		add(s.images[one.Image])
		for _, a := range one.Networks {
			add(s.networks[a.Network])
		}
		for _, m := range one.Mounts {
			add(s.volumes[m.Volume])
		}
		add(one)
	}
	s.fill(&want)
	return want
}

// fill puts buckets and users into some services that stay, in their tiers.
func (s *maker) fill(want *spec.Desired) {
	servers := s.earlier(func(o *spec.Service) bool { return !o.Job && o.Number == 1 })
	if len(servers) == 0 {
		return
	}
	store := &spec.Store{Name: "store"}
	inside := func() (tier *spec.Tier, depends []spec.Dep) {
		server := rapid.SampledFrom(servers).Draw(s.t, "server")
		for _, o := range s.services {
			if o.Name == server.Name {
				depends = append(depends, spec.Dep{Ref: o.Ref(), Until: spec.Ready})
			}
		}
		return &want.Tiers[s.tier[server.Name]], depends
	}
	for _, name := range userNames {
		if !s.chance(3) {
			continue
		}
		tier, depends := inside()
		policy, _ := spec.ParsePolicy(fmt.Sprintf(`{"Statement": {"Effect": "Allow", "Action": %q}}`, s.pick("s3:*", "s3:GetObject")))
		tier.Resources = append(tier.Resources, &spec.Access{
			User: name, Owner: testProject, Secret: spec.Sensitive(s.pick("secret-1", "secret-2")), Policy: policy, Store: store, Depends: depends,
		})
	}
	for _, name := range bucketNames {
		if !s.chance(2) {
			continue
		}
		tier, depends := inside()
		b := &spec.Bucket{Key: name, Name: name, Store: store, Versioning: spec.Versioning(s.pick("", "enabled", "suspended")), Tags: map[string]string{}, Depends: depends}
		for _, key := range []string{"owner", "cost"} {
			if s.chance(3) {
				b.Tags[key] = s.pick("1", "2")
			}
		}
		b.Exact, b.Encryption = s.chance(4), s.pick("", "sse-s3", "sse-kms")
		if s.chance(3) {
			b.Lifecycle = []spec.LifecycleRule{{ID: s.pick("r1", "r2"), NoncurrentDays: rapid.IntRange(1, 2).Draw(s.t, "days")}}
		}
		tier.Resources = append(tier.Resources, b)
	}
}
