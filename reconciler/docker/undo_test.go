package docker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/spec"
)

// slowToStop is an engine on which a container takes its whole stop grace, and on which
// every call fails that comes after its context's end.
type slowToStop struct {
	client.APIClient
	grace   time.Duration
	started string
}

func (e *slowToStop) ContainerStop(ctx context.Context, _ string, _ container.StopOptions) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(e.grace):
		return nil
	}
}

func (e *slowToStop) ContainerRemove(ctx context.Context, _ string, _ container.RemoveOptions) error {
	return ctx.Err()
}

func (e *slowToStop) ContainerInspect(ctx context.Context, id string) (container.InspectResponse, error) {
	base := &container.ContainerJSONBase{ID: id, Name: "/x.prev", HostConfig: &container.HostConfig{}, State: &container.State{}}
	return container.InspectResponse{ContainerJSONBase: base, Config: &container.Config{}, NetworkSettings: &container.NetworkSettings{}}, ctx.Err()
}

func (e *slowToStop) ContainerRename(ctx context.Context, _, _ string) error { return ctx.Err() }

func (e *slowToStop) ContainerUpdate(ctx context.Context, _ string, _ container.UpdateConfig) (container.UpdateResponse, error) {
	return container.UpdateResponse{}, ctx.Err()
}

func (e *slowToStop) NetworkList(ctx context.Context, _ network.ListOptions) ([]network.Summary, error) {
	return nil, ctx.Err()
}

func (e *slowToStop) ContainerStart(ctx context.Context, id string, _ container.StartOptions) error {
	e.started = id
	return ctx.Err()
}

func TestOldContainerIsStartedHoweverLongTheNewOneTakesToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &slowToStop{grace: 2 * undoTime}
		if err := New(engine).undo(t.Context(), &spec.Service{}, "new", &handover{id: "old", name: "x", ran: true}, silent{}); err != nil {
			t.Error(err)
		}
		if engine.started != "old" {
			t.Errorf("started %q", engine.started)
		}
	})
}
