package memory

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// bucket is one of the only store there is. It is seen and made while the services run that
// it lives in, and outlives them. What nobody declares of it is not seen and not changed.
type bucket struct {
	serial        int // tells it apart from another one of that name
	name, project string
	fields        spec.Fields
}

// observeBuckets finds the buckets that the spec names, and those of the project. One whose
// service does not run is not to be seen.
func (t *Target) observeBuckets(want spec.Desired, seen drift.Observed) {
	wanted := map[string]spec.Ref{}
	for _, b := range spec.Resources[*spec.Bucket](want) {
		wanted[b.Name] = b.Ref()
	}
	for _, b := range t.engine.buckets {
		ref, ok := t.refOf(spec.KindBucket, wanted, b.name, b.project)
		w, named := want.Find(ref).(*spec.Bucket)
		if !ok || named && t.serving(w) != nil {
			continue
		}
		fields := maps.Clone(b.fields)
		maps.DeleteFunc(fields, func(name string, _ spec.Value) bool { return !named || !w.Declares(name) })
		seen.Found[ref] = drift.Found{Ref: ref, ID: b.name, Owned: b.project == t.project, State: drift.Present, Fields: fields}
	}
}

// serving gives an error unless a container of each service runs that something lives in.
func (t *Target) serving(r spec.Resource) error {
	for _, dep := range r.After() {
		if !slices.ContainsFunc(t.engine.ordered(), func(c *container) bool {
			return c.project == t.project && c.ref() == dep.Ref && c.running() && c.state != drift.Paused
		}) {
			return fmt.Errorf("%s does not answer: connection refused", dep.Ref)
		}
	}
	return nil
}

func (t *Target) applyBucket(c plan.Change) error {
	e := t.engine
	switch c := c.(type) {
	case plan.Create:
		want := c.Want.(*spec.Bucket)
		return e.do(want.Ref(), "create bucket", func() error { return t.createBucket(want) })
	case plan.Update:
		want := c.Want.(*spec.Bucket)
		return e.do(want.Ref(), "update bucket", func() error {
			if e.buckets[want.Name] == nil {
				return plan.ErrStale
			}
			return t.createBucket(want)
		})
	case plan.Remove:
		return e.do(c.Ref(), "remove bucket", func() error { return t.removeBucket(c) })
	}
	return errors.New("a bucket holds data: it is never replaced")
}

// removeBucket removes a bucket of ours that no tier declares.
func (t *Target) removeBucket(c plan.Remove) error {
	b := t.engine.buckets[c.Have.ID]
	switch {
	case b == nil:
		return nil
	case b.project != t.project:
		return errNotOurs
	}
	delete(t.engine.buckets, c.Have.ID)
	return nil
}

// createBucket makes a bucket, or makes one that is ours as it should be.
func (t *Target) createBucket(want *spec.Bucket) error {
	e := t.engine
	if err := t.serving(want); err != nil {
		return err
	}
	b := e.buckets[want.Name]
	switch {
	case b == nil:
		e.serial++
		e.buckets[want.Name] = &bucket{serial: e.serial, name: want.Name, project: t.project, fields: want.Fields()}
	case b.project != t.project:
		return errNotOurs
	default:
		maps.DeleteFunc(b.fields, func(name string, _ spec.Value) bool { return want.Declares(name) })
		maps.Copy(b.fields, want.Fields())
	}
	return nil
}
