package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// demands are what the engine would refuse.
func (s survey) demands(want *spec.Service) (all []plan.Obstacle) {
	refuse := func(format string, args ...any) {
		all = append(all, plan.Obstacle{Rule: ruleEngine, Reason: fmt.Sprintf(format, args...)})
	}
	if err := s.supports(want); err != nil {
		refuse("%v", err)
	}
	if cores := int64(s.info.NCPU); want.NanoCPUs > cores*1e9 {
		refuse("cpus is %g, and the engine's machine has %d: ask for %d at most", float64(want.NanoCPUs)/1e9, cores, cores)
	}
	if d := want.Logging.Driver; d != "" && !slices.Contains(s.info.Plugins.Log, d) {
		refuse("the engine has no log driver %q: use one of %s, or install the plugin", d, strings.Join(s.info.Plugins.Log, ", "))
	}
	return all
}

// binds refuses paths of this machine on an engine that runs on another one: it would
// make empty directories of them there.
func (s survey) binds(want *spec.Service) (all []plan.Obstacle) {
	for _, m := range want.Mounts {
		if m.Type == spec.MountBind && s.remote {
			all = append(all, plan.Obstacle{Rule: ruleBind, Reason: fmt.Sprintf("%s is a path of this machine, and the engine runs on another: make it a config, or a volume", m.Source)})
		}
	}
	return all
}

// minFree is how much room an engine has to have for new images at least: a base image
// and a layer or two.
const minFree = units.GiB

// room wants room for all images that a plan pulls and builds: as much as those before
// them took. Where there is none, none of them is begun.
func (s survey) room(ctx context.Context, p plan.Plan) (all []plan.Obstacle) {
	var images []spec.Ref
	var needed int64
	for _, step := range p.Steps() {
		if _, ok := wantOf(step.Change).(*spec.Image); ok {
			images = append(images, step.Change.Ref())
			needed += s.size(ctx, haveOf(step.Change))
		}
	}
	if len(images) == 0 || !s.here {
		return nil
	}
	free, err := freeBytes(s.info.DockerRootDir)
	if err != nil {
		return nil
	}
	if reason := tooFull(s.info.DockerRootDir, free, max(needed, minFree)); reason != "" {
		for _, ref := range images {
			all = append(all, plan.Obstacle{Ref: ref, Rule: ruleDisk, Reason: reason})
		}
	}
	return all
}

// size is that of an image, or 0 for one that is not there.
func (s survey) size(ctx context.Context, have drift.Found) int64 {
	if have.ID == "" {
		return 0
	}
	info, err := s.engine.ImageInspect(ctx, have.ID)
	if err != nil {
		return 0
	}
	return info.Size
}

func tooFull(dir string, free, needed int64) string {
	if free >= needed {
		return ""
	}
	return fmt.Sprintf("%s is free on the disk of %s, where the engine keeps its images, and the new images need about %s: make room, for instance with docker image prune",
		units.BytesSize(float64(free)), dir, units.BytesSize(float64(needed)))
}
