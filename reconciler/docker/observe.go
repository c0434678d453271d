package docker

import (
	"context"
	"fmt"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// observeContainers lists the project's containers and inspects each, and learns what it
// takes to describe them. Of those that are not the project's it gives what is found. At a
// glance it inspects only those that may have changed.
func (t *Target) observeContainers(ctx context.Context, want spec.Desired, k *knowledge, glance bool) (drift.Observed, map[spec.Ref]*container.InspectResponse) {
	seen := drift.Observed{Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}}
	all, err := t.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ofProject(want.Project)})
	if err != nil {
		seen.Blind[spec.Ref{Kind: spec.KindService}] = "list containers: " + err.Error()
		return seen, nil
	}
	sightings := identify(want, t.withoutCopies(ctx, want, all))
	k.handing, k.refs = map[string]bool{}, map[string]spec.Ref{}
	for _, s := range sightings {
		k.handing[s.summary.ID], k.refs[s.summary.ID] = s.handing, s.ref
	}
	inspected := t.inspectContainers(ctx, sightings, seen.Blind, glance)
	t.learnImages(ctx, want, inspected, k)
	k.services = hosts(sightings)
	k.started = map[string]time.Time{}
	for _, c := range inspected {
		k.started[c.ID] = startedAt(*c)
	}
	if err := t.findForeign(ctx, want, inspected, seen); err != nil {
		seen.Blind[spec.Ref{Kind: spec.KindService}] = "list containers: " + err.Error()
	}
	return seen, inspected
}

// ofProject finds what the agent or Compose made for a project: both say so by Compose's
// label.
func ofProject(project string) filters.Args {
	return filters.NewArgs(filters.Arg("label", composeProject+"="+project))
}

// withoutCopies leaves out copies of the project's containers that somebody made for
// themselves. It costs nothing where there is nothing that looks like one.
func (t *Target) withoutCopies(ctx context.Context, want spec.Desired, all []container.Summary) []container.Summary {
	names := containerNames(want)
	return slices.DeleteFunc(slices.Clone(all), func(c container.Summary) bool {
		if !looksCopied(c, want, names) {
			return false
		}
		image, err := t.engine.ImageInspect(ctx, c.ImageID)
		if err != nil {
			return true // what may be somebody else's is not touched
		}
		return image.Config != nil && image.Config.Labels[labelProject] == want.Project
	})
}

// inspectContainers gives those that are still there; one that cannot be looked at is
// blind.
func (t *Target) inspectContainers(ctx context.Context, sightings []sighting, blind map[spec.Ref]string, glance bool) map[spec.Ref]*container.InspectResponse {
	turn, at := t.recent.turn(), time.Now()
	answers := make([]container.InspectResponse, len(sightings))
	errs := make([]error, len(sightings))
	known := make([]bool, len(sightings))
	each(len(sightings), func(i int) {
		if answers[i], known[i] = t.recent.of(sightings[i].summary); glance && known[i] {
			return
		}
		known[i] = false
		answers[i], errs[i] = t.engine.ContainerInspect(ctx, sightings[i].summary.ID)
	})
	seen, fresh := map[spec.Ref]*container.InspectResponse{}, map[string]glimpse{}
	for i, s := range sightings {
		switch err := errs[i]; {
		case err == nil:
			seen[s.ref] = &answers[i]
			if !known[i] {
				fresh[answers[i].ID] = newGlimpse(at, s.summary, answers[i])
			}
		case !cerrdefs.IsNotFound(err):
			blind[s.ref] = "inspect its container: " + err.Error()
		}
	}
	t.recent.keep(turn, fresh)
	return seen
}

// each calls do for 0 to n-1, a bounded number at once, and waits for all.
func each(n int, do func(int)) {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { do(i); return nil })
	}
	_ = g.Wait() // do reports by index
}

// learnImages inspects each image once: those that the spec names, and those that
// containers have and no name leads to any more. What cannot be inspected is not known.
func (t *Target) learnImages(ctx context.Context, want spec.Desired, containers map[spec.Ref]*container.InspectResponse, k *knowledge) {
	k.images, k.references = map[string]imageInfo{}, map[string]string{}
	wanted := map[string]bool{}
	for _, s := range spec.Resources[*spec.Service](want) {
		wanted[s.Image] = true
	}
	for name, info := range t.inspectImages(ctx, wanted) {
		k.images[info.id], k.references[name] = info, info.id
	}
	others := map[string]bool{}
	for _, c := range containers {
		if _, ok := k.images[c.Image]; !ok {
			others[c.Image] = true
		}
	}
	for id, info := range t.inspectImages(ctx, others) {
		k.images[id] = info
	}
}

func (t *Target) inspectImages(ctx context.Context, names map[string]bool) map[string]imageInfo {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	infos := make([]*imageInfo, len(list))
	each(len(list), func(i int) {
		if answer, err := t.engine.ImageInspect(ctx, list[i]); err == nil {
			info := newImageInfo(answer)
			infos[i] = &info
		}
	})
	known := map[string]imageInfo{}
	for i, name := range list {
		if infos[i] != nil {
			known[name] = *infos[i]
		}
	}
	return known
}

// hosts tells which service each container is, by its ID and by its name. What a replacement
// left beside the service's own container is none: who shares its namespaces has to move.
func hosts(sightings []sighting) map[string]string {
	services := map[string]string{}
	for _, s := range sightings {
		if s.extra() {
			continue
		}
		service := s.summary.Labels[composeService]
		services[s.summary.ID], services[s.name] = service, service
	}
	return services
}

// findForeign looks for containers that are not the project's under the names of those
// that were not found. Where nothing is missing it costs nothing.
func (t *Target) findForeign(ctx context.Context, want spec.Desired, ours map[spec.Ref]*container.InspectResponse, seen drift.Observed) error {
	missing := map[string]spec.Ref{}
	for ref, name := range containerNames(want) {
		if _, blind := seen.Blind[ref]; ours[ref] == nil && !blind {
			missing[name] = ref
		}
	}
	if len(missing) == 0 {
		return nil
	}
	all, err := t.engine.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range ours {
		known[c.ID] = true
	}
	for _, c := range all {
		if ref, ok := missing[nameOf(c)]; ok && !known[c.ID] {
			seen.Found[ref] = drift.Found{Ref: ref, ID: c.ID, State: stateOf(c.State), Note: fmt.Sprintf("container %s (%s) has the name", nameOf(c), short(c.ID))}
		}
	}
	return nil
}

// found describes a container of the project.
func (t *Target) found(ref spec.Ref, c container.InspectResponse, want *spec.Service, k knowledge) drift.Found {
	f := drift.Found{Ref: ref, ID: c.ID, Owned: true, Tier: c.Config.Labels[labelTier], Image: c.Image, ExitCode: c.State.ExitCode, OOM: c.State.OOMKilled, Restarts: c.RestartCount, Note: c.State.Error}
	f.Fields, f.Blind = describe(c, want, k, t.digests)
	f.Handing, f.Anonymous = k.handing[c.ID], len(anonymousVolumes(c)) > 0
	f.State, f.Since = judge(c, want, time.Now().Add(k.engine.ahead))
	return f
}

// judge tells what a container is doing, and since when.
func judge(c container.InspectResponse, want *spec.Service, now time.Time) (drift.State, time.Time) {
	state := stateOf(c.State.Status)
	started, finished := startedAt(c), parseTime(c.State.FinishedAt)
	switch {
	case state == drift.Created:
		return state, parseTime(c.Created)
	case state == drift.Exited && want != nil && want.Job && c.State.ExitCode == 0:
		return drift.Done, finished
	case state != drift.Running && state != drift.Paused:
		return state, finished
	case state == drift.Paused:
		return state, started
	case c.State.Health != nil && c.State.Health.Status != container.NoHealthcheck:
		return healthState(c.State.Health.Status), started
	case now.Sub(started) < settling(c) && !inFuture(started, now) && (want == nil || !want.Job):
		return drift.Starting, started
	}
	return drift.Running, started
}

func healthState(status container.HealthStatus) drift.State {
	switch status {
	case container.Healthy:
		return drift.Healthy
	case container.Unhealthy:
		return drift.Unhealthy
	}
	return drift.Starting
}

// stateOf translates the engine's word for what a container does.
func stateOf(status container.ContainerState) drift.State {
	switch status {
	case container.StateCreated:
		return drift.Created
	case container.StateRunning:
		return drift.Running
	case container.StatePaused:
		return drift.Paused
	case container.StateRestarting:
		return drift.Restarting
	case container.StateRemoving:
		return drift.Removing
	}
	return drift.Exited
}

func startedAt(c container.InspectResponse) time.Time { return parseTime(c.State.StartedAt) }

// parseTime reads a time of the engine, which writes the year 1 for never.
func parseTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at
}
