package compose

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// check looks at what only all files together can tell.
func (l *load) check(c *conversion) {
	for _, name := range c.names() {
		s := c.services[name]
		c.checkSource(s)
		c.checkDeclared(s)
		c.checkDepends(s)
		c.checkValues(s)
		c.checkLimits(s)
		c.checkMounts(s)
	}
	c.checkProfiles()
	c.checkObjects()
	c.checkCycles()
	c.checkContainers()
	c.checkPorts()
}

// checkProfiles warns of a profile that was asked for and that no service has.
func (c *conversion) checkProfiles() {
	known := map[string]bool{"*": true}
	for _, s := range c.project.AllServices() {
		for _, profile := range s.Profiles {
			known[profile] = true
		}
	}
	for _, profile := range c.options.Profiles {
		if !known[profile] {
			delete(known, "*")
			c.warn(place{file: c.options.File}, didYouMean(profile, slices.Sorted(maps.Keys(known))), "no service has the profile %q", profile)
		}
	}
}

func (c *conversion) checkSource(s types.ServiceConfig) {
	if s.Build == nil && s.Image == "" && !c.misspelt(s.Name, "image", "build") {
		c.fault(c.service(s.Name), "give it one of the two", "service %q has neither image nor build", s.Name)
	}
	if s.Build != nil && s.Build.DockerfileInline != "" && s.Build.Dockerfile != "Dockerfile" && s.Build.Dockerfile != "" {
		c.fault(c.service(s.Name, "build", "dockerfile_inline"), "remove one of the two", "service %q has both dockerfile and dockerfile_inline", s.Name)
	}
}

// misspelt: a key of the service was most likely meant to be one of these, and
// has been reported.
func (c *conversion) misspelt(service string, keys ...string) bool {
	known := composeShape().at("services.*").names()
	for _, s := range c.sections {
		for _, m := range members(valueOf(s.node, []string{"services", service})) {
			if !slices.Contains(known, m.key.Value) && slices.Contains(keys, nearest(m.key.Value, known)) {
				return true
			}
		}
	}
	return false
}

// checkDeclared: what a service uses has to be declared at the top level.
func (c *conversion) checkDeclared(s types.ServiceConfig) {
	for _, key := range slices.Sorted(maps.Keys(s.Networks)) {
		_, ok := c.project.Networks[key]
		c.declared(ok, c.service(s.Name, "networks", key), s.Name, "networks", key)
	}
	for _, v := range s.Volumes {
		if _, ok := c.project.Volumes[v.Source]; v.Type == types.VolumeTypeVolume && v.Source != "" {
			c.declared(ok, c.item(s.Name, "volumes", v.Source, v.Target), s.Name, "volumes", v.Source)
		}
	}
	for _, ref := range s.Configs {
		_, ok := c.project.Configs[ref.Source]
		c.declared(ok, c.item(s.Name, "configs", ref.Source), s.Name, "configs", ref.Source)
	}
	for _, ref := range s.Secrets {
		_, ok := c.project.Secrets[ref.Source]
		c.declared(ok, c.item(s.Name, "secrets", ref.Source), s.Name, "secrets", ref.Source)
	}
}

func (c *conversion) declared(ok bool, at place, service, kind, name string) {
	if ok {
		return
	}
	hint := "declare it under " + kind
	if best := nearest(name, c.declaredNames(kind)); best != "" {
		hint = `did you mean "` + best + `"?`
	}
	c.fault(at, hint, "service %q uses the undeclared %s %q", service, strings.TrimSuffix(kind, "s"), name)
}

func (c *conversion) declaredNames(kind string) []string {
	switch kind {
	case "networks":
		return c.project.NetworkNames()
	case "volumes":
		return c.project.VolumeNames()
	case "configs":
		return c.project.ConfigNames()
	default:
		return c.project.SecretNames()
	}
}

// checkDepends: what a service waits for is there, and in no higher tier.
func (c *conversion) checkDepends(s types.ServiceConfig) {
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		at := c.dependency(s, name)
		_, active := c.services[name]
		disabled, known := c.project.DisabledServices[name]
		switch {
		case active && name == c.spark:
			c.fault(at, "", "service %q depends on %q, which runs only when retention needs Spark", s.Name, name)
		case active && c.joined.tierOf[name] > c.joined.tierOf[s.Name]:
			c.fault(at, "move one of them", "service %q is in tier %q and depends on %q of the higher tier %q",
				s.Name, c.tierName(s.Name), name, c.tierName(name))
		case active || !s.DependsOn[name].Required:
		case known:
			c.fault(at, "activate it with --profile, or write required: false", "service %q depends on %q, whose profiles (%s) are not active",
				s.Name, name, strings.Join(disabled.Profiles, ", "))
		default:
			c.fault(at, didYouMean(name, c.names()), "service %q depends on %q, which is not declared", s.Name, name)
		}
	}
}

// dependency is where a service says that it needs another one.
func (c *conversion) dependency(s types.ServiceConfig, name string) place {
	if stated := c.service(s.Name, "depends_on", name); stated != c.service(s.Name, "depends_on") {
		return stated
	}
	switch types.ServicePrefix + name {
	case s.NetworkMode:
		return c.service(s.Name, "network_mode")
	case s.Pid:
		return c.service(s.Name, "pid")
	case s.Ipc:
		return c.service(s.Name, "ipc")
	}
	return c.service(s.Name, "depends_on")
}

func (c *conversion) tierName(service string) string { return c.tiers[c.joined.tierOf[service]].Name }

// checkCycles finds services that wait for each other.
func (c *conversion) checkCycles() {
	done := map[string]bool{}
	for _, name := range c.names() {
		c.walkCycle(name, nil, done)
	}
}

func (c *conversion) walkCycle(name string, way []string, done map[string]bool) {
	if i := slices.Index(way, name); i >= 0 {
		circle := append(slices.Clone(way[i:]), name)
		c.fault(c.dependency(c.services[way[len(way)-1]], name), "", "services wait for each other: %s", strings.Join(circle, " → "))
		return
	}
	if done[name] {
		return
	}
	done[name] = true
	way = append(way[:len(way):len(way)], name)
	for _, next := range slices.Sorted(maps.Keys(c.services[name].DependsOn)) {
		c.walkCycle(next, way, done)
	}
}

// checkContainers: a name belongs to one container.
func (c *conversion) checkContainers() {
	taken := map[string]string{}
	for _, name := range c.names() {
		s := c.services[name]
		if s.GetScale() > 1 && s.ContainerName != "" {
			c.fault(c.service(name, "container_name"), "remove it", "service %q has %d instances and one container_name", name, s.GetScale())
			continue
		}
		for n := 1; n <= s.GetScale(); n++ {
			container := cmp.Or(s.ContainerName, containerName(c.load.project, name, n))
			if other, ok := taken[container]; ok {
				c.fault(c.service(name, "container_name"), "", "container name %q is already that of service %q", container, other)
			}
			taken[container] = name
		}
	}
}

// published is one host port and who has it.
type published struct {
	service string
	at      place
	ip      string
	port    string
	proto   string
}

// checkPorts: no host port is published twice. A range lets the engine choose.
func (c *conversion) checkPorts() {
	var all []published
	for _, name := range c.names() {
		s := c.services[name]
		for i, p := range ports(s.Ports) {
			if p.Published == "" || strings.Contains(p.Published, "-") || s.GetScale() == 0 {
				continue
			}
			one := published{name, c.port(name, s.Ports[i]), p.HostIP, p.Published, p.Protocol}
			if s.GetScale() > 1 {
				c.fault(one.at, "publish a range, or no port", "%d instances of service %q cannot share the host port %s", s.GetScale(), name, p.Published)
			}
			for _, other := range all {
				if one.port == other.port && one.proto == other.proto && overlap(one.ip, other.ip) {
					c.fault(one.at, "", "host port %s/%s is already published by service %q at %s", one.port, one.proto, other.service, other.at)
				}
			}
			all = append(all, one)
		}
	}
}

// overlap tells whether two host addresses can be the same.
func overlap(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil {
		return true // every address
	}
	if x.Is4() != y.Is4() {
		return false
	}
	return x == y || x.IsUnspecified() || y.IsUnspecified()
}

// checkObjects: a config or secret comes from somewhere, and from one place.
func (c *conversion) checkObjects() {
	for _, kind := range []string{"configs", "secrets"} {
		for _, name := range c.declaredNames(kind) {
			object := types.FileObjectConfig(c.project.Secrets[name])
			if kind == "configs" {
				object = types.FileObjectConfig(c.project.Configs[name])
			}
			c.checkObject(kind, name, object)
		}
	}
}

func (c *conversion) checkObject(kind, name string, object types.FileObjectConfig) {
	at := c.where(c.joined.from[kind][name], kind, name)
	sources := 0
	command := kind == "secrets" && len((handout{object: object}).command()) > 0
	for _, source := range []bool{object.File != "", object.Environment != "", object.Content != "" && object.Environment == "", command} {
		if source {
			sources++
		}
	}
	switch {
	case bool(object.External):
		c.fault(at, "give it a file", "%s.%s: external is for clusters; this version of flumen-agent cannot do this yet", kind, name)
	case sources > 1:
		c.fault(at, "keep one of file, content and environment", "%s.%s has more than one source", kind, name)
	case sources == 0 && !c.stated(kind, name, "content"):
		c.fault(at, "give it a file, content or environment", "%s.%s has no source", kind, name)
	}
}

// stated tells whether a key stands in a file, be it with an empty value.
func (c *conversion) stated(path ...string) bool {
	for _, s := range c.sections {
		if _, depth := find(s.node, path...); depth == len(path) {
			return true
		}
	}
	return false
}
