package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// update changes fields of a container in place, starts it if it does not run, and
// waits until it is ready.
func (t *Target) update(ctx context.Context, c plan.Update, p plan.Progress) error {
	s, id := c.Want.(*spec.Service), c.Have.ID
	have, err := t.engine.ContainerInspect(ctx, id)
	if err != nil {
		return stale(err)
	}
	p.Doing("updating", 0, 0)
	if err := t.updateInPlace(context.WithoutCancel(ctx), s, have, c.Fields); err != nil {
		return err
	}
	p.Reached(spec.Created)
	switch {
	case c.Have.State == drift.Done:
		p.Reached(spec.Done) // what the job did, it did
		return nil
	case !have.State.Running || have.State.Paused:
		return t.startAgain(ctx, s, c.Have, p)
	}
	p.Reached(spec.Started)
	return t.settle(ctx, s, have, t.wait(ctx, s, id, time.Time{}, p), p)
}

// updateInPlace is not to be broken off: a container between two networks has none.
func (t *Target) updateInPlace(ctx context.Context, s *spec.Service, have container.InspectResponse, fields []drift.Field) error {
	if err := t.updateLimits(ctx, s, have.ID, fields); err != nil {
		return err
	}
	if err := t.updateName(ctx, s, have.ID, fields); err != nil {
		return err
	}
	return t.updateNetworks(ctx, s, have, fields)
}

func changes(fields []drift.Field, name string) bool {
	return slices.ContainsFunc(fields, func(f drift.Field) bool { return f.Name == name })
}

func (t *Target) updateLimits(ctx context.Context, s *spec.Service, id string, fields []drift.Field) error {
	u, changed := drawUpdate(s, fields)
	if !changed {
		return nil
	}
	_, err := t.engine.ContainerUpdate(ctx, id, u)
	t.acts.acted(id)
	if err != nil {
		return fmt.Errorf("update its limits: %w", stale(err))
	}
	return nil
}

// drawUpdate says what of a container's limits is to change; the engine leaves what is
// zero as it is.
func drawUpdate(s *spec.Service, fields []drift.Field) (u container.UpdateConfig, changed bool) {
	if changes(fields, "restart") {
		u.RestartPolicy, changed = drawRestart(s.Restart), true
		if u.RestartPolicy.Name == "" {
			u.RestartPolicy.Name = container.RestartPolicyDisabled
		}
	}
	if changes(fields, "cpus") {
		u.NanoCPUs, changed = s.NanoCPUs, true
	}
	if changes(fields, "mem_limit") || changes(fields, "memswap_limit") {
		u.Memory, u.MemorySwap, changed = s.Memory, s.MemorySwap, true
		if u.MemorySwap == 0 {
			// As the engine does for a new container; it would refuse memory above the
			// old limit of the two.
			u.MemorySwap = 2 * s.Memory
		}
	}
	if changes(fields, "pids_limit") {
		limit := s.PidsLimit
		if limit == 0 {
			limit = -1
		}
		u.PidsLimit, changed = &limit, true
	}
	return u, changed
}

// updateName renames a container. One that gets its name back after a crash leaves it
// to a stale leftover first.
func (t *Target) updateName(ctx context.Context, s *spec.Service, id string, fields []drift.Field) error {
	if !changes(fields, "name") {
		return nil
	}
	return t.rename(ctx, id, s.Container)
}

// updateNetworks connects and disconnects. An attachment that differs is made anew; if
// that fails, those of before are made again.
func (t *Target) updateNetworks(ctx context.Context, s *spec.Service, have container.InspectResponse, fields []drift.Field) error {
	defer t.acts.acted(have.ID)
	before := attachments(have, fields)
	for _, name := range before {
		if err := t.engine.NetworkDisconnect(ctx, name, have.ID, true); err != nil {
			return t.attachAgain(ctx, have, before, fmt.Errorf("disconnect from %s: %w", name, err))
		}
	}
	for _, a := range s.Networks {
		if !concerns(fields, a.Name) {
			continue
		}
		if err := t.engine.NetworkConnect(ctx, a.Name, have.ID, drawEndpoint(s.Name, a)); err != nil {
			return t.attachAgain(ctx, have, before, fmt.Errorf("connect to %s: %w", a.Name, err))
		}
	}
	return nil
}

// attachments gives the networks a container is on that fields are about.
func attachments(c container.InspectResponse, fields []drift.Field) []string {
	if c.NetworkSettings == nil {
		return nil
	}
	names := slices.Sorted(maps.Keys(c.NetworkSettings.Networks))
	return slices.DeleteFunc(names, func(name string) bool { return !concerns(fields, name) })
}

// attachAgain puts a container back on networks as it was on them, unless it is on them
// already as it should be.
func (t *Target) attachAgain(ctx context.Context, was container.InspectResponse, names []string, cause error) error {
	now, err := t.engine.ContainerInspect(ctx, was.ID)
	if err != nil {
		return errors.Join(cause, err)
	}
	errs := []error{cause}
	for _, name := range names {
		if now.NetworkSettings != nil && now.NetworkSettings.Networks[name] != nil {
			continue
		}
		g := guest{was.ID, nameOfContainer(was), again(was.NetworkSettings.Networks[name], was.ID)}
		errs = append(errs, t.connectGuests(ctx, name, []guest{g}))
	}
	return errors.Join(errs...)
}

// concerns tells whether one of the fields is about the container's end of a network.
func concerns(fields []drift.Field, network string) bool {
	field := "network." + network
	return slices.ContainsFunc(fields, func(f drift.Field) bool {
		return f.Name == field || strings.HasPrefix(f.Name, field+".")
	})
}
