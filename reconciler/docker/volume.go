package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/volume"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// observeVolumes finds the volumes that the spec names and those of ours.
func (t *Target) observeVolumes(ctx context.Context, want spec.Desired) drift.Observed {
	seen := drift.Observed{Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}}
	all, err := t.engine.VolumeList(ctx, volume.ListOptions{})
	if err != nil {
		seen.Blind[spec.Ref{Kind: spec.KindVolume}] = "list volumes: " + err.Error()
		return seen
	}
	wanted := map[string]*spec.Volume{}
	for _, v := range spec.Resources[*spec.Volume](want) {
		wanted[v.Name] = v
	}
	for _, v := range all.Volumes {
		w := wanted[v.Name]
		f, ok := findNamed(want.Project, spec.KindVolume, w, v.Name, v.Labels, composeVolume)
		if !ok {
			continue
		}
		f.Fields = readVolume(v, w)
		seen.Found[f.Ref] = f
	}
	return seen
}

func readVolume(v *volume.Volume, want *spec.Volume) spec.Fields {
	f := (&spec.Volume{Driver: v.Driver, DriverOpts: v.Options, Labels: readLabels(v.Labels)}).Fields()
	if v.Driver == "local" && (want == nil || want.Driver == "") {
		delete(f, "driver")
	}
	return f
}

func (t *Target) applyVolume(ctx context.Context, c plan.Change, p plan.Progress) error {
	create, ok := c.(plan.Create)
	if !ok {
		return errors.New("the agent never changes or removes a volume: its data would be lost")
	}
	if err := t.createVolume(ctx, create.Want.(*spec.Volume)); err != nil {
		return err
	}
	p.Reached(spec.Created)
	return nil
}

// createVolume first looks whether the volume is there: the engine would give it back
// as if it had just been made, whoever it belongs to.
func (t *Target) createVolume(ctx context.Context, v *spec.Volume) error {
	want := t.recall().want
	there, err := t.engine.VolumeInspect(ctx, v.Name)
	if err == nil {
		return acceptVolume(v, there, want.Project)
	}
	if !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("look for volume %s: %w", v.Name, err)
	}
	labels := owned(want.Project, want.TierOf(v.Ref()), composeVolume, v.Key)
	maps.Copy(labels, v.Labels)
	_, err = t.engine.VolumeCreate(ctx, volume.CreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts, Labels: labels})
	return err
}

// acceptVolume takes a volume that is there already for the wanted one if it is ours
// and the same.
func acceptVolume(v *spec.Volume, there volume.Volume, project string) error {
	if there.Labels[labelProject] != project {
		return fmt.Errorf("a volume %s that is not the project's is in the way: rename or remove it, or declare it external", v.Name)
	}
	if !maps.EqualFunc(readVolume(&there, v), v.Fields(), spec.Value.Equal) {
		return fmt.Errorf("volume %s appeared, and is not as it should be: %w", v.Name, plan.ErrStale)
	}
	return nil
}
