package docker

import (
	"sync"
	"time"
)

// The engine tells of an act a little after it has done it, and its clock is known to
// a few milliseconds only.
const (
	eventLag   = 250 * time.Millisecond // a container's end, after the call that stopped it
	clockError = 50 * time.Millisecond
)

// ownActs knows which engine events come from what the agent does itself: all about a
// thing while a change of it is under way, and those that an act left behind.
type ownActs struct {
	mu    sync.Mutex
	held  map[string]int       // changes under way, by engine ID
	until map[string]time.Time // on the agent's clock
}

func newOwnActs() *ownActs {
	return &ownActs{held: map[string]int{}, until: map[string]time.Time{}}
}

// hold begins a change of something; the function it gives ends it.
func (o *ownActs) hold(id string) (release func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held[id]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.held[id]--; o.held[id] == 0 {
			delete(o.held, id)
		}
		o.extend(id, clockError)
		o.forgetOld()
	}
}

// acted says that a call has just changed something.
func (o *ownActs) acted(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.extend(id, eventLag)
}

func (o *ownActs) extend(id string, by time.Duration) {
	if end := time.Now().Add(by); end.After(o.until[id]) {
		o.until[id] = end
	}
}

// forgetOld keeps the memory from growing with every container there ever was.
func (o *ownActs) forgetOld() {
	for id, end := range o.until {
		if time.Since(end) > time.Minute {
			delete(o.until, id)
		}
	}
}

// sure tells whether a change of the thing is under way: what makes it sees for
// itself what becomes of the thing.
func (o *ownActs) sure(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held[id] > 0
}

// mine tells whether an event about a thing comes from the agent's own acts. at is on
// the agent's clock.
func (o *ownActs) mine(id string, at time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held[id] > 0 || !at.After(o.until[id])
}
