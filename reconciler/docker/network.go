package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// observeNetworks finds the networks that the spec names and those of ours.
func (t *Target) observeNetworks(ctx context.Context, want spec.Desired) drift.Observed {
	seen := drift.Observed{Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}}
	all, err := t.engine.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		seen.Blind[spec.Ref{Kind: spec.KindNetwork}] = "list networks: " + err.Error()
		return seen
	}
	wanted := map[string]*spec.Network{}
	for _, n := range spec.Resources[*spec.Network](want) {
		wanted[n.Name] = n
	}
	for _, n := range all {
		w := wanted[n.Name]
		f, ok := findNamed(want.Project, spec.KindNetwork, w, n.Name, n.Labels, composeNetwork)
		// The engine allows two networks of one name: ours counts.
		if before := seen.Found[f.Ref]; !ok || before.Owned {
			continue
		}
		f.ID, f.Fields = n.ID, readNetwork(n, w)
		seen.Found[f.Ref] = f
	}
	return seen
}

// named is a resource that the engine knows by a name of its own: a network or a volume.
type named interface {
	comparable
	spec.Resource
}

// findNamed tells what a network or volume of the engine is found as, if anything: what
// has a wanted name, or else is ours. What Compose made counts as ours only under the
// name and the key the spec gives it.
func findNamed[R named](project string, kind spec.Kind, want R, name string, labels map[string]string, keyLabel string) (drift.Found, bool) {
	var none R
	ours := labels[labelProject] == project
	if want != none {
		adopted := labels[composeProject] == project && labels[keyLabel] == want.Ref().Name
		return drift.Found{Ref: want.Ref(), ID: name, Owned: ours || adopted, State: drift.Present}, true
	}
	return drift.Found{Ref: spec.Ref{Kind: kind, Name: name}, ID: name, Owned: true, State: drift.Present}, ours
}

// readNetwork gives the fields of a network, without what the engine chose where want
// leaves the choice.
func readNetwork(n network.Summary, want *spec.Network) spec.Fields {
	read := &spec.Network{
		Driver: n.Driver, DriverOpts: n.Options, Internal: n.Internal, Attachable: n.Attachable,
		EnableIPv6: n.EnableIPv6, IPAMDriver: n.IPAM.Driver, Labels: readLabels(n.Labels),
	}
	var wanted spec.Fields
	if want != nil {
		wanted = want.Fields()
		read.Subnets = readSubnets(n.IPAM.Config, want.Subnets)
	}
	f := read.Fields()
	for _, given := range []struct{ name, value string }{{"driver", "bridge"}, {"ipam", "default"}} {
		if _, named := wanted[given.name]; !named && f[given.name].Reveal() == given.value {
			delete(f, given.name)
		}
	}
	return f
}

// readSubnets gives the address ranges of a network in the order of the wanted ones,
// each with only what is wanted of it. The engine adds ranges and gateways of its own,
// and cannot tell them from those that were asked for.
func readSubnets(have []network.IPAMConfig, want []spec.Subnet) []spec.Subnet {
	all := make([]spec.Subnet, len(want))
	rest := slices.Clone(have)
	for i, w := range want {
		at := slices.IndexFunc(rest, func(c network.IPAMConfig) bool { return c.Subnet == w.Subnet })
		if at < 0 {
			at = 0
		}
		if at >= len(rest) {
			continue
		}
		all[i].Subnet = rest[at].Subnet
		if w.Gateway != "" {
			all[i].Gateway = rest[at].Gateway
		}
		all[i].IPRange = rest[at].IPRange
		rest = slices.Delete(rest, at, at+1)
	}
	return all
}

func (t *Target) applyNetwork(ctx context.Context, c plan.Change, p plan.Progress) error {
	var err error
	switch c := c.(type) {
	case plan.Create:
		err = t.createNetwork(ctx, c.Want.(*spec.Network))
	case plan.Replace:
		err = t.replaceNetwork(ctx, c.Want.(*spec.Network), c.Have.ID)
	case plan.Remove:
		return t.removeNetwork(ctx, c.Have.ID)
	default:
		return fmt.Errorf("a network cannot be %sed", c.Verb())
	}
	if err == nil {
		p.Reached(spec.Created)
	}
	return err
}

// createNetwork first looks whether the network is there: the engine would make a
// second one of the same name.
func (t *Target) createNetwork(ctx context.Context, n *spec.Network) error {
	there, err := t.engine.NetworkList(ctx, network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", n.Name))})
	if err != nil {
		return err
	}
	for _, one := range there {
		if one.Name == n.Name {
			return t.acceptNetwork(n, one)
		}
	}
	_, err = t.engine.NetworkCreate(ctx, n.Name, t.drawNetwork(n))
	return err
}

// acceptNetwork takes a network that is there already for the wanted one if it is ours
// and the same.
func (t *Target) acceptNetwork(n *spec.Network, there network.Summary) error {
	if there.Labels[labelProject] != t.recall().want.Project {
		return fmt.Errorf("a network %s (%s) that is not the project's is in the way: rename or remove it", there.Name, short(there.ID))
	}
	if !maps.EqualFunc(readNetwork(there, n), n.Fields(), spec.Value.Equal) {
		return fmt.Errorf("network %s (%s) appeared, and is not as it should be: %w", there.Name, short(there.ID), plan.ErrStale)
	}
	return nil
}

func (t *Target) drawNetwork(n *spec.Network) network.CreateOptions {
	want := t.recall().want
	o := network.CreateOptions{
		Driver: n.Driver, Options: n.DriverOpts, Internal: n.Internal, Attachable: n.Attachable,
		Labels: owned(want.Project, want.TierOf(n.Ref()), composeNetwork, n.Key),
	}
	maps.Copy(o.Labels, n.Labels)
	if n.EnableIPv6 {
		o.EnableIPv6 = &n.EnableIPv6
	}
	if n.IPAMDriver == "" && len(n.Subnets) == 0 {
		return o
	}
	o.IPAM = &network.IPAM{Driver: n.IPAMDriver}
	for _, s := range n.Subnets {
		o.IPAM.Config = append(o.IPAM.Config, network.IPAMConfig{Subnet: s.Subnet, Gateway: s.Gateway, IPRange: s.IPRange})
	}
	return o
}

// replaceNetwork makes a network anew. What hangs on it is replaced by the same plan;
// here it is only taken off, and put back if the new network cannot be made.
func (t *Target) replaceNetwork(ctx context.Context, n *spec.Network, id string) error {
	old, err := t.engine.NetworkInspect(ctx, id, network.InspectOptions{})
	if err != nil {
		return stale(err)
	}
	if err := t.onlyOurs(ctx, old); err != nil {
		return err
	}
	// From here on it is done or undone as a whole.
	ctx = context.WithoutCancel(ctx)
	for _, c := range slices.Sorted(maps.Keys(old.Containers)) {
		if err := t.engine.NetworkDisconnect(ctx, id, c, true); err != nil && !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("disconnect %s: %w", old.Containers[c].Name, err)
		}
	}
	if err := t.removeNetwork(ctx, id); err != nil {
		return err
	}
	if err := t.createNetwork(ctx, n); err != nil {
		return t.restoreNetwork(ctx, old, err)
	}
	return nil
}

// onlyOurs refuses to take a network from under containers that are not the project's.
func (t *Target) onlyOurs(ctx context.Context, n network.Inspect) error {
	project := t.recall().want.Project
	for id, c := range n.Containers {
		answer, err := t.engine.ContainerInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("inspect %s: %w", c.Name, err)
		}
		if !belongs(answer.Config.Labels, project) {
			return fmt.Errorf("container %s, which is not the project's, is connected to %s: disconnect it with: docker network disconnect %s %s", c.Name, n.Name, n.Name, c.Name)
		}
	}
	return nil
}

// belongs tells whether labels are those of the project's containers.
func belongs(labels map[string]string, project string) bool {
	return labels[labelProject] == project || labels[composeProject] == project
}

// restoreNetwork makes a removed network again and connects what was on it.
func (t *Target) restoreNetwork(ctx context.Context, old network.Inspect, cause error) error {
	options := network.CreateOptions{
		Driver: old.Driver, Options: old.Options, Internal: old.Internal, Attachable: old.Attachable,
		EnableIPv6: &old.EnableIPv6, IPAM: &old.IPAM, Labels: old.Labels,
	}
	made, err := t.engine.NetworkCreate(ctx, old.Name, options)
	if err != nil {
		return fmt.Errorf("%w; making the old network again: %w", cause, err)
	}
	for _, id := range slices.Sorted(maps.Keys(old.Containers)) {
		if err := t.reconnect(ctx, made.ID, id); err != nil {
			return fmt.Errorf("%w; connecting %s again: %w", cause, old.Containers[id].Name, err)
		}
	}
	return fmt.Errorf("%w; the old network was made again", cause)
}

// reconnect connects a container to a network by the aliases of its service.
func (t *Target) reconnect(ctx context.Context, networkID, id string) error {
	c, err := t.engine.ContainerInspect(ctx, id)
	if err != nil {
		return err
	}
	e := &network.EndpointSettings{Aliases: []string{c.Config.Labels[composeService]}}
	if s, ok := t.recall().want.Find(refOf(c.Config.Labels)).(*spec.Service); ok {
		for _, a := range s.Networks {
			e = drawEndpoint(s.Name, a)
		}
	}
	return t.engine.NetworkConnect(ctx, networkID, id, e)
}

// removeNetwork takes stopped containers along: they hold no endpoint.
func (t *Target) removeNetwork(ctx context.Context, id string) error {
	err := t.engine.NetworkRemove(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}
