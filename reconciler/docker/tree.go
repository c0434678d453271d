package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/flumendata/flumen-agent/spec"
)

// Tree is where files lie that containers mount, when their content moves with the
// revision: the checkout of a repository.
type Tree interface {
	// Holds tells whether a path lies in the tree.
	Holds(path string) bool
	// Use has the tree stay as it is while a container is started. It fails, and calls
	// nothing, when the tree has gone back since the run began.
	Use(start func() error) error
	// GoBack puts the tree back to the last good revision, for a container that was made
	// with the files of that one. It tells false if there is none.
	GoBack(context.Context) (bool, error)
}

// Mounting has the target look after the tree that containers mount files of.
func (t *Target) Mounting(tree Tree) { t.tree = tree }

// treeGone says that a container was not started, since the tree has gone back.
type treeGone struct{ error }

func (e *treeGone) Unwrap() error { return e.error }

// use starts a container of a service, with the tree at the revision it is made for. The
// error is a treeGone if that cannot be any more.
func (t *Target) use(s *spec.Service, start func() error) error {
	if !t.mounts(s) {
		return start()
	}
	called := false
	err := t.tree.Use(func() error { called = true; return start() })
	if err != nil && !called {
		return &treeGone{err}
	}
	return err
}

// mounts tells whether a service mounts something of the tree.
func (t *Target) mounts(s *spec.Service) bool {
	if t.tree == nil {
		return false
	}
	for _, m := range s.Mounts {
		if m.Type == spec.MountBind && t.tree.Holds(m.Source) {
			return true
		}
	}
	return false
}

// ofEarlier tells whether a container was made with other content of the tree than a
// service has now.
func (t *Target) ofEarlier(c container.InspectResponse, s *spec.Service) bool {
	if t.tree == nil {
		return false
	}
	have := spec.Fields{}
	t.digests.set(have, c, s, s, map[string]string{})
	want := s.Fields()
	return slices.ContainsFunc(c.Mounts, func(m container.MountPoint) bool {
		name := "file." + m.Destination
		return m.Type == mount.TypeBind && t.tree.Holds(m.Source) && !have[name].Equal(want[name])
	})
}

// startOld starts a container that may have been made for an earlier revision than s, with
// the files it was made with. It is started with others rather than not at all, and that is
// said.
func (t *Target) startOld(ctx context.Context, c container.InspectResponse, s *spec.Service) (back bool, err error) {
	var fault error
	if t.ofEarlier(c, s) {
		back, fault = t.tree.GoBack(ctx)
	}
	err = t.engine.ContainerStart(ctx, c.ID, container.StartOptions{})
	t.acts.acted(c.ID)
	if err == nil && fault != nil {
		return back, fmt.Errorf("it was started with the files of another revision, since those it was made with cannot be put back: %w", fault)
	}
	return back, errors.Join(err, fault)
}
