package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"github.com/flumendata/flumen-agent/spec"
)

// facts are what an engine gives to every container, as far as it tells.
type facts struct {
	id        string // of the engine, as it tells it itself
	logging   string
	swapLimit bool          // it can limit swap
	ahead     time.Duration // how far its clock is ahead of ours; on this machine they are one
}

// ask reads the facts of the engine.
func (t *Target) ask(ctx context.Context) (facts, error) {
	before := time.Now()
	info, err := t.engine.Info(ctx)
	if err != nil {
		return facts{}, fmt.Errorf("ask the engine about itself: %w", err)
	}
	f := facts{id: info.ID, logging: info.LoggingDriver, swapLimit: info.SwapLimit}
	if there, err := time.Parse(time.RFC3339Nano, info.SystemTime); err == nil && !local(t.engine.DaemonHost()) {
		f.ahead = aheadBy(there, before, time.Now())
	}
	return f, nil
}

// gives tells whether an engine gives a field this value by itself.
func (e facts) gives(name, value string, c container.InspectResponse) bool {
	switch name {
	case "hostname":
		mode := c.HostConfig.NetworkMode
		return value == short(c.ID) || mode.IsHost() || mode.IsContainer()
	case "working_dir":
		return value == "/"
	case "stop_signal":
		return value == "SIGTERM"
	case "shm_size":
		return value == "64MiB"
	case "ipc":
		return value == "private" || value == "shareable"
	case "network_mode":
		return value == "bridge"
	case "pids_limit":
		return value == "-1"
	case "memswap_limit":
		return e.givesSwap(c.HostConfig)
	case "logging":
		return value == e.logging
	}
	return false
}

// givesSwap knows that an engine allows as much swap as memory, where it can limit it.
func (e facts) givesSwap(h *container.HostConfig) bool {
	switch {
	case h.Memory == 0 || !e.swapLimit:
		return h.MemorySwap == -1
	default:
		return h.MemorySwap == 2*h.Memory
	}
}

// newImageInfo reads what an image gives to its containers, in the same form in which
// the containers themselves are described.
func newImageInfo(i image.InspectResponse) imageInfo {
	info := imageInfo{id: i.ID, platform: i.Os + "/" + i.Architecture, defaults: spec.Fields{}}
	if i.Variant != "" {
		info.platform += "/" + i.Variant
	}
	if i.Config == nil {
		return info
	}
	info.entrypoint, info.command, info.volumes = i.Config.Entrypoint, i.Config.Cmd, i.Config.Volumes
	s := &spec.Service{
		Entrypoint: i.Config.Entrypoint, Command: i.Config.Cmd, User: i.Config.User, WorkingDir: i.Config.WorkingDir,
		Environment: readEnvironment(i.Config.Env), Labels: readLabels(i.Config.Labels),
		Health: readHealth(i.Config.Healthcheck), StopSignal: i.Config.StopSignal,
	}
	for _, target := range slices.Sorted(maps.Keys(i.Config.Volumes)) {
		s.Mounts = append(s.Mounts, spec.Mount{Type: spec.MountVolume, Target: target})
	}
	info.defaults = s.Fields()
	return info
}
