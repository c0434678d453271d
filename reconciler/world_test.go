package reconciler

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// world is a Target whose services do what a test tells them. Everything but
// services is always there.
type world struct {
	mu      sync.Mutex
	found   map[spec.Ref]drift.Found
	acts    []string // "create service/a", in the order in which they began
	observe int
	// apply, by Ref, takes the place of becoming ready at once.
	apply map[spec.Ref]func(context.Context, plan.Change, plan.Progress) error
}

var _ Target = (*world)(nil)

func newWorld() *world {
	return &world{found: map[spec.Ref]drift.Found{}, apply: map[spec.Ref]func(context.Context, plan.Change, plan.Progress) error{}}
}

func (w *world) Kinds() []spec.Kind {
	return []spec.Kind{spec.KindImage, spec.KindNetwork, spec.KindVolume, spec.KindService}
}

func (w *world) Observe(_ context.Context, want spec.Desired) (drift.Observed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observe++
	have := drift.Observed{Found: map[spec.Ref]drift.Found{}}
	for ref, f := range w.found {
		have.Found[ref] = f
	}
	for _, image := range spec.Resources[*spec.Image](want) {
		if _, failing := w.apply[image.Ref()]; !failing {
			have.Found[image.Ref()] = drift.Found{Ref: image.Ref(), Owned: true, State: drift.Present, Fields: image.Fields()}
		}
	}
	return have, nil
}

func (w *world) Apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	w.mu.Lock()
	w.acts = append(w.acts, string(c.Verb())+" "+c.Ref().String())
	script := w.apply[c.Ref()]
	w.mu.Unlock()
	if script != nil {
		if err := script(ctx, c, p); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch c := c.(type) {
	case plan.Remove:
		delete(w.found, c.Ref())
	case plan.Create:
		w.found[c.Ref()] = running(c.Want)
	case plan.Replace:
		w.found[c.Ref()] = running(c.Want)
	case plan.Start:
		f := w.found[c.Ref()]
		f.State = drift.Healthy
		w.found[c.Ref()] = f
	}
	return nil
}

func running(want spec.Resource) drift.Found {
	return drift.Found{Ref: want.Ref(), ID: want.Ref().Name, Owned: true, State: drift.Healthy, Fields: want.Fields()}
}

// stop makes a service look stopped.
func (w *world) stop(ref spec.Ref) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.found[ref]
	f.State = drift.Exited
	w.found[ref] = f
}

func (w *world) did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.acts...)
}

func ref(name string) spec.Ref { return spec.Ref{Kind: spec.KindService, Name: name} }

// service is one of an image that is always there; after are those it waits for.
func service(name string, after ...spec.Dep) *spec.Service {
	return &spec.Service{Name: name, Number: 1, Container: "p-" + name + "-1", Image: "i", Depends: after}
}

func desired(revision string, tiers ...[]*spec.Service) spec.Desired {
	want := spec.Desired{Project: "p", Revision: spec.Revision{ID: revision}}
	for i, services := range tiers {
		tier := spec.Tier{Name: string(rune('a' + i)), Timeout: time.Minute}
		for _, s := range services {
			tier.Resources = append(tier.Resources, s)
		}
		want.Tiers = append(want.Tiers, tier)
	}
	want.Tiers[0].Resources = append([]spec.Resource{&spec.Image{Name: "i"}}, want.Tiers[0].Resources...)
	return want
}

// stores is a Target for buckets.
type stores struct{ *world }

func (s *stores) Kinds() []spec.Kind { return []spec.Kind{spec.KindBucket} }

func (s *stores) System(c plan.Change) string { return c.(plan.Create).Want.(*spec.Bucket).Store.Name }

// never is a service that does not become ready by itself.
func never(ctx context.Context, _ plan.Change, p plan.Progress) error {
	p.Reached(spec.Started)
	<-ctx.Done()
	return ctx.Err()
}

// fails is a service that ends at once.
func fails(_ context.Context, c plan.Change, _ plan.Progress) error {
	return &plan.Failure{Ref: c.Ref(), Reason: "exited with code 3", Log: []string{"no such table"}, RolledBack: true}
}

func indexOf(t *testing.T, all []string, one string) int {
	t.Helper()
	for i, s := range all {
		if s == one {
			return i
		}
	}
	t.Fatalf("%q is not among %q", one, all)
	return -1
}
