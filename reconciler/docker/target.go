package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// atOnce bounds the calls made to the engine side by side: eight keep two cores busy.
const atOnce = 8

// Target reads and changes what a Docker engine runs for one project. It remembers the
// spec of the last Observe, from which changes get their project and tier. All methods
// may be called from any goroutine.
type Target struct {
	engine  client.APIClient
	images  *images
	digests *digests
	acts    *ownActs
	recent  recent
	tree    Tree // nil: files stay as they are

	mu    sync.Mutex
	facts *facts // of the engine, once they are known
	last  look
}

// look is what the last Observe was about and what it learned.
type look struct {
	want      spec.Desired
	knowledge knowledge
}

// New makes a target of an engine. It calls nothing.
func New(engine client.APIClient) *Target {
	return &Target{engine: engine, images: newImages(engine), digests: newDigests(), acts: newOwnActs()}
}

// Kinds are those of which the engine is the place.
func (t *Target) Kinds() []spec.Kind {
	return []spec.Kind{spec.KindImage, spec.KindNetwork, spec.KindVolume, spec.KindService}
}

// Observe looks at everything the spec names or the project owns.
func (t *Target) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	t.recent.forget() // what it finds is all that is kept
	return t.observe(ctx, want, false)
}

// Glance does not inspect containers again of which the engine would have told if they had
// changed.
func (t *Target) Glance(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	return t.observe(ctx, want, true)
}

func (t *Target) observe(ctx context.Context, want spec.Desired, glance bool) (drift.Observed, error) {
	if _, err := t.engine.Ping(ctx); err != nil {
		return drift.Observed{}, fmt.Errorf("reach the engine: %w", err)
	}
	engine, err := t.engineFacts(ctx)
	if err != nil {
		return drift.Observed{}, err
	}
	at := time.Now()
	parts := make([]drift.Observed, 4)
	k := knowledge{engine: engine}
	var containers map[spec.Ref]*container.InspectResponse
	var g sync.WaitGroup
	g.Go(func() { parts[0].Found, parts[0].Blind = t.images.observe(ctx, want) })
	g.Go(func() { parts[1], k.networks = t.observeNetworks(ctx, want) })
	g.Go(func() { parts[2] = t.observeVolumes(ctx, want) })
	g.Go(func() { parts[3], containers = t.observeContainers(ctx, want, &k, glance) })
	g.Wait()
	if err := context.Cause(ctx); err != nil {
		return drift.Observed{}, fmt.Errorf("observe: %w", err)
	}
	for ref, c := range containers {
		s, _ := want.Find(ref).(*spec.Service)
		parts[3].Found[ref] = t.found(ref, *c, s, k)
	}
	t.remember(look{want, k})
	seen := drift.Merge(parts...)
	seen.At = at
	return seen, nil
}

// engineFacts asks the engine once.
func (t *Target) engineFacts(ctx context.Context) (facts, error) {
	t.mu.Lock()
	known := t.facts
	t.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	f, err := t.ask(ctx)
	if err != nil {
		return facts{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.facts = &f
	return f, nil
}

func (t *Target) remember(l look) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = l
}

func (t *Target) recall() look {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// Apply makes one change true. See reconciler.Target for what it promises.
func (t *Target) Apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	if t.recall().want.Project == "" {
		return errors.New("nothing was observed yet: observe the project before changing it")
	}
	t.recent.forget()
	defer t.recent.forget()
	if have := haveOf(c); have.ID != "" {
		if !have.Owned {
			return fmt.Errorf("%s does not belong to the project and is left alone", c.Ref())
		}
		defer t.acts.hold(have.ID)()
	}
	err := t.apply(ctx, c, p)
	if failure := (*plan.Failure)(nil); err == nil || errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("%s %s: %w", c.Verb(), c.Ref(), err)
}

func (t *Target) apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	switch c.Ref().Kind {
	case spec.KindImage:
		return t.images.apply(ctx, c, p)
	case spec.KindNetwork:
		return t.applyNetwork(ctx, c, p)
	case spec.KindVolume:
		return t.applyVolume(ctx, c, p)
	case spec.KindService:
		return t.applyService(ctx, c, p)
	default:
		panic("docker: not a kind of this target: " + c.Ref().String())
	}
}

// haveOf gives what a change acts on; a create acts on nothing.
func haveOf(c plan.Change) drift.Found {
	switch c := c.(type) {
	case plan.Update:
		return c.Have
	case plan.Replace:
		return c.Have
	case plan.Start:
		return c.Have
	case plan.Restart:
		return c.Have
	case plan.Wait:
		return c.Have
	case plan.Remove:
		return c.Have
	}
	return drift.Found{}
}

// stale says of a thing that is not there any more that it is not the one observed.
func stale(err error) error {
	if cerrdefs.IsNotFound(err) {
		return plan.ErrStale
	}
	return err
}
