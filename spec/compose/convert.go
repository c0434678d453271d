package compose

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec"
)

// convert makes resources of the project, tier by tier.
func (l *load) convert(p *types.Project) {
	c := &conversion{load: l, project: p, jobs: map[string]bool{}, services: map[string]types.ServiceConfig{}}
	c.takeSpark()
	c.resolveEnvironments()
	c.findJobs()
	l.check(c)
	c.checkReserved()
	c.learnSecrets()
	c.readStores()
	c.readBuckets()
	c.readAccess()
	c.readRetention()
	c.checkTables()
	c.forgetPublic()
	c.images()
	c.orderBuilds()
	used := map[spec.Ref]bool{}
	for i := range l.tiers {
		l.Desired.Tiers = append(l.Desired.Tiers, spec.Tier{
			Name:      l.tiers[i].Name,
			Timeout:   l.timeout(i),
			Resources: c.tier(i, used),
		})
	}
	l.Desired.Inactive = c.inactive(used)
	l.hideSecrets()
}

// hideSecrets tells the resources what must not be shown of them: an author may have
// put a secret into a command or a label.
func (l *load) hideSecrets() {
	var secrets []spec.Value
	for _, text := range l.Secrets {
		secrets = append(secrets, spec.Sensitive(text))
	}
	for _, t := range l.Desired.Tiers {
		for _, r := range t.Resources {
			switch r := r.(type) {
			case *spec.Service:
				r.Secrets = secrets
			case *spec.Network:
				r.Secrets = secrets
			case *spec.Volume:
				r.Secrets = secrets
			}
		}
	}
}

// inactive names the services whose profiles are not active, and what of the project
// only they use.
func (c *conversion) inactive(used map[spec.Ref]bool) []spec.Ref {
	all := map[spec.Ref]bool{}
	for name, s := range c.project.DisabledServices {
		all[spec.Ref{Kind: spec.KindService, Name: name}] = true
		for key := range s.Networks {
			if n := c.project.Networks[key]; !used[spec.Ref{Kind: spec.KindNetwork, Name: key}] {
				all[spec.Ref{Kind: spec.KindNetwork, Name: n.Name}] = true
			}
		}
		for _, v := range s.Volumes {
			if one, named := c.project.Volumes[v.Source]; named && !used[spec.Ref{Kind: spec.KindVolume, Name: v.Source}] {
				all[spec.Ref{Kind: spec.KindVolume, Name: one.Name}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), spec.Ref.Compare)
}

// conversion is a project on its way to resources.
type conversion struct {
	*load
	project  *types.Project
	services map[string]types.ServiceConfig // the active ones
	jobs     map[string]bool                // services that are meant to end
	built    map[string]*spec.Image         // by reference
	stores   map[string]*spec.Store
	buckets  map[int][]spec.Resource // by tier
	access   map[int][]spec.Resource // by tier
	spark    string                  // the service that is run only when Spark is needed, or ""
}

// names of the active services, in order.
func (c *conversion) names() []string { return slices.Sorted(maps.Keys(c.services)) }

// in are the names of the active services of a tier.
func (c *conversion) in(tier int) []string {
	return slices.DeleteFunc(c.names(), func(name string) bool { return c.joined.tierOf[name] != tier || name == c.spark })
}

// tier makes the resources of one: images, networks and volumes that no lower tier uses,
// with the images that those images are built from, then services, then what lives inside them.
func (c *conversion) tier(i int, used map[spec.Ref]bool) []spec.Resource {
	var needs, services []spec.Resource
	for _, name := range c.in(i) {
		for _, s := range c.instances(c.services[name]) {
			services = append(services, s)
		}
	}
	needing := services
	if one := c.Desired.Retention.Spark.Service; one != nil && c.joined.tierOf[one.Name] == i {
		needing = append(slices.Clone(services), one) // it does not run, and has to be able to
	}
	for _, kind := range []spec.Kind{spec.KindImage, spec.KindNetwork, spec.KindVolume} {
		for _, ref := range neededBy(needing, kind) {
			needs = append(needs, c.firstUse(ref, used)...)
		}
	}
	return slices.Concat(needs, services, c.buckets[i], c.access[i])
}

// firstUse gives a resource and before it those that it needs itself, but none twice.
func (c *conversion) firstUse(ref spec.Ref, used map[spec.Ref]bool) []spec.Resource {
	if used[ref] {
		return nil
	}
	used[ref] = true
	one := c.resource(ref)
	var all []spec.Resource
	for _, dep := range one.After() {
		all = append(all, c.firstUse(dep.Ref, used)...)
	}
	return append(all, one)
}

// neededBy lists what services need of one kind, in order.
func neededBy(services []spec.Resource, kind spec.Kind) []spec.Ref {
	all := map[spec.Ref]bool{}
	for _, s := range services {
		for _, dep := range s.After() {
			if dep.Ref.Kind == kind {
				all[dep.Ref] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), spec.Ref.Compare)
}

func (c *conversion) resource(ref spec.Ref) spec.Resource {
	switch ref.Kind {
	case spec.KindImage:
		return c.built[ref.Name]
	case spec.KindNetwork:
		return network(ref.Name, c.project.Networks[ref.Name])
	default:
		return volume(ref.Name, c.project.Volumes[ref.Name])
	}
}

func network(key string, n types.NetworkConfig) *spec.Network {
	one := &spec.Network{
		Key:        key,
		Name:       n.Name,
		External:   bool(n.External),
		Driver:     n.Driver,
		DriverOpts: n.DriverOpts,
		Internal:   n.Internal,
		Attachable: n.Attachable,
		EnableIPv6: n.EnableIPv6 != nil && *n.EnableIPv6,
		IPAMDriver: n.Ipam.Driver,
		Labels:     n.Labels,
	}
	for _, pool := range n.Ipam.Config {
		one.Subnets = append(one.Subnets, spec.Subnet{Subnet: pool.Subnet, Gateway: pool.Gateway, IPRange: pool.IPRange})
	}
	return one
}

func volume(key string, v types.VolumeConfig) *spec.Volume {
	return &spec.Volume{
		Key:        key,
		Name:       v.Name,
		External:   bool(v.External),
		Driver:     v.Driver,
		DriverOpts: v.DriverOpts,
		Labels:     v.Labels,
	}
}

// resolveEnvironments puts env files and label files into the services, each by
// itself, so that a missing one spoils only its own.
func (c *conversion) resolveEnvironments() {
	for _, name := range slices.Sorted(maps.Keys(c.project.Services)) {
		s := c.project.Services[name]
		s.EnvFiles = slices.DeleteFunc(s.EnvFiles, func(f types.EnvFile) bool {
			return !c.there(f.Path, bool(f.Required), c.item(name, "env_file", filepath.Base(f.Path)), "env_file")
		})
		s.LabelFiles = slices.DeleteFunc(s.LabelFiles, func(f string) bool {
			return !c.there(f, true, c.item(name, "label_file", filepath.Base(f)), "label_file")
		})
		c.services[name] = c.resolveEnvironment(s)
	}
}

// there tells whether a file of a service can be read.
func (c *conversion) there(path string, required bool, at place, key string) bool {
	if c.outside(path, at, key) {
		return false
	}
	c.Files = append(c.Files, path)
	if exists(path) {
		return true
	}
	if required {
		c.fault(at, "make it, or remove it from "+key, "%s %s does not exist", key, c.shown(path))
	}
	return false
}

func (c *conversion) resolveEnvironment(s types.ServiceConfig) types.ServiceConfig {
	s, ok := c.openEnvFiles(s)
	if !ok {
		return s
	}
	one := &types.Project{Environment: c.project.Environment, Services: types.Services{s.Name: s}}
	resolved, err := one.WithServicesEnvironmentResolved(true)
	if err == nil {
		resolved, err = resolved.WithServicesLabelsResolved(false)
	}
	if err != nil {
		c.envFault(c.service(s.Name, "env_file"), err)
		return s
	}
	for _, f := range s.EnvFiles {
		c.checkAsked(f.Path, f.Format, func(name string) (string, bool) {
			if text := resolved.Services[s.Name].Environment[name]; text != nil {
				return *text, true
			}
			return c.project.Environment.Resolve(name)
		})
	}
	return resolved.Services[s.Name]
}

// service is where something of a service stands.
func (c *conversion) service(name string, path ...string) place {
	return c.where(c.joined.tierOf[name], append([]string{"services", name}, path...)...)
}
