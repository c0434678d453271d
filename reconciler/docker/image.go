package docker

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// The labels of an image that the agent built. None of them is the project label of
// containers: a container takes over the labels of its image, and one that a person
// runs from ours by hand must not look like the project's.
const (
	labelBuild        = flumenPrefix + "build"         // the digest of what it was built from
	labelBuildProject = flumenPrefix + "build.project" // whose it is
	labelBuildImage   = flumenPrefix + "build.image"   // the reference it was built for
	labelBuildLast    = flumenPrefix + "build.last"    // the last label by name: the builder sets it last
)

// images looks after the images of one project.
type images struct {
	engine      client.APIClient
	credentials credentials
	project     atomic.Pointer[string] // of the last observe; built images are labelled with it
	turns       turns                  // of the classic builder
}

func newImages(engine client.APIClient) *images {
	return &images{engine: engine, credentials: credentials{dir: dockerConfigDir}}
}

// observe inspects every image that the spec names.
func (i *images) observe(ctx context.Context, want spec.Desired) (map[spec.Ref]drift.Found, map[spec.Ref]string) {
	i.project.Store(&want.Project)
	wanted := spec.Resources[*spec.Image](want)
	answers := make([]image.InspectResponse, len(wanted))
	errs := make([]error, len(wanted))
	each(len(wanted), func(n int) {
		answers[n], errs[n] = i.engine.ImageInspect(ctx, wanted[n].Name)
	})
	found, blind := map[spec.Ref]drift.Found{}, map[spec.Ref]string{}
	for n, w := range wanted {
		switch err := errs[n]; {
		case err == nil && runsOn(answers[n], w.Platform):
			found[w.Ref()] = foundImage(want.Project, w, answers[n])
		case err != nil && !cerrdefs.IsNotFound(err):
			blind[w.Ref()] = "inspect the image: " + err.Error()
		}
	}
	return found, blind
}

// foundImage reads which build an image is of from its label. One that docker compose
// built for the project has none: it counts as built from the files as they are, unless
// they have changed since. One that anybody else built is built anew.
func foundImage(project string, want *spec.Image, have image.InspectResponse) drift.Found {
	f := drift.Found{Ref: want.Ref(), ID: have.ID, Owned: true, State: drift.Present, Fields: spec.Fields{}}
	if want.Build == nil || have.Config == nil {
		return f
	}
	digest := have.Config.Labels[labelBuild]
	tagged := have.Metadata.LastTagTime // that of the build: Created may be the base image's
	switch {
	case digest != "":
		f.Fields["build"] = spec.Plain(digest)
	case !composeBuilt(project, have.Config.Labels):
	case tagged.IsZero():
		f.Blind = map[string]string{"build": "docker compose built it, and the engine does not tell when; if it is as its files are, say so with: docker tag " + want.Name + " " + want.Name}
	case !want.Build.Modified.After(tagged):
		f.Fields["build"] = spec.Plain(want.Build.Digest)
	}
	return f
}

// composeBuilt tells an image that docker compose built for the project. With the
// classic builder it names no project, only itself.
func composeBuilt(project string, labels map[string]string) bool {
	return labels[composeProject] == project || labels[composeProject] == "" && labels[composeBuilder] != ""
}

// runsOn tells whether an image is of a platform like "linux/arm64" or "linux/arm/v7".
// The image of another platform under the same name is not the one that is wanted.
func runsOn(have image.InspectResponse, platform string) bool {
	os, rest, ok := strings.Cut(strings.ToLower(platform), "/")
	if !ok {
		return true
	}
	architecture, variant, _ := strings.Cut(rest, "/")
	return os == have.Os && architecture == have.Architecture &&
		(variant == "" || have.Variant == "" || variant == have.Variant)
}

// apply pulls or builds an image. When it fails, the image that was there before still
// has its name.
func (i *images) apply(ctx context.Context, c plan.Change, p plan.Progress) error {
	want, err := wantedImage(c)
	if err != nil {
		return err
	}
	switch {
	case want.Build != nil:
		err = i.makeOrFind(ctx, want, func() error { return i.build(ctx, want, p) })
	case want.Pull == spec.PullNever:
		err = fmt.Errorf("it is not there, and its pull_policy is never: build or load it (docker load), or allow it to be pulled")
	default:
		err = i.pull(ctx, want, p)
	}
	if err != nil {
		return err
	}
	p.Reached(spec.Created)
	return nil
}

func wantedImage(c plan.Change) (*spec.Image, error) {
	if one, ok := wantOf(c).(*spec.Image); ok {
		return one, nil
	}
	return nil, fmt.Errorf("an image cannot be told to %s", c.Verb())
}
