package docker

import (
	"cmp"
	"context"
	"fmt"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// A probe is a container that is never started, through which files of a volume or an
// image are read. Its name is fixed, so that one left behind by a crash is found.
const (
	labelProbe  = flumenPrefix + "probe"
	probePrefix = "flumen-probe-"
	probeTarget = "/flumen-probe"
)

// probe lets do read from a container of an image, with a volume unless that is "".
func (s survey) probe(ctx context.Context, image, volume string, do func(id string)) {
	name := probePrefix + cmp.Or(volume, fmt.Sprintf("%x", fullName(image)))
	s.removeProbe(ctx, name)
	host := &container.HostConfig{}
	if volume != "" {
		// Without NoCopy an empty volume would be filled from the image.
		host.Mounts = []mount.Mount{{Type: mount.TypeVolume, Source: volume, Target: probeTarget, VolumeOptions: &mount.VolumeOptions{NoCopy: true}}}
	}
	made, err := s.engine.ContainerCreate(ctx, &container.Config{Image: image, Cmd: []string{"true"}, Labels: map[string]string{labelProbe: "true"}}, host, nil, nil, name)
	if err != nil {
		return
	}
	defer s.removeProbe(context.WithoutCancel(ctx), made.ID)
	do(made.ID)
}

// removeProbe takes its anonymous volumes with it: it made them, and they are empty.
func (s survey) removeProbe(ctx context.Context, name string) {
	c, err := s.engine.ContainerInspect(ctx, name)
	if err != nil || c.Config.Labels[labelProbe] == "" {
		return
	}
	_ = s.engine.ContainerRemove(ctx, c.ID, container.RemoveOptions{RemoveVolumes: true}) // the next probe tries again
}
