package memory

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func (t *Target) applyService(c plan.Change, p plan.Progress) error {
	switch c := c.(type) {
	case plan.Create:
		return t.create(c.Want.(*spec.Service), p)
	case plan.Replace:
		return t.replace(c.Want.(*spec.Service), c.Have, p)
	case plan.Update:
		return t.update(c, p)
	case plan.Start:
		return t.startAgain(c.Want.(*spec.Service), c.Have, p)
	case plan.Restart:
		if err := t.stop(c.Ref(), c.Have.ID); err != nil {
			return err
		}
		return t.startAgain(c.Want.(*spec.Service), c.Have, p)
	case plan.Wait:
		return t.await(c.Want.(*spec.Service), c.Have.ID, p)
	case plan.Remove:
		return t.remove(c.Ref(), c.Have.ID)
	}
	panic("memory: no such change: " + string(c.Verb()))
}

// change makes one call about a container of ours that has to be there.
func (t *Target) change(ref spec.Ref, id, what string, call func(*container) error) error {
	return t.engine.do(ref, what, func() error {
		c := t.engine.containers[id]
		switch {
		case c == nil:
			return plan.ErrStale
		case c.project != t.project:
			return errNotOurs
		}
		return call(c)
	})
}

func (t *Target) stop(ref spec.Ref, id string) error {
	return t.change(ref, id, "stop", func(c *container) error { t.engine.stop(c, 143); return nil })
}

func (t *Target) start(ref spec.Ref, id string) error {
	return t.change(ref, id, "start", t.engine.start)
}

func (t *Target) rename(ref spec.Ref, id, name string) error {
	return t.change(ref, id, "rename to "+name, func(c *container) error { return t.engine.rename(c, name) })
}

func (t *Target) setPolicy(ref spec.Ref, id, policy string) error {
	return t.change(ref, id, "set restart policy "+policy, func(c *container) error { c.spec.Restart = policy; return nil })
}

// remove stops and removes a container. One that is gone is removed.
func (t *Target) remove(ref spec.Ref, id string) error {
	err := t.stop(ref, id)
	if err == nil {
		err = t.change(ref, id, "remove", func(c *container) error { delete(t.engine.containers, id); return nil })
	}
	if errors.Is(err, plan.ErrStale) {
		return nil
	}
	return err
}

// make makes a container of ours.
func (t *Target) make(want *spec.Service, name string, replaces drift.Found, remember string) (id string, err error) {
	c := &container{
		name: name, project: t.project, spec: *want, attached: map[string]string{}, inside: map[string]lodger{},
		replaces: replaces.ID, remember: remember,
	}
	err = t.engine.do(want.Ref(), "create "+name, func() error { return t.engine.create(c) })
	return c.id, err
}

// create makes a container, or takes one that is there already if it is the same.
func (t *Target) create(want *spec.Service, p plan.Progress) error {
	id, err := t.already(want)
	if err == nil && id == "" {
		id, err = t.make(want, want.Container, drift.Found{}, "")
	}
	if err != nil {
		return err
	}
	p.Reached(spec.Created)
	if err := t.start(want.Ref(), id); err != nil {
		return err
	}
	return t.await(want, id, p)
}

// already gives the ID of the container that has the wanted name, or "".
func (t *Target) already(want *spec.Service) (string, error) {
	t.engine.mu.Lock()
	defer t.engine.mu.Unlock()
	c := t.engine.byName(want.Container)
	switch {
	case c == nil:
		return "", nil
	case c.project != t.project:
		return "", errNotOurs
	case !maps.EqualFunc(c.spec.Fields(), want.Fields(), spec.Value.Equal):
		return "", plan.ErrStale
	}
	return c.id, nil
}

func (t *Target) startAgain(want *spec.Service, have drift.Found, p plan.Progress) error {
	if err := t.start(want.Ref(), have.ID); err != nil {
		return err
	}
	return t.await(want, have.ID, p)
}

// update changes a container in place and starts it if it does not run.
func (t *Target) update(c plan.Update, p plan.Progress) error {
	want, id := c.Want.(*spec.Service), c.Have.ID
	networks := map[string]bool{}
	limits := false
	for _, f := range c.Fields {
		if network, ok := strings.CutPrefix(f.Name, "network."); ok {
			network = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(network, ".aliases"), ".ipv4"), ".ipv6")
			networks[network] = true
		} else if f.Name == "name" {
			if err := t.rename(c.Ref(), id, want.Container); err != nil {
				return err
			}
		} else {
			limits = true
		}
	}
	if limits {
		if err := t.change(c.Ref(), id, "update", func(c *container) error { setLimits(&c.spec, want); return nil }); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if err := t.rejoin(want, id, name); err != nil {
			return err
		}
	}
	return t.startAgain(want, c.Have, p)
}

// setLimits sets what the engine changes in place besides names and networks.
func setLimits(have, want *spec.Service) {
	have.Restart, have.PidsLimit = want.Restart, want.PidsLimit
	have.NanoCPUs, have.Memory, have.MemorySwap = want.NanoCPUs, want.Memory, want.MemorySwap
}

// rejoin takes a container off a network and attaches it as it should be.
func (t *Target) rejoin(want *spec.Service, id, name string) error {
	err := t.change(want.Ref(), id, "disconnect", func(c *container) error { t.engine.disconnect(c, name); return nil })
	for _, a := range want.Networks {
		if err == nil && a.Name == name {
			err = t.change(want.Ref(), id, "connect", func(c *container) error { return t.engine.connect(c, a) })
		}
	}
	return err
}

// reason says how a container fails to be ready, or "".
func reason(c *container, job bool) string {
	switch c.state {
	case drift.Healthy, drift.Running:
		if job {
			return "did not end within its time"
		}
		return ""
	case drift.Exited:
		if job && c.exitCode == 0 {
			return ""
		}
		return fmt.Sprintf("exited with code %d", c.exitCode)
	case drift.Restarting:
		return fmt.Sprintf("exits with code %d again and again", c.exitCode)
	}
	return "is " + string(c.state)
}

// await lets a container come to what it comes to. When it is ready the one before it
// is removed; when it is not that one is started again.
func (t *Target) await(want *spec.Service, id string, p plan.Progress) error {
	why, before, err := t.judge(want, id)
	if err != nil {
		return err
	}
	p.Reached(spec.Started)
	if why == "" {
		p.Reached(spec.Ready)
		if want.Job {
			p.Reached(spec.Done)
		}
		if before != nil {
			return t.remove(want.Ref(), before.id)
		}
		return nil
	}
	failure := &plan.Failure{Ref: want.Ref(), Reason: why, Log: []string{"sleeper: " + why}}
	switch {
	case before == nil:
	case want.NoRollback:
		failure.Kept = before.name + " stays stopped: x-flumen.rollback is none"
	default:
		if err := t.giveBack(want.Ref(), id, before); err != nil {
			return errors.Join(err, failure)
		}
		failure.RolledBack = true
	}
	return failure
}

// judge settles a container, and gives why it is not ready and what it has replaced.
func (t *Target) judge(want *spec.Service, id string) (why string, before *container, err error) {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[id]
	switch {
	case c == nil:
		return "", nil, plan.ErrStale
	case c.project != t.project:
		return "", nil, errNotOurs
	}
	e.settle(c)
	return reason(c, want.Job), e.containers[c.replaces], nil
}
