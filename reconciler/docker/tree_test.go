package docker

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// turned is a tree that has gone back, since something else of the revision failed.
type turned struct{ below string }

func (t turned) Holds(path string) bool             { return strings.HasPrefix(path, t.below) }
func (turned) Use(func() error) error               { return errors.New("the files went back") }
func (turned) GoBack(context.Context) (bool, error) { return true, nil }

func mounting(source string) func(s *spec.Service) {
	return func(s *spec.Service) {
		s.Mounts = []spec.Mount{{Type: spec.MountBind, Source: source, Target: "/etc/app"}}
	}
}

// What could not be started because the files had gone back has failed at nothing: it runs
// as before, and the failure says so.
func TestServiceWhoseFilesWentBackIsCalledOffAndRunsAsBefore(t *testing.T) {
	eachWorld(t, func(w world) {
		dir := w.TempDir()
		w.mustConverge(w.desired(w.service("one", mounting(dir), revision("1"))))
		before := w.inspect(w.project + "-one-1")
		w.target.Mounting(turned{dir})
		err := w.converge(w.desired(w.service("one", mounting(dir), revision("2"))))
		failure := (*plan.Failure)(nil)
		if !errors.As(err, &failure) || !failure.CalledOff || !failure.RolledBack {
			w.Fatalf("got %+v (%v)", failure, err)
		}
		if after := w.inspect(w.project + "-one-1"); after.ID != before.ID || !after.State.Running {
			w.Errorf("container %s runs: %v, want %s", after.ID, after.State.Running, before.ID)
		}
	})
}
