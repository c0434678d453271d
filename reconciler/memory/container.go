package memory

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// container is one container of the engine. One of no project is foreign.
type container struct {
	id, name string
	serial   int
	project  string
	// spec is what it was made from, with what was changed since: its name, limits,
	// restart policy and networks are those of now.
	spec     spec.Service
	image    string            // the ID of the image
	attached map[string]string // the IDs of its networks, by the networks' names
	inside   map[string]lodger // whose namespaces it shares, by attribute

	replaces string // the ID of the container it takes the place of
	remember string // the restart policy of that one

	state    drift.State
	since    time.Time
	starts   int
	exitCode int
	byHand   bool // stopped on purpose: no restart policy starts it again
}

// lodger remembers the container whose namespace another one shares, and which of its
// starts made that namespace.
type lodger struct {
	id     string
	starts int
}

func (c *container) ref() spec.Ref { return c.spec.Ref() }

// running tells whether its process runs, so that it holds ports and addresses.
func (c *container) running() bool {
	switch c.state {
	case drift.Created, drift.Exited, drift.Done:
		return false
	}
	return true
}

func (e *Engine) enter(c *container, state drift.State) { c.state, c.since = state, e.now }

// create makes a container, and refuses to before what it uses is there.
func (e *Engine) create(c *container) error {
	if other := e.byName(c.name); other != nil {
		return fmt.Errorf("the name %s is in use by %s", c.name, other.id)
	}
	image, ok := e.images[c.spec.Image]
	if !ok {
		return fmt.Errorf("no such image: %s", c.spec.Image)
	}
	for _, a := range c.spec.Networks {
		n := e.named(a.Name)
		if n == nil {
			return fmt.Errorf("no such network: %s", a.Name)
		}
		c.attached[a.Name] = n.id
	}
	for _, m := range c.spec.Mounts {
		if _, ok := e.volumes[m.Source]; m.Type == spec.MountVolume && m.Source != "" && !ok {
			return fmt.Errorf("no such volume: %s", m.Source)
		}
	}
	if err := e.moveIn(c); err != nil {
		return err
	}
	c.id, c.image = e.nextID("container"), image.id
	c.serial = e.serial
	e.enter(c, drift.Created)
	e.containers[c.id] = c
	return nil
}

// moveIn resolves the services whose namespaces a container shares.
func (e *Engine) moveIn(c *container) error {
	for attribute, mode := range namespaces(c.spec) {
		service, ok := strings.CutPrefix(mode, "service:")
		if !ok {
			continue
		}
		host := e.instance(c.project, service)
		if host == nil {
			return fmt.Errorf("no container of service %s to share the %s of", service, attribute)
		}
		c.inside[attribute] = lodger{id: host.id}
	}
	return nil
}

func namespaces(s spec.Service) map[string]string {
	return map[string]string{"network_mode": s.NetworkMode, "pid": s.PID, "ipc": s.IPC}
}

// instance gives the first container of a service, the one in use rather than a
// leftover.
func (e *Engine) instance(project, service string) *container {
	var best *container
	for _, c := range e.ordered() {
		if c.project == project && c.ref() == spec.InstanceRef(service, 1) && (best == nil || suffixOf(best) != "") {
			best = c
		}
	}
	return best
}

// start starts what does not run, and refuses to when something else holds what it
// needs. What becomes of it shows when time has passed.
func (e *Engine) start(c *container) error {
	if c.state == drift.Paused {
		e.enter(c, drift.Starting)
		return nil
	}
	if c.running() {
		return nil
	}
	for name, id := range c.attached {
		if _, ok := e.networks[id]; !ok {
			return fmt.Errorf("network %s not found", name)
		}
	}
	for attribute, in := range c.inside {
		host := e.containers[in.id]
		if host == nil || !host.running() {
			return fmt.Errorf("cannot share the %s of a container that does not run", attribute)
		}
		c.inside[attribute] = lodger{host.id, host.starts}
	}
	if err := e.conflict(c); err != nil {
		return err
	}
	c.starts++
	c.exitCode, c.byHand = 0, false
	e.enter(c, drift.Starting)
	return nil
}

// conflict looks for a running container that holds a port or an address of c.
func (e *Engine) conflict(c *container) error {
	for _, other := range e.ordered() {
		if other == c || !other.running() {
			continue
		}
		for _, p := range c.spec.Ports {
			if slices.ContainsFunc(other.spec.Ports, func(o spec.Port) bool { return collide(p, o) }) {
				return fmt.Errorf("port %s is already allocated to %s", p.Published, other.name)
			}
		}
		for _, a := range c.spec.Networks {
			if slices.ContainsFunc(other.spec.Networks, func(o spec.Attachment) bool {
				return o.Name == a.Name && (a.IPv4 != "" && o.IPv4 == a.IPv4 || a.IPv6 != "" && o.IPv6 == a.IPv6)
			}) {
				return fmt.Errorf("address already in use by %s", other.name)
			}
		}
	}
	return nil
}

// collide tells whether two containers cannot publish these at the same time.
func collide(a, b spec.Port) bool {
	same := a.Published == b.Published && a.Protocol == b.Protocol && a.Published != ""
	return same && (a.HostIP == b.HostIP || a.HostIP == "" || b.HostIP == "")
}

// settle lets time pass for what was started: its process ends or stays, its health
// check passes or fails.
func (e *Engine) settle(c *container) {
	if c.state != drift.Starting {
		return
	}
	code, ends := exits(c.spec.Command)
	sick := c.spec.Health != nil && fails(c.spec.Health.Test)
	switch {
	case ends && restarts(c.spec.Restart, code):
		c.exitCode = code
		e.enter(c, drift.Restarting)
	case ends:
		c.exitCode = code
		e.enter(c, drift.Exited)
	case sick:
		e.enter(c, drift.Unhealthy)
	case c.spec.Health != nil:
		e.enter(c, drift.Healthy)
	default:
		e.enter(c, drift.Running)
	}
}

// exits reads the command "exit N".
func exits(command []string) (code int, ok bool) {
	if len(command) != 2 || command[0] != "exit" {
		return 0, false
	}
	code, err := strconv.Atoi(command[1])
	return code, err == nil
}

// fails tells whether a health check never passes.
func fails(test []string) bool {
	code, ok := exits(test[max(0, len(test)-2):])
	return ok && code != 0
}

// restarts tells whether a policy starts a process again that ended with code.
func restarts(policy string, code int) bool {
	return policy == "always" || policy == "unless-stopped" || strings.HasPrefix(policy, "on-failure") && code != 0
}

// stop ends the process on purpose.
func (e *Engine) stop(c *container, code int) {
	if !c.running() {
		return
	}
	c.exitCode, c.byHand = code, true
	e.enter(c, drift.Exited)
}

// rename gives a container another name.
func (e *Engine) rename(c *container, name string) error {
	if other := e.byName(name); other != nil && other != c {
		return fmt.Errorf("the name %s is in use by %s", name, other.id)
	}
	c.name = name
	return nil
}

// connect attaches a container to a network.
func (e *Engine) connect(c *container, a spec.Attachment) error {
	n := e.named(a.Name)
	if n == nil {
		return fmt.Errorf("no such network: %s", a.Name)
	}
	if _, there := c.attached[a.Name]; there {
		return errors.New("it is attached already")
	}
	c.attached[a.Name] = n.id
	c.spec.Networks = append(slices.Clone(c.spec.Networks), a)
	return nil
}

// disconnect detaches a container from a network by its name.
func (e *Engine) disconnect(c *container, name string) {
	delete(c.attached, name)
	c.spec.Networks = slices.DeleteFunc(slices.Clone(c.spec.Networks), func(a spec.Attachment) bool { return a.Name == name })
}
