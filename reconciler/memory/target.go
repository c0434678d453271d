package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Target is one project on an engine.
type Target struct {
	engine  *Engine
	project string
}

// Target gives the target of a project.
func (e *Engine) Target(project string) *Target { return &Target{e, project} }

// Kinds are all kinds.
func (t *Target) Kinds() []spec.Kind {
	return []spec.Kind{spec.KindImage, spec.KindNetwork, spec.KindVolume, spec.KindService, spec.KindBucket, spec.KindAccess}
}

// Apply makes one change true. See reconciler.Target for what it promises.
func (t *Target) Apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	switch c.Ref().Kind {
	case spec.KindImage:
		err = t.applyImage(c, p)
	case spec.KindNetwork:
		err = t.applyNetwork(c, p)
	case spec.KindVolume:
		err = t.applyVolume(c, p)
	case spec.KindService:
		err = t.applyService(c, p)
	case spec.KindBucket:
		err = t.applyBucket(c)
	case spec.KindAccess:
		err = t.applyUser(c)
	default:
		panic("memory: not a kind of this target: " + c.Ref().String())
	}
	if failure := (*plan.Failure)(nil); err == nil || errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("%s %s: %w", c.Verb(), c.Ref(), err)
}

// errNotOurs refuses what is not the project's.
var errNotOurs = errors.New("it does not belong to the project and is left alone")

func (t *Target) applyImage(c plan.Change, p plan.Progress) error {
	switch c := c.(type) {
	case plan.Create:
		return t.fetch(c.Want.(*spec.Image), p)
	case plan.Remove:
		return t.engine.do(c.Ref(), "remove image", func() error { return t.engine.removeImage(c.Have) })
	}
	return fmt.Errorf("an image cannot be %sd", c.Verb())
}

// fetch pulls or builds an image.
func (t *Target) fetch(want *spec.Image, p plan.Progress) error {
	e := t.engine
	err := e.do(want.Ref(), "fetch image", func() error {
		if want.Build != nil {
			e.images[want.Name] = &image{id: e.nextID("image"), project: t.project, digest: want.Build.Digest}
			return nil
		}
		if e.faults.absent[want.Name] {
			return fmt.Errorf("no registry has %s", want.Name)
		}
		if _, there := e.images[want.Name]; !there {
			e.images[want.Name] = &image{id: e.nextID("image")}
		}
		return nil
	})
	if err == nil {
		p.Reached(spec.Created)
	}
	return err
}

func (e *Engine) removeImage(have drift.Found) error {
	for _, c := range e.containers {
		if c.image == have.ID {
			return fmt.Errorf("container %s uses it", c.name)
		}
	}
	if i := e.images[have.Ref.Name]; i != nil && i.id == have.ID {
		delete(e.images, have.Ref.Name)
	}
	return nil
}

func (t *Target) applyVolume(c plan.Change, p plan.Progress) error {
	create, ok := c.(plan.Create)
	if !ok {
		return fmt.Errorf("a volume holds data and is never %sd", c.Verb())
	}
	want, e := create.Want.(*spec.Volume), t.engine
	err := e.do(want.Ref(), "create volume", func() error {
		if v := e.volumes[want.Name]; v != nil {
			return t.accept(v.project, v.fields, want)
		}
		e.serial++
		e.volumes[want.Name] = &volume{e.serial, want.Name, t.project, want.Fields()}
		return nil
	})
	if err == nil {
		p.Reached(spec.Created)
	}
	return err
}

// accept takes what is there already for what is wanted if it is ours and the same.
func (t *Target) accept(project string, have spec.Fields, want spec.Resource) error {
	switch {
	case project != t.project:
		return errNotOurs
	case !maps.EqualFunc(have, want.Fields(), spec.Value.Equal):
		return plan.ErrStale
	}
	return nil
}

func (t *Target) applyNetwork(c plan.Change, p plan.Progress) error {
	var err error
	switch c := c.(type) {
	case plan.Create:
		err = t.createNetwork(c.Want.(*spec.Network))
	case plan.Replace:
		err = t.replaceNetwork(c.Want.(*spec.Network), c.Have)
	case plan.Remove:
		return t.removeNetwork(c.Ref(), c.Have.ID)
	default:
		return fmt.Errorf("a network cannot be %sd", c.Verb())
	}
	if err == nil {
		p.Reached(spec.Created)
	}
	return err
}

func (t *Target) createNetwork(want *spec.Network) error {
	e := t.engine
	return e.do(want.Ref(), "create network", func() error {
		if n := e.named(want.Name); n != nil {
			return t.accept(n.project, n.fields, want)
		}
		n := &network{e.nextID("network"), want.Name, t.project, want.Fields()}
		e.networks[n.id] = n
		return nil
	})
}

// replaceNetwork takes the project's containers off the network and makes it anew.
// They are replaced by the same plan.
func (t *Target) replaceNetwork(want *spec.Network, have drift.Found) error {
	on, err := t.guests(have.ID)
	if err != nil {
		return err
	}
	for _, id := range on {
		err := t.change(want.Ref(), id, "disconnect", func(c *container) error {
			t.engine.disconnect(c, want.Name)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := t.removeNetwork(want.Ref(), have.ID); err != nil {
		return err
	}
	return t.createNetwork(want)
}

// guests are the running containers on a network that may be taken off it.
func (t *Target) guests(network string) ([]string, error) {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.networks[network]
	switch {
	case n == nil:
		return nil, plan.ErrStale
	case n.project != t.project:
		return nil, errNotOurs
	}
	var ids []string
	for _, c := range e.ordered() {
		if c.attached[n.name] != n.id || !c.running() {
			continue
		}
		if c.project != t.project {
			return nil, fmt.Errorf("container %s, which is not the project's, is connected to it", c.name)
		}
		ids = append(ids, c.id)
	}
	return ids, nil
}

// removeNetwork refuses while a running container is on it. Stopped ones hold nothing.
func (t *Target) removeNetwork(ref spec.Ref, id string) error {
	e := t.engine
	return e.do(ref, "remove network", func() error {
		n := e.networks[id]
		if n == nil {
			return nil
		}
		if n.project != t.project {
			return errNotOurs
		}
		for _, c := range e.ordered() {
			if c.running() && c.attached[n.name] == id {
				return fmt.Errorf("container %s is connected to it", c.name)
			}
		}
		delete(e.networks, id)
		return nil
	})
}
