package memory

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// byHand does something to a container by its name, behind the agent's back.
func (e *Engine) byHand(name string, act func(*container)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.byName(name)
	if c == nil {
		panic("memory: no container " + name)
	}
	e.now = e.now.Add(1)
	act(c)
}

// Stop stops a container.
func (e *Engine) Stop(name string) { e.byHand(name, func(c *container) { e.stop(c, 143) }) }

// Kill kills a container.
func (e *Engine) Kill(name string) { e.byHand(name, func(c *container) { e.stop(c, 137) }) }

// Pause pauses a container that runs.
func (e *Engine) Pause(name string) {
	e.byHand(name, func(c *container) {
		if c.running() {
			e.enter(c, drift.Paused)
		}
	})
}

// Remove removes a container by force.
func (e *Engine) Remove(name string) {
	e.byHand(name, func(c *container) { delete(e.containers, c.id) })
}

// Edit changes what a container is, as if it had been made so.
func (e *Engine) Edit(name string, edit func(*spec.Service)) {
	e.byHand(name, func(c *container) {
		c.spec.Environment = maps.Clone(c.spec.Environment)
		edit(&c.spec)
	})
}

// Disconnect takes a container off a network.
func (e *Engine) Disconnect(name, network string) {
	e.byHand(name, func(c *container) { e.disconnect(c, network) })
}

// RemoveImage removes an image by its reference, as docker rmi -f does.
func (e *Engine) RemoveImage(reference string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.images, reference)
}

// RemoveNetwork takes everything off a network of that name and removes it.
func (e *Engine) RemoveNetwork(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.named(name)
	if n == nil {
		return
	}
	for _, c := range e.containers {
		if c.attached[name] == n.id {
			e.disconnect(c, name)
		}
	}
	delete(e.networks, n.id)
}

// Restart restarts the engine: what ran is started again as its restart policy says.
func (e *Engine) Restart() {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.ordered()
	for _, c := range all {
		if c.running() {
			c.exitCode = 137
			e.enter(c, drift.Exited)
		}
	}
	for _, c := range all {
		wanted := c.spec.Restart == "always" || c.spec.Restart == "unless-stopped" && !c.byHand
		if wanted && c.starts > 0 {
			_ = e.start(c) // what cannot start stays down, as on a real engine
		}
		if c.project == "" {
			e.settle(c) // nobody waits for it
		}
	}
}

// RemoveBucket removes a bucket.
func (e *Engine) RemoveBucket(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.buckets, name)
}

// EditBucket sets a field of a bucket.
func (e *Engine) EditBucket(name, field, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if b := e.buckets[name]; b != nil {
		b.fields[field] = spec.Plain(value)
	}
}

// RemoveUser removes a user, by the name of its Ref.
func (e *Engine) RemoveUser(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.users, name)
}

// EditUser changes a field of a user, by the name of its Ref.
func (e *Engine) EditUser(name, field, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if u := e.users[name]; u != nil {
		u.fields[field] = spec.Plain(text)
	}
}

// Settle lets enough time pass for everything that was started to show what comes of it.
func (e *Engine) Settle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.ordered() {
		e.settle(c)
	}
}

// RemoveProject removes all that a project has made, volumes, buckets and users too.
func (e *Engine) RemoveProject(project string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.containers, func(_ string, c *container) bool { return c.project == project })
	maps.DeleteFunc(e.networks, func(_ string, n *network) bool { return n.project == project })
	maps.DeleteFunc(e.volumes, func(_ string, v *volume) bool { return v.project == project })
	maps.DeleteFunc(e.buckets, func(_ string, b *bucket) bool { return b.project == project })
	maps.DeleteFunc(e.users, func(_ string, u *user) bool { return u.project == project })
}

// AddImage puts an image on the engine that nobody's project built.
func (e *Engine) AddImage(reference string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[reference] = &image{id: e.nextID("image")}
}

// AddForeign makes a network, a volume, a bucket, a user or a running container that belongs to nobody.
func (e *Engine) AddForeign(kind spec.Kind, name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := e.nextID(string(kind))
	switch kind {
	case spec.KindNetwork:
		e.networks[id] = &network{id: id, name: name, fields: spec.Fields{}}
	case spec.KindVolume:
		e.volumes[name] = &volume{serial: e.serial, name: name, fields: spec.Fields{}}
	case spec.KindBucket:
		e.buckets[name] = &bucket{serial: e.serial, name: name, fields: spec.Fields{}}
	case spec.KindAccess:
		e.users[name] = &user{serial: e.serial, name: name, fields: spec.Fields{}}
	case spec.KindService:
		e.containers[id] = &container{
			id: id, serial: e.serial, name: name, state: drift.Running, since: e.now, starts: 1,
			spec: spec.Service{Restart: "always"},
		}
	default:
		panic("memory: nothing foreign of kind " + string(kind))
	}
}

// Census says in one line each what is on the engine and whose it is, in order. What is
// the same before and after was not touched.
func (e *Engine) Census(of func(project string) bool) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []string
	add := func(project, format string, args ...any) {
		if of(project) {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range e.containers {
		add(c.project, "container %s %s %s", c.id, c.name, c.state)
	}
	for _, n := range e.networks {
		add(n.project, "network %s %s", n.id, n.name)
	}
	for _, v := range e.volumes {
		add(v.project, "volume %d %s", v.serial, v.name)
	}
	for _, b := range e.buckets {
		add(b.project, "bucket %d %s", b.serial, b.name)
	}
	for _, u := range e.users {
		add(u.project, "access %s %d", u.name, u.serial)
	}
	slices.Sort(all)
	return all
}
