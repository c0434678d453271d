package memory

import (
	"errors"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// replacement is one container taking the place of another. Whatever step it dies
// after, what is left tells the next run how to go on:
//
//	make N.next ─ policy of N to "no" ─ stop N ─ N to N.prev ─ N.next to N ─ start N ─ remove N.prev
type replacement struct {
	*Target
	want   *spec.Service
	old    container // as it was before
	policy string    // the restart policy it had while it was in use
}

func (t *Target) replace(want *spec.Service, have drift.Found, p plan.Progress) error {
	r, err := t.prepare(want, have)
	if err != nil {
		return err
	}
	id, err := t.make(want, want.Container+nextSuffix, have, r.policy)
	if err != nil {
		return err
	}
	p.Reached(spec.Created)
	if err := r.swap(id); err != nil {
		return r.undo(id, err)
	}
	if err := t.start(want.Ref(), id); err != nil {
		return r.undo(id, err)
	}
	return t.await(want, id, p)
}

// prepare looks at the old container and removes what a replacement that never came to
// its end has left.
func (t *Target) prepare(want *spec.Service, have drift.Found) (*replacement, error) {
	old, next, prev, err := t.lineage(want, have)
	if err != nil {
		return nil, err
	}
	r := &replacement{Target: t, want: want, old: old, policy: old.spec.Restart}
	if next != nil {
		if next.replaces == old.id {
			r.policy = next.remember
		}
		if err := t.remove(want.Ref(), next.id); err != nil {
			return nil, err
		}
	}
	if prev != nil {
		err = t.remove(want.Ref(), prev.id)
	}
	return r, err
}

// lineage finds the old container, and the leftovers beside it: a new one that was not
// used yet, and the one that the old one had replaced.
func (t *Target) lineage(want *spec.Service, have drift.Found) (old container, next, prev *container, err error) {
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.containers[have.ID]
	switch {
	case c == nil:
		return old, nil, nil, plan.ErrStale
	case c.project != t.project:
		return old, nil, nil, errNotOurs
	}
	if next = e.byName(want.Container + nextSuffix); next != nil && next.project != t.project {
		return old, nil, nil, errNotOurs
	}
	return *c, next, e.containers[c.replaces], nil
}

// prevName is what the old container is called while it is kept.
func (r *replacement) prevName() string {
	return strings.TrimSuffix(r.old.name, prevSuffix) + prevSuffix
}

// swap stops the old container and gives its place to the new one.
func (r *replacement) swap(id string) error {
	ref := r.want.Ref()
	if err := r.setPolicy(ref, r.old.id, "no"); err != nil {
		return err
	}
	if err := r.stop(ref, r.old.id); err != nil {
		return err
	}
	if err := r.rename(ref, r.old.id, r.prevName()); err != nil {
		return err
	}
	return r.rename(ref, id, r.want.Container)
}

// undo goes back after a call that failed.
func (r *replacement) undo(id string, cause error) error {
	before := r.old
	before.name = r.prevName()
	if err := r.giveBack(r.want.Ref(), id, &before); err != nil {
		return errors.Join(cause, err)
	}
	return &plan.Failure{Ref: r.want.Ref(), Reason: cause.Error(), RolledBack: true}
}

// giveBack removes the new container and puts the one before it in its place again,
// running.
func (t *Target) giveBack(ref spec.Ref, id string, before *container) error {
	policy := t.remembered(id)
	if err := t.remove(ref, id); err != nil {
		return err
	}
	if err := t.rename(ref, before.id, strings.TrimSuffix(before.name, prevSuffix)); err != nil {
		return err
	}
	if err := t.setPolicy(ref, before.id, policy); err != nil {
		return err
	}
	return t.start(ref, before.id)
}

// remembered is the restart policy of the container that another one has replaced.
func (t *Target) remembered(id string) string {
	t.engine.mu.Lock()
	defer t.engine.mu.Unlock()
	if c := t.engine.containers[id]; c != nil {
		return c.remember
	}
	return ""
}
