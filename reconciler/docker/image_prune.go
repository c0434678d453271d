package docker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"

	"github.com/flumendata/flumen-agent/spec"
)

// PruneImages removes images that the agent built for a project, which are not among those
// to keep and no container uses. It forces nothing, so an image that something else needs
// stays. It gives what was removed.
func (t *Target) PruneImages(ctx context.Context, project string, keep []spec.ImageKey) ([]string, error) {
	return t.images.prune(ctx, project, keep)
}

func (i *images) prune(ctx context.Context, project string, keep []spec.ImageKey) ([]string, error) {
	wanted := newWantedBuilds(project, keep)
	candidates, err := i.built(ctx, wanted)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	used, err := i.used(ctx)
	if err != nil {
		return nil, err
	}
	var removed []string
	for _, one := range candidates {
		if used[one.ID] || !i.isOurs(ctx, one) {
			continue
		}
		_, err := i.engine.ImageRemove(ctx, one.ID, image.RemoveOptions{PruneChildren: true})
		switch {
		case err == nil:
			removed = append(removed, one.Labels[labelBuildImage]+" ("+short(one.ID)+")")
		case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err): // gone already, or needed after all
		default:
			return removed, fmt.Errorf("remove image %s: %w", cmp.Or(one.Labels[labelBuildImage], one.ID), err)
		}
	}
	return removed, nil
}

// wantedBuilds is what must stay: names, whatever they name, and builds that the last
// good revision may have to go back to.
type wantedBuilds struct {
	project string
	names   map[string]bool
	builds  map[string]bool // name and digest
}

func newWantedBuilds(project string, keep []spec.ImageKey) wantedBuilds {
	w := wantedBuilds{project, map[string]bool{}, map[string]bool{}}
	for _, key := range keep {
		name := fullName(key.Name)
		w.names[name] = true
		if key.Build != "" {
			w.builds[name+"@"+key.Build] = true
		}
	}
	return w
}

// built lists the project's builds that nobody wants.
func (i *images) built(ctx context.Context, wanted wantedBuilds) ([]image.Summary, error) {
	all, err := i.engine.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelBuildProject+"="+wanted.project))})
	if err != nil {
		return nil, fmt.Errorf("list the images of %s: %w", wanted.project, err)
	}
	return slices.DeleteFunc(all, wanted.needs), nil
}

// needs tells whether an image is wanted. One that has a name which is not its own was
// named by a person, or was made by a person from ours: labels are inherited.
func (w wantedBuilds) needs(one image.Summary) bool {
	name := fullName(one.Labels[labelBuildImage])
	if w.builds[name+"@"+one.Labels[labelBuild]] {
		return true
	}
	for _, tag := range tags(one) {
		if tag = fullName(tag); w.names[tag] || tag != name {
			return true
		}
	}
	return false
}

// tags are an image's names; one that has lost its name to a newer build has none.
func tags(one image.Summary) []string {
	return slices.DeleteFunc(slices.Clone(one.RepoTags), func(tag string) bool { return tag == "<none>:<none>" })
}

// fullName gives all names of one reference alike: "app" and "docker.io/library/app:latest".
func fullName(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.TagNameOnly(named).String()
}

// used are the images of all containers, also of those that are stopped.
func (i *images) used(ctx context.Context) (map[string]bool, error) {
	all, err := i.engine.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list the containers that use images: %w", err)
	}
	used := map[string]bool{}
	for _, c := range all {
		used[c.ImageID] = true
	}
	return used, nil
}

// isOurs tells our build from what a person built from it and left without a name. The
// labels of a build are its last instructions. BuildKit leaves no trace of them, so there
// the labels themselves have to do.
func (i *images) isOurs(ctx context.Context, one image.Summary) bool {
	if len(tags(one)) > 0 {
		return true
	}
	history, err := i.engine.ImageHistory(ctx, one.ID)
	if err != nil || len(history) == 0 {
		return false
	}
	top, last := history[0], one.Labels[labelBuildLast]
	return strings.Contains(top.Comment, "buildkit") || strings.Contains(top.CreatedBy, "LABEL "+last+"="+one.Labels[last])
}
