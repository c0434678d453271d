package docker_test

import (
	"context"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/targettest"
	"github.com/flumendata/flumen-agent/spec"
)

var _ reconciler.Target = (*docker.Target)(nil)

func TestTargetConforms(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine *client.Client) {
		t.Parallel()
		enginetest.Images(t, engine)
		targettest.Run(t, targettest.Suite{
			Project:  "conforms",
			Image:    enginetest.Sleeper,
			HostPort: enginetest.HostPort(),
			New: func(t *testing.T, project string) targettest.Target {
				enginetest.Clean(t.Context(), t, engine, project) // of a run that was killed
				t.Cleanup(func() { enginetest.Clean(context.Background(), t, engine, project) })
				return docker.New(engine)
			},
			Break:       breaks(engine),
			Foreign:     foreign(engine),
			Unreachable: func(t *testing.T) targettest.Target { return docker.New(unreachable(t)) },
		})
	})
}

func breaks(engine *client.Client) func(*testing.T, string, targettest.Fault) {
	return func(t *testing.T, name string, how targettest.Fault) {
		t.Helper()
		err := map[targettest.Fault]func() error{
			targettest.Stop:   func() error { return engine.ContainerStop(t.Context(), name, container.StopOptions{}) },
			targettest.Kill:   func() error { return engine.ContainerKill(t.Context(), name, "KILL") },
			targettest.Pause:  func() error { return engine.ContainerPause(t.Context(), name) },
			targettest.Remove: func() error { return engine.ContainerRemove(t.Context(), name, container.RemoveOptions{Force: true}) },
		}[how]()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// foreign makes things without any label.
func foreign(engine *client.Client) func(*testing.T, spec.Kind, string) {
	return func(t *testing.T, kind spec.Kind, name string) {
		t.Helper()
		var err error
		switch kind {
		case spec.KindNetwork:
			_, err = engine.NetworkCreate(t.Context(), name, network.CreateOptions{})
			t.Cleanup(func() { _ = engine.NetworkRemove(context.Background(), name) })
		case spec.KindVolume:
			_, err = engine.VolumeCreate(t.Context(), volume.CreateOptions{Name: name})
			t.Cleanup(func() { _ = engine.VolumeRemove(context.Background(), name, true) })
		case spec.KindService:
			_, err = engine.ContainerCreate(t.Context(), &container.Config{Image: enginetest.Sleeper}, nil, nil, nil, name)
			t.Cleanup(func() {
				_ = engine.ContainerRemove(context.Background(), name, container.RemoveOptions{Force: true})
			})
			if err == nil {
				err = engine.ContainerStart(t.Context(), name, container.StartOptions{})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// unreachable is a client of an engine that is not there.
func unreachable(t *testing.T) *client.Client {
	engine, err := client.NewClientWithOpts(client.WithHost("unix://"+t.TempDir()+"/none.sock"), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	return engine
}
