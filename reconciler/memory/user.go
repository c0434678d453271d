package memory

import (
	"errors"
	"maps"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// user is one of the only store there is. As a bucket it is seen and made while the services
// run that it lives in; but it goes when nobody declares
// it.
type user struct {
	serial        int
	name, project string // the name is that of its Ref
	fields        spec.Fields
}

func (u *user) ref() spec.Ref { return spec.Ref{Kind: spec.KindAccess, Name: u.name} }

// observeUsers finds the users that the spec names, and those of the project.
func (t *Target) observeUsers(want spec.Desired, seen drift.Observed) {
	for _, u := range t.engine.users {
		w, named := want.Find(u.ref()).(*spec.Access)
		if !named && u.project != t.project || named && t.serving(w) != nil {
			continue
		}
		seen.Found[u.ref()] = drift.Found{
			Ref: u.ref(), ID: u.name, Owned: u.project == t.project, State: drift.Present, Fields: maps.Clone(u.fields),
		}
	}
}

func (t *Target) applyUser(c plan.Change) error {
	e, ref := t.engine, c.Ref()
	switch c := c.(type) {
	case plan.Create:
		return e.do(ref, "create user", func() error { return t.setUser(c.Want.(*spec.Access)) })
	case plan.Update:
		return e.do(ref, "update user", func() error {
			if e.users[ref.Name] == nil {
				return plan.ErrStale
			}
			return t.setUser(c.Want.(*spec.Access))
		})
	case plan.Remove:
		return e.do(ref, "remove user", func() error {
			u := e.users[ref.Name]
			if u != nil && u.project != t.project {
				return errNotOurs
			}
			delete(e.users, ref.Name)
			return nil
		})
	}
	return errors.New("a user is changed where it is, and never replaced")
}

// setUser makes a user, or makes one that is ours as it should be.
func (t *Target) setUser(want *spec.Access) error {
	e := t.engine
	if err := t.serving(want); err != nil {
		return err
	}
	u := e.users[want.Ref().Name]
	switch {
	case u == nil:
		e.serial++
		e.users[want.Ref().Name] = &user{serial: e.serial, name: want.Ref().Name, project: t.project, fields: want.Fields()}
	case u.project != t.project:
		return errNotOurs
	default:
		u.fields = want.Fields()
	}
	return nil
}
