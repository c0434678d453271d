package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// observeNetworks finds the networks that the spec names and those of ours, and gives the
// IDs of all there are.
func (t *Target) observeNetworks(ctx context.Context, want spec.Desired) (drift.Observed, map[string]bool) {
	seen := drift.Observed{Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}}
	all, err := t.engine.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		seen.Blind[spec.Ref{Kind: spec.KindNetwork}] = "list networks: " + err.Error()
		return seen, nil
	}
	there := map[string]bool{}
	wanted := map[string]*spec.Network{}
	for _, n := range spec.Resources[*spec.Network](want) {
		wanted[n.Name] = n
	}
	for _, n := range all {
		there[n.ID] = true
		w := wanted[n.Name]
		f, ok := findNamed(want.Project, spec.KindNetwork, w, n.Name, n.Labels, composeNetwork)
		// The engine allows two networks of one name: ours counts.
		if before := seen.Found[f.Ref]; !ok || before.Owned {
			continue
		}
		f.ID, f.Fields = n.ID, readNetwork(n, w)
		seen.Found[f.Ref] = f
	}
	return seen, there
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

// replaceNetwork makes a network anew. The containers on it are taken off and put on the
// new one, so that they go on working until the plan replaces them, and still do if that
// fails. If the new network cannot be made, the old one comes back.
func (t *Target) replaceNetwork(ctx context.Context, n *spec.Network, id string) error {
	old, err := t.engine.NetworkInspect(ctx, id, network.InspectOptions{})
	if err != nil {
		return stale(err)
	}
	guests, err := t.guests(ctx, old)
	if err != nil {
		return err
	}
	// From here on it is done or undone as a whole.
	ctx = context.WithoutCancel(ctx)
	for i, g := range guests {
		defer t.acts.hold(g.id)()
		if err := t.engine.NetworkDisconnect(ctx, id, g.id, true); err != nil && !cerrdefs.IsNotFound(err) {
			return errors.Join(fmt.Errorf("disconnect %s: %w", g.name, err), t.connectGuests(ctx, id, guests[:i]))
		}
	}
	if err := t.removeNetwork(ctx, id); err != nil {
		return errors.Join(err, t.connectGuests(ctx, id, guests))
	}
	if err := t.createNetwork(ctx, n); err != nil {
		return t.restoreNetwork(ctx, old, guests, err)
	}
	return t.connectGuests(ctx, n.Name, guests)
}

// guest is a running container on a network.
type guest struct {
	id, name string
	settings *network.EndpointSettings
}

// guests gives the containers on a network, by name. It refuses to take the network from
// under one that is not the project's.
func (t *Target) guests(ctx context.Context, n network.Inspect) ([]guest, error) {
	project := t.recall().want.Project
	var all []guest
	for _, id := range slices.Sorted(maps.Keys(n.Containers)) {
		c, err := t.engine.ContainerInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inspect %s: %w", n.Containers[id].Name, err)
		}
		name := nameOfContainer(c)
		if !belongs(c.Config.Labels, project) {
			return nil, fmt.Errorf("container %s, which is not the project's, is connected to it: disconnect it with: docker network disconnect %s %s", name, n.Name, name)
		}
		all = append(all, guest{id, name, again(c.NetworkSettings.Networks[n.Name], id)})
	}
	return all, nil
}

// belongs tells whether labels are those of the project's containers.
func belongs(labels map[string]string, project string) bool {
	return labels[labelProject] == project || labels[composeProject] == project
}

// again gives what was asked for of an endpoint, without what the engine made of it.
func again(e *network.EndpointSettings, id string) *network.EndpointSettings {
	if e == nil {
		return &network.EndpointSettings{}
	}
	aliases := slices.DeleteFunc(slices.Clone(e.Aliases), func(alias string) bool { return alias == short(id) })
	return &network.EndpointSettings{Aliases: aliases, IPAMConfig: e.IPAMConfig, Links: e.Links, DriverOpts: e.DriverOpts}
}

// connectGuests puts containers on a network. A fixed address that the network does not
// have any more is given up: the container is about to be replaced. One that cannot be
// connected does not keep the others off.
func (t *Target) connectGuests(ctx context.Context, name string, guests []guest) error {
	var errs []error
	for _, g := range guests {
		err := t.engine.NetworkConnect(ctx, name, g.id, g.settings)
		if err != nil && g.settings.IPAMConfig != nil {
			anywhere := *g.settings
			anywhere.IPAMConfig = nil
			err = t.engine.NetworkConnect(ctx, name, g.id, &anywhere)
		}
		if err != nil && !cerrdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("connect %s to %s: %w", g.name, name, err))
		}
	}
	return errors.Join(errs...)
}

// restoreNetwork makes a removed network again and connects what was on it.
func (t *Target) restoreNetwork(ctx context.Context, old network.Inspect, guests []guest, cause error) error {
	options := network.CreateOptions{
		Driver: old.Driver, Options: old.Options, Internal: old.Internal, Attachable: old.Attachable,
		EnableIPv6: &old.EnableIPv6, IPAM: &old.IPAM, Labels: old.Labels,
	}
	if _, err := t.engine.NetworkCreate(ctx, old.Name, options); err != nil {
		// The engine may have given its addresses to another network by now.
		options.IPAM = &network.IPAM{Driver: old.IPAM.Driver, Options: old.IPAM.Options}
		if _, again := t.engine.NetworkCreate(ctx, old.Name, options); again != nil {
			return fmt.Errorf("%w; making the old network again: %w", cause, err)
		}
	}
	if err := t.connectGuests(ctx, old.Name, guests); err != nil {
		return fmt.Errorf("%w; with the old network again: %w", cause, err)
	}
	return fmt.Errorf("%w; the old network was made again", cause)
}

// reattach puts a container that does not run back on those of its networks that were
// made anew: it would not start otherwise.
func (t *Target) reattach(ctx context.Context, c container.InspectResponse) error {
	all, err := t.engine.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	there := map[string]bool{}
	for _, n := range all {
		there[n.ID] = true
	}
	for _, name := range staleNetworks(c, there) {
		if err := t.engine.NetworkDisconnect(ctx, name, c.ID, true); err != nil && !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("disconnect from %s: %w", name, err)
		}
		g := guest{c.ID, nameOfContainer(c), again(c.NetworkSettings.Networks[name], c.ID)}
		if err := t.connectGuests(ctx, name, []guest{g}); err != nil {
			return err
		}
	}
	return nil
}

// lettingGo is how long a busy engine may go on counting a container as connected after it
// has removed it.
const lettingGo = 10 * time.Second

// removeNetwork takes stopped containers along: they hold no endpoint.
func (t *Target) removeNetwork(ctx context.Context, id string) error {
	for end := time.Now().Add(lettingGo); ; {
		err := t.engine.NetworkRemove(ctx, id)
		t.acts.acted(id)
		switch inUse := cerrdefs.IsPermissionDenied(err); {
		case cerrdefs.IsNotFound(err):
			return nil
		case !inUse || time.Now().After(end):
			return err
		}
		select {
		case <-time.After(lettingGo / 20):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
