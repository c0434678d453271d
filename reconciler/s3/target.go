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

// Target reads and changes the buckets and users of one project. It remembers what the last
// Observe was about. All methods may be called from any goroutine.
type Target struct {
	locate  Locate
	again   time.Duration // after which a store that is not ready is asked again
	machine machine

	mu      sync.Mutex
	project string
	stores  map[string]*spec.Store // of the last look, by name
	silent  map[string]time.Time   // stores that let a look wait in vain, and since when
	ways    map[string]way         // to stores, by name
	usages  map[string]usage       // of stores, by name
}

// New makes a target that finds the services of a project by locate. It calls nothing.
func New(locate Locate) *Target { return &Target{locate: locate, again: tryEvery} }

// Kinds are those that live in a store.
func (t *Target) Kinds() []spec.Kind { return []spec.Kind{spec.KindBucket, spec.KindAccess} }

// System is the store in which a change is made: one that hangs keeps no other from its turn.
func (t *Target) System(c plan.Change) string {
	switch c := c.(type) {
	case plan.Create:
		return storeOf(c.Want).Name
	case plan.Update:
		return storeOf(c.Want).Name
	case plan.Remove:
		store, _, _ := strings.Cut(c.Have.ID, "/")
		return store
	}
	return ""
}

// storeOf is the store in which something is.
func storeOf(r spec.Resource) *spec.Store {
	switch r := r.(type) {
	case *spec.Bucket:
		return r.Store
	case *spec.Access:
		return r.Store
	}
	panic("s3: not in a store: " + r.Ref().String())
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
	switch kind := c.Ref().Kind; kind {
	case spec.KindBucket:
		err = t.applyBucket(ctx, project, c, p)
	case spec.KindAccess:
		err = t.applyAccess(ctx, project, c, p)
	default:
		err = fmt.Errorf("a %s is not in a store", kind)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", c.Verb(), c.Ref(), err)
	}
	return nil
}

func (t *Target) applyBucket(ctx context.Context, project string, c plan.Change, p plan.Progress) error {
	switch c := c.(type) {
	case plan.Create:
		return t.create(ctx, project, c.Want.(*spec.Bucket), p)
	case plan.Update:
		return t.update(ctx, project, c, p)
	case plan.Remove:
		return t.remove(ctx, project, c, p)
	}
	return fmt.Errorf("a bucket holds data and cannot be %sd", c.Verb())
}

func (t *Target) applyAccess(ctx context.Context, project string, c plan.Change, p plan.Progress) error {
	switch c := c.(type) {
	case plan.Create:
		a := c.Want.(*spec.Access)
		return t.patiently(ctx, project, a.Store, p, func(in *connection) error { return in.grant(ctx, a, nil) })
	case plan.Update:
		a := c.Want.(*spec.Access)
		return t.patiently(ctx, project, a.Store, p, func(in *connection) error { return in.grant(ctx, a, &c.Have) })
	case plan.Remove:
		store, user, err := t.whereIs(c.Have)
		if err != nil {
			return err
		}
		return t.patiently(ctx, project, store, p, func(in *connection) error { return in.revoke(ctx, user) })
	}
	return errors.New("a user is changed where it is, and never replaced")
}
