package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Locate gives the addresses at which a port of a service can be reached from here, the
// likeliest first. That there are none means that the service does not run.
type Locate func(ctx context.Context, project, service string, port uint16) ([]string, error)

// Target reads and changes the buckets of one project. It remembers what the last Observe was
// about. All methods may be called from any goroutine.
type Target struct {
	locate  Locate
	again   time.Duration // after which a store that is not ready is asked again
	machine machine

	mu      sync.Mutex
	project string
	stores  map[string]*spec.Store // of the last look, by name
	silent  map[string]time.Time   // stores that let a look wait in vain, and since when
}

// New makes a target that finds the services of a project by locate. It calls nothing.
func New(locate Locate) *Target { return &Target{locate: locate, again: tryEvery} }

// Kinds are those that live in a store.
func (t *Target) Kinds() []spec.Kind { return []spec.Kind{spec.KindBucket} }

// System is the store in which a change is made: one that hangs keeps no other from its turn.
func (t *Target) System(c plan.Change) string {
	switch c := c.(type) {
	case plan.Create:
		return c.Want.(*spec.Bucket).Store.Name
	case plan.Update:
		return c.Want.(*spec.Bucket).Store.Name
	case plan.Remove:
		store, _, _ := strings.Cut(c.Have.ID, "/")
		return store
	}
	return ""
}

func (t *Target) remember(want spec.Desired) {
	stores := map[string]*spec.Store{}
	for _, s := range want.Stores {
		stores[s.Name] = s
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.project, t.stores = want.Project, stores
}

func (t *Target) recall() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.project
}

// Apply makes one change true. See reconciler.Target for what it promises.
func (t *Target) Apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	project := t.recall()
	if project == "" {
		return errors.New("nothing was observed yet: observe the project before changing it")
	}
	var err error
	switch c := c.(type) {
	case plan.Create:
		err = t.create(ctx, project, c.Want.(*spec.Bucket), p)
	case plan.Update:
		err = t.update(ctx, project, c, p)
	case plan.Remove:
		err = t.remove(ctx, project, c, p)
	default:
		err = fmt.Errorf("a bucket holds data and cannot be %sd", c.Verb())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Verb(), c.Ref(), err)
	}
	return nil
}
