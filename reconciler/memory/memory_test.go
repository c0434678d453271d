package memory_test

import (
	"errors"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/memory"
	"github.com/flumendata/flumen-agent/reconciler/targettest"
	"github.com/flumendata/flumen-agent/spec"
)

var _ reconciler.Target = (*memory.Target)(nil)

func TestTargetConforms(t *testing.T) {
	const image = "flumen-test/sleeper:1"
	engine := memory.New()
	engine.AddImage(image)
	targettest.Run(t, targettest.Suite{
		Project:  "memory",
		Image:    image,
		HostPort: 40000,
		New: func(t *testing.T, project string) targettest.Target {
			t.Cleanup(func() { engine.RemoveProject(project) })
			return engine.Target(project)
		},
		Break: func(_ *testing.T, container string, how targettest.Fault) {
			map[targettest.Fault]func(string){
				targettest.Stop: engine.Stop, targettest.Kill: engine.Kill,
				targettest.Pause: engine.Pause, targettest.Remove: engine.Remove,
			}[how](container)
		},
		Foreign: func(_ *testing.T, kind spec.Kind, name string) { engine.AddForeign(kind, name) },
		Unreachable: func(*testing.T) targettest.Target {
			gone := memory.New()
			gone.Unreachable(errors.New("connection refused"))
			return gone.Target("gone")
		},
	})
}
