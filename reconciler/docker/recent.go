package docker

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
)

// catchUp is how long after the engine has begun to answer its events may be wanting.
const catchUp = time.Second

// recent is what containers looked like when they were inspected, as long as the engine would
// have told of a change: all that an inspection shows changes with an event. It holds nothing
// while no events are heard. For how long glances may rely on it is the agent's to know.
type recent struct {
	mu    sync.Mutex
	from  time.Time // events are complete from then on; zero: none are heard
	turns int       // grows whenever something may have changed
	seen  map[string]glimpse
}

// glimpse is one container as it was inspected, and as it was listed before.
type glimpse struct {
	at        time.Time
	listed    string
	container container.InspectResponse
}

// listen says that events are heard; the function it gives says that they no longer are.
func (r *recent) listen() (end func()) {
	r.reset(time.Now().Add(catchUp))
	return func() { r.reset(time.Time{}) }
}

func (r *recent) reset(from time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from, r.seen = from, map[string]glimpse{}
	r.turns++
}

// heard takes in an event. One that is about no container in particular is about all.
func (r *recent) heard(m events.Message) {
	id := m.Actor.ID
	if m.Type != events.ContainerEventType {
		id = m.Actor.Attributes["container"]
	}
	if id == "" {
		r.forget()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, id)
	r.turns++
}

// forget forgets everything: the agent is changing things itself, or has.
func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.seen)
	r.turns++
}

// turn is to be asked for before containers are inspected that are to be kept.
func (r *recent) turn() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.turns
}

// keep keeps what was inspected since a turn, if nothing may have changed since then.
func (r *recent) keep(turn int, all map[string]glimpse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turns != turn || r.from.IsZero() {
		return
	}
	for id, g := range all {
		if g.at.After(r.from) {
			r.seen[id] = g
		}
	}
}

// of gives a container as it was seen, if it still is as it was listed then.
func (r *recent) of(c container.Summary) (container.InspectResponse, bool) {
	r.mu.Lock()
	g, ok := r.seen[c.ID]
	r.mu.Unlock()
	return g.container, ok && g.listed == outside(c)
}

// newGlimpse leaves out what an engine keeps of the runs of a health check: that is long, and
// only of use while one is waited for.
func newGlimpse(at time.Time, listing container.Summary, c container.InspectResponse) glimpse {
	if c.State != nil && c.State.Health != nil {
		base, state, health := *c.ContainerJSONBase, *c.State, *c.State.Health
		health.Log, state.Health, base.State = nil, &health, &state
		c.ContainerJSONBase = &base
	}
	return glimpse{at, outside(listing), c}
}

// outside is what a list tells of a container, without what changes with time.
func outside(c container.Summary) string {
	var b strings.Builder
	for _, part := range append([]string{c.ImageID, string(c.State), inBrackets(c.Status)}, c.Names...) {
		b.WriteString(part)
		b.WriteByte('\n')
	}
	if c.NetworkSettings == nil {
		return b.String()
	}
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		b.WriteString(name)
		if e := c.NetworkSettings.Networks[name]; e != nil {
			b.WriteString(e.NetworkID + e.IPAddress)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// inBrackets is the part of "Up 5 minutes (healthy)" that tells something.
func inBrackets(status string) string {
	_, rest, _ := strings.Cut(status, "(")
	inside, _, _ := strings.Cut(rest, ")")
	return inside
}
