package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"github.com/flumendata/flumen-agent/spec"
)

// errSourcesGone says that an image cannot be built as it was: its files are others now.
var errSourcesGone = errors.New("it is not there any more, and the files it was built from have changed since: mend it by a new revision")

// nameAgain gives an image that was built before its name back, which a later build has
// taken: going back to an earlier revision builds nothing. It tells whether there was one.
func (i *images) nameAgain(ctx context.Context, want *spec.Image) (bool, error) {
	labels := filters.NewArgs(
		filters.Arg("label", labelBuild+"="+want.Build.Digest),
		filters.Arg("label", labelBuildImage+"="+want.Name),
		filters.Arg("label", labelBuildProject+"="+*i.project.Load()),
	)
	all, err := i.engine.ImageList(ctx, image.ListOptions{Filters: labels})
	if err != nil {
		return false, fmt.Errorf("look for the image as it was built before: %w", err)
	}
	for _, one := range all {
		if !i.isOurs(ctx, one) {
			continue
		}
		if err := i.engine.ImageTag(ctx, one.ID, want.Name); err != nil {
			return false, fmt.Errorf("give %s its name again: %w", short(one.ID), err)
		}
		return true, nil
	}
	return false, nil
}

// named tells whether the name of an image is that of its build already.
func (i *images) named(ctx context.Context, want *spec.Image) bool {
	have, err := i.engine.ImageInspect(ctx, want.Name)
	return err == nil && have.Config != nil && have.Config.Labels[labelBuild] == want.Build.Digest
}

// makeOrFind builds an image, or finds it again.
func (i *images) makeOrFind(ctx context.Context, want *spec.Image, build func() error) error {
	if !i.named(ctx, want) { // else it is to be built anew
		switch found, err := i.nameAgain(ctx, want); {
		case err != nil || found:
			return err
		case want.Build.Context == "":
			return errSourcesGone
		}
	}
	return build()
}
