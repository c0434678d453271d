package reconciler

import (
	"sync"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// actsAtOnce bounds how many changes are made side by side in one system: eight keep a
// small engine busy, more only queue up inside it.
const actsAtOnce = 8

// Divided is a Target of several systems, each of which is kept busy on its own: acts in one
// that hangs do not take the turn of acts in another.
type Divided interface {
	// System names the one in which a change is made.
	System(c plan.Change) string
}

// slots bound the acts in each system. The zero value is ready for use.
type slots struct {
	mu sync.Mutex
	by map[system]chan struct{}
}

// system is what acts are bounded in: a Target, or a part of one.
type system struct {
	target Target
	part   string
}

// of are the slots of the system in which a target makes a change.
func (s *slots) of(t Target, c plan.Change) chan struct{} {
	at := system{target: t}
	if d, ok := t.(Divided); ok {
		at.part = d.System(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[system]chan struct{}{}
	}
	if s.by[at] == nil {
		s.by[at] = make(chan struct{}, actsAtOnce)
	}
	return s.by[at]
}
