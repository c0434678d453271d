package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// lostLayer is what the classic builder says when an image that it had just made, or took
// from its cache, was not there a moment later: it is lost while another one is removed.
// The engine has no code for it, and the next build finds or makes what is missing.
var lostLayer = regexp.MustCompile(`(unable to find image|failed to get digest|[Nn]o such image:) "?sha256:[0-9a-f]{64}`)

// buildsAgain is how often a build that lost a layer is tried again: what else is removed
// meanwhile comes to an end.
const buildsAgain = 3

// build makes an image from its context. The engine gives it its name only when all
// steps are done.
func (i *images) build(ctx context.Context, want *spec.Image, p plan.Progress) error {
	source, err := readContext(want.Build)
	if err != nil {
		return err
	}
	auths, fault := i.credentials.all()
	builder, log := build.BuilderV1, buildLog(newClassicLog(p))
	if source.needsBuildKit {
		builder, log = build.BuilderBuildKit, newBuildKitLog(p)
		if err := i.fetch(ctx, source.images, want.Platform, p); err != nil {
			return err
		}
	} else {
		end, err := i.turns.take(ctx, source.text)
		if err != nil {
			return err
		}
		defer end()
	}
	p.Doing("sending the build context", 0, 0)
	options := i.buildOptions(want, source, builder, auths)
	if options.BuildArgs, err = i.credentials.withProxies(i.engine.DaemonHost(), options.BuildArgs); err != nil {
		return err
	}
	err = i.runBuild(ctx, source, options, log)
	for range buildsAgain {
		if err == nil || !lostLayer.MatchString(err.Error()) {
			break
		}
		err = i.runBuild(ctx, source, options, log)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.Join(err, context.Cause(ctx))
	}
	reason := withCredentialFault(explainBuild(err, source), fault)
	return &plan.Failure{Ref: want.Ref(), Reason: "the build failed: " + reason.Error(), Log: log.tail()}
}

// buildLog follows what a builder says.
type buildLog interface {
	take(jsonmessage.JSONMessage)
	tail() []string
}

func (i *images) runBuild(ctx context.Context, source buildContext, options build.ImageBuildOptions, log buildLog) error {
	stream, err := source.open()
	if err != nil {
		return err
	}
	defer stream.Close()
	answer, err := i.engine.ImageBuild(ctx, stream, options)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return eachMessage(answer.Body, log.take)
}

func (i *images) buildOptions(want *spec.Image, source buildContext, builder build.BuilderVersion, auths map[string]registry.AuthConfig) build.ImageBuildOptions {
	b := want.Build
	options := build.ImageBuildOptions{
		Version:     builder,
		Tags:        []string{want.Name},
		Dockerfile:  source.dockerfile,
		Target:      b.Target,
		NetworkMode: b.Network,
		NoCache:     b.NoCache,
		Platform:    want.Platform,
		AuthConfigs: auths,
		Labels:      i.buildLabels(want),
		BuildArgs:   map[string]*string{},
		Remove:      true,
		ForceRemove: true, // a failed step leaves no container behind
	}
	for name, value := range b.Args {
		text := value.Reveal()
		options.BuildArgs[name] = &text
	}
	return options
}

// buildLabels are the user's and ours.
func (i *images) buildLabels(want *spec.Image) map[string]string {
	labels := map[string]string{labelBuild: want.Build.Digest, labelBuildImage: want.Name, labelBuildLast: ""}
	if project := i.project.Load(); project != nil {
		labels[labelBuildProject] = *project
	}
	maps.Copy(labels, want.Build.Labels)
	labels[labelBuildLast] = slices.Max(slices.Collect(maps.Keys(labels)))
	return labels
}

// fetch pulls the images that a BuildKit build needs and that are not there. Without a
// session BuildKit cannot log in to a registry, but it takes what is there.
func (i *images) fetch(ctx context.Context, names []string, platform string, p plan.Progress) error {
	for _, name := range names {
		_, err := i.engine.ImageInspect(ctx, name)
		if err == nil {
			continue
		}
		if !cerrdefs.IsNotFound(err) {
			return fmt.Errorf("inspect %s: %w", name, err)
		}
		if err := i.pull(ctx, &spec.Image{Name: name, Platform: platform}, p); err != nil {
			return fmt.Errorf("pull %s, which the Dockerfile names: %w", name, err)
		}
	}
	return nil
}
