// Package memory is a target for every kind that lives in memory and refuses whatever
// a real engine would refuse: a container before its network, a network from under a
// container, a name or a host port twice. It is for tests of what decides and executes.
//
//	Engine (containers, networks, volumes, images, buckets, users)
//	   ├─ Target("a"), Target("b")   projects on one engine
//	   ├─ faults.go                  fail call n, end after call n, be blind to a kind
//	   └─ hand.go                    what people do behind the agent's back
//
// Time is simulated: what a started container comes to is decided when somebody waits
// for it, or when Settle lets the time pass. A process does what its spec says:
// the command "exit N" ends at once with N, a health check "exit N" never passes.
package memory

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Engine is a container engine in memory, shared by the targets of several projects.
type Engine struct {
	mu         sync.Mutex
	now        time.Time
	serial     int
	containers map[string]*container // by ID
	networks   map[string]*network   // by ID
	volumes    map[string]*volume    // by name
	images     map[string]*image     // by reference
	buckets    map[string]*bucket    // by name
	users      map[string]*user      // by store.name
	faults     faults
}

// New makes an empty engine.
func New() *Engine {
	return &Engine{
		now:        time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		containers: map[string]*container{},
		networks:   map[string]*network{},
		volumes:    map[string]*volume{},
		images:     map[string]*image{},
		buckets:    map[string]*bucket{},
		users:      map[string]*user{},
		faults:     faults{blind: map[spec.Ref]string{}, absent: map[string]bool{}},
	}
}

// network is a network of the engine. One of no project is foreign.
type network struct {
	id, name, project string
	fields            spec.Fields
}

// volume is a named volume; its ID is its name.
type volume struct {
	serial        int // tells it apart from another one of that name
	name, project string
	fields        spec.Fields
}

// image is what a reference names.
type image struct {
	id, project string // project: of whoever built it
	digest      string // of the build
}

// nextID gives an ID that never was.
func (e *Engine) nextID(kind string) string {
	e.serial++
	return fmt.Sprintf("%s-%d", kind, e.serial)
}

// do makes one mutating call on behalf of ref, unless a fault prevents it.
func (e *Engine) do(ref spec.Ref, what string, call func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.faults.admit(ref, what); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	e.now = e.now.Add(time.Second)
	if err := errors.Join(call(), e.faults.lost()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// named gives the network of that name, or nil.
func (e *Engine) named(name string) *network {
	for _, n := range e.networks {
		if n.name == name {
			return n
		}
	}
	return nil
}

// byName gives the container of that name, or nil.
func (e *Engine) byName(name string) *container {
	for _, c := range e.containers {
		if c.name == name {
			return c
		}
	}
	return nil
}

// ordered gives all containers, oldest first.
func (e *Engine) ordered() []*container {
	return slices.SortedFunc(maps.Values(e.containers), func(a, b *container) int { return cmp.Compare(a.serial, b.serial) })
}
