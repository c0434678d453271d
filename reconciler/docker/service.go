package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// startIntervalVersion is the API version from which a health check may have a
// start_interval; older engines refuse the whole container.
const startIntervalVersion = "1.44"

// subpathVersion is the API version from which a part of a volume can be mounted; older
// engines mount all of it.
const subpathVersion = "1.45"

func (t *Target) applyService(ctx context.Context, c plan.Change, p plan.Progress) error {
	switch c := c.(type) {
	case plan.Create:
		return t.createService(ctx, c.Want.(*spec.Service), p)
	case plan.Update:
		return t.update(ctx, c, p)
	case plan.Replace:
		return t.replace(ctx, c.Want.(*spec.Service), c.Have, p)
	case plan.Start:
		return t.startAgain(ctx, c.Want.(*spec.Service), c.Have, p)
	case plan.Restart:
		return t.restart(ctx, c.Want.(*spec.Service), c.Have, p)
	case plan.Wait:
		return t.watchOver(ctx, c.Want.(*spec.Service), c.Have, p)
	case plan.Remove:
		p.Doing("stopping", 0, 0)
		return t.removeContainer(ctx, c.Have.ID, p)
	default:
		panic("docker: unknown change " + string(c.Verb()))
	}
}

// createService makes a container, starts it and waits until it is ready. One that gets
// files copied in is made under another name first: a container with the right name has
// all its files, wherever the agent was killed.
func (t *Target) createService(ctx context.Context, s *spec.Service, p plan.Progress) error {
	p.Doing("creating", 0, 0)
	name := s.Container
	if len(s.Files) > 0 {
		name += nextSuffix
		if err := t.removeLeftover(ctx, name, p); err != nil {
			return err
		}
	}
	id, err := t.make(ctx, s, name, nil)
	if err != nil {
		return err
	}
	defer t.acts.hold(id)()
	if name != s.Container {
		if err := t.rename(ctx, id, s.Container); err != nil {
			return errors.Join(err, t.discard(ctx, id))
		}
	}
	p.Reached(spec.Created)
	return t.conclude(ctx, s, id, nil, t.bringUp(ctx, s, id, p), p)
}

// make creates a container with its files and networks. If old is given, it takes over
// old's anonymous volumes and remembers what it replaces. If anything fails nothing is
// left.
func (t *Target) make(ctx context.Context, s *spec.Service, name string, old *handover) (string, error) {
	if err := t.supports(s); err != nil {
		return "", err
	}
	drawing, err := t.plot(ctx, s, old)
	if err != nil {
		return "", err
	}
	id, made, err := t.createContainer(ctx, s, name, drawing)
	if err != nil || !made {
		return id, err
	}
	if err := t.furnish(ctx, s, id, drawing); err != nil {
		return "", errors.Join(err, t.discard(ctx, id))
	}
	return id, nil
}

// supports refuses what the engine would refuse, in words that help.
func (t *Target) supports(s *spec.Service) error {
	speaks := t.engine.ClientVersion()
	lacks := func(what, version, docker string) error {
		return fmt.Errorf("%s needs a Docker engine with API %s (Docker %s) or later, and this one speaks %s: leave it out, or upgrade the engine", what, version, docker, speaks)
	}
	if s.Health != nil && s.Health.StartInterval != 0 && versions.LessThan(speaks, startIntervalVersion) {
		return lacks("healthcheck.start_interval", startIntervalVersion, "25")
	}
	hasSubpath := slices.ContainsFunc(s.Mounts, func(m spec.Mount) bool { return m.Subpath != "" })
	if hasSubpath && versions.LessThan(speaks, subpathVersion) {
		return lacks("volume.subpath", subpathVersion, "26")
	}
	return nil
}

// plot gathers what the blueprint of a service needs, and draws it.
func (t *Target) plot(ctx context.Context, s *spec.Service, old *handover) (blueprint, error) {
	info, err := t.image(ctx, s.Image)
	if err != nil {
		return blueprint{}, err
	}
	want := t.recall().want
	labels := serviceLabels(want, s, info.id)
	if labels[labelFiles], err = t.digests.label(s); err != nil {
		return blueprint{}, err
	}
	at := site{entrypoint: info.entrypoint, labels: labels}
	if old != nil {
		labels[labelReplaces], labels[labelRestart] = old.id, readRestart(old.policy)
		at.moved = movedVolumes(old.container, s, info)
	}
	if at.containers, err = t.neighbours(ctx, s); err != nil {
		return blueprint{}, err
	}
	return draw(s, at), nil
}

// image gives what is known of an image since the last Observe: a plan is carried out
// after the images were fetched and looked at.
func (t *Target) image(ctx context.Context, reference string) (imageInfo, error) {
	k := t.recall().knowledge
	if info, ok := k.images[k.references[reference]]; ok {
		return info, nil
	}
	answer, err := t.engine.ImageInspect(ctx, reference)
	if err != nil {
		return imageInfo{}, fmt.Errorf("look at image %s: %w", reference, err)
	}
	return newImageInfo(answer), nil
}

// movedVolumes gives those anonymous volumes of the old container for which the new one
// has a place.
func movedVolumes(old container.InspectResponse, s *spec.Service, info imageInfo) map[string]string {
	places := map[string]bool{}
	for target := range info.volumes {
		places[target] = true
	}
	for _, m := range s.Mounts {
		places[m.Target] = m.Type == spec.MountVolume && m.Source == ""
	}
	volumes := anonymousVolumes(old)
	maps.DeleteFunc(volumes, func(target, _ string) bool { return !places[target] })
	return volumes
}

// neighbours gives the containers of the services whose namespaces s shares, as they are
// now.
func (t *Target) neighbours(ctx context.Context, s *spec.Service) (map[string]string, error) {
	ids := map[string]string{}
	for _, mode := range []string{s.NetworkMode, s.PID, s.IPC} {
		service, ok := strings.CutPrefix(mode, "service:")
		if !ok || ids[service] != "" {
			continue
		}
		other, ok := t.recall().want.Find(spec.InstanceRef(service, 1)).(*spec.Service)
		if !ok {
			return nil, fmt.Errorf("it shares a namespace of %s, which is not in the spec", service)
		}
		c, err := t.engine.ContainerInspect(ctx, other.Container)
		if err != nil {
			return nil, fmt.Errorf("look at %s, whose namespace it shares: %w", service, err)
		}
		ids[service] = c.ID
	}
	return ids, nil
}

// createContainer makes the container. It tells false for one that was there already,
// is ours and is as it should be.
func (t *Target) createContainer(ctx context.Context, s *spec.Service, name string, b blueprint) (id string, made bool, err error) {
	id, err = t.askForContainer(ctx, s, name, b)
	switch {
	case err == nil:
		return id, true, nil
	case cerrdefs.IsConflict(err):
		id, err = t.accept(ctx, s, name)
		return id, false, err
	default:
		return "", false, err
	}
}

// askForContainer has the engine make a container.
func (t *Target) askForContainer(ctx context.Context, s *spec.Service, name string, b blueprint) (id string, err error) {
	networking := &network.NetworkingConfig{}
	if len(b.networks) > 0 {
		first := b.networks[0]
		networking.EndpointsConfig = map[string]*network.EndpointSettings{first.network: first.settings}
	}
	answer, err := t.engine.ContainerCreate(ctx, b.config, b.host, networking, platform(s.Platform), name)
	if err == nil {
		t.acts.acted(answer.ID)
	}
	return answer.ID, err
}

// platform reads "linux/arm64/v8".
func platform(text string) *ocispec.Platform {
	if text == "" {
		return nil
	}
	parts := append(strings.Split(text, "/"), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// accept takes a container that has the name already for the wanted one if it is ours
// and the same.
func (t *Target) accept(ctx context.Context, s *spec.Service, name string) (string, error) {
	c, err := t.engine.ContainerInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("the engine keeps the name %s for a container that it does not have; if that stays so, restart the engine: %w", name, stale(err))
	}
	if err != nil {
		return "", fmt.Errorf("look at container %s, which is in the way: %w", name, err)
	}
	last := t.recall()
	if c.Config.Labels[labelProject] != last.want.Project {
		return "", fmt.Errorf("container %s (%s), which is not the project's, has the name: rename or remove it", name, short(c.ID))
	}
	last.knowledge.networks = nil // they may have been made since
	f, _ := describe(c, s, last.knowledge, t.digests)
	if refOf(c.Config.Labels) != s.Ref() || !maps.EqualFunc(f, s.Fields(), spec.Value.Equal) {
		return "", fmt.Errorf("container %s (%s) appeared, and is not as it should be: %w", name, short(c.ID), plan.ErrStale)
	}
	return c.ID, nil
}

// furnish copies files in and connects the networks that could not be given at first.
func (t *Target) furnish(ctx context.Context, s *spec.Service, id string, b blueprint) error {
	if err := copyIn(ctx, t.engine, id, s.Files); err != nil {
		return fmt.Errorf("copy files in: %w", err)
	}
	for i, e := range b.networks {
		if i == 0 {
			continue
		}
		err := t.engine.NetworkConnect(ctx, e.network, id, e.settings)
		t.acts.acted(id)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", e.network, err)
		}
	}
	return nil
}

// discard removes a container that was made in vain.
func (t *Target) discard(ctx context.Context, id string) error {
	err := t.engine.ContainerRemove(context.WithoutCancel(ctx), id, container.RemoveOptions{Force: true})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove what was made in vain: %w", err)
}

// bringUp starts a container and waits until it is ready.
func (t *Target) bringUp(ctx context.Context, s *spec.Service, id string, p plan.Progress) error {
	p.Doing("starting", 0, 0)
	err := t.use(s, func() error {
		return t.engine.ContainerStart(context.WithoutCancel(ctx), id, container.StartOptions{})
	})
	t.acts.acted(id)
	if err != nil {
		return fmt.Errorf("start: %w", t.gone(ctx, id, err))
	}
	p.Reached(spec.Started)
	return t.wait(ctx, s, id, time.Now(), p)
}

// bringUpOld starts a container that is not as the service should be, but all there is for
// now, with the files it was made with.
func (t *Target) bringUpOld(ctx context.Context, s *spec.Service, c container.InspectResponse, p plan.Progress) error {
	p.Doing("starting", 0, 0)
	if _, err := t.startOld(context.WithoutCancel(ctx), c, s); err != nil {
		return fmt.Errorf("start: %w", t.gone(ctx, c.ID, err))
	}
	p.Reached(spec.Started)
	return t.wait(ctx, s, c.ID, time.Now(), p)
}

// gone says stale only of a container that is not there any more: starting one whose
// network or neighbour is not there fails in the same way.
func (t *Target) gone(ctx context.Context, id string, err error) error {
	if _, lookErr := t.engine.ContainerInspect(context.WithoutCancel(ctx), id); cerrdefs.IsNotFound(lookErr) {
		return stale(err)
	}
	return err
}

// startAgain starts what does not run. A job runs once more.
func (t *Target) startAgain(ctx context.Context, s *spec.Service, have drift.Found, p plan.Progress) error {
	c, err := t.engine.ContainerInspect(ctx, have.ID)
	if err != nil {
		return stale(err)
	}
	switch {
	case c.State.Paused:
	case t.ofEarlier(c, s):
		return t.settle(ctx, s, c, t.bringUpOld(ctx, s, c, p), p)
	default:
		return t.settle(ctx, s, c, t.bringUp(ctx, s, c.ID, p), p)
	}
	if err := t.engine.ContainerUnpause(ctx, c.ID); err != nil {
		return fmt.Errorf("unpause: %w", stale(err))
	}
	t.acts.acted(c.ID)
	p.Reached(spec.Started)
	return t.settle(ctx, s, c, t.wait(ctx, s, c.ID, time.Time{}, p), p)
}

func (t *Target) restart(ctx context.Context, s *spec.Service, have drift.Found, p plan.Progress) error {
	c, err := t.engine.ContainerInspect(ctx, have.ID)
	if err != nil {
		return stale(err)
	}
	p.Doing("restarting", 0, 0)
	err = t.use(s, func() error {
		return t.engine.ContainerRestart(context.WithoutCancel(ctx), c.ID, container.StopOptions{})
	})
	t.acts.acted(c.ID)
	if err != nil {
		return t.settle(ctx, s, c, t.gone(ctx, c.ID, err), p)
	}
	p.Reached(spec.Started)
	return t.settle(ctx, s, c, t.wait(ctx, s, c.ID, time.Now(), p), p)
}

// watchOver waits, and finishes a replacement that was broken off while waiting.
func (t *Target) watchOver(ctx context.Context, s *spec.Service, have drift.Found, p plan.Progress) error {
	c, err := t.engine.ContainerInspect(ctx, have.ID)
	if err != nil {
		return stale(err)
	}
	if c.State.Running {
		p.Reached(spec.Started)
	}
	return t.settle(ctx, s, c, t.wait(ctx, s, c.ID, time.Time{}, p), p)
}

// settle concludes what was done to a container that may itself be the new half of a
// replacement which a crash broke off.
func (t *Target) settle(ctx context.Context, s *spec.Service, c container.InspectResponse, err error, p plan.Progress) error {
	old, lookErr := t.predecessor(context.WithoutCancel(ctx), c)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	return t.conclude(ctx, s, c.ID, old, err, p)
}

func (t *Target) rename(ctx context.Context, id, name string) error {
	defer t.acts.acted(id)
	if err := t.engine.ContainerRename(ctx, id, name); err != nil {
		return fmt.Errorf("rename it to %s: %w", name, stale(err))
	}
	return nil
}

// removeContainer stops and removes a container. Its volumes stay, the anonymous ones
// too: those that nothing else has are said to be left.
func (t *Target) removeContainer(ctx context.Context, id string, p plan.Progress) error {
	ctx = context.WithoutCancel(ctx)
	c, err := t.engine.ContainerInspect(ctx, id)
	if err == nil {
		err = t.engine.ContainerStop(ctx, id, container.StopOptions{})
		t.acts.acted(id)
	}
	if err == nil {
		err = t.engine.ContainerRemove(ctx, id, container.RemoveOptions{})
		t.acts.acted(id)
	}
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err == nil {
		t.sayLeft(ctx, c, p)
	}
	return err
}

// sayLeft says which anonymous volumes of a container that is gone no other one has.
func (t *Target) sayLeft(ctx context.Context, gone container.InspectResponse, p plan.Progress) {
	volumes := anonymousVolumes(gone)
	for _, at := range slices.Sorted(maps.Keys(volumes)) {
		name := volumes[at]
		users, err := t.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("volume", name))})
		if err == nil && len(users) == 0 {
			p.Left("volume " + name + ", which was " + at + " in " + nameOfContainer(gone))
		}
	}
}
