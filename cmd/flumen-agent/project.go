package main

import (
	"context"
	"fmt"

	"github.com/docker/docker/client"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/compose"
)

// load reads the spec, writes its warnings and learns its secrets.
func (a *app) load(ctx context.Context) (compose.Loaded, error) {
	loaded, err := compose.Load(ctx, compose.Options{
		File: a.settings.file, Project: a.settings.project, Profiles: a.settings.profiles,
		Environ: a.environ, Strict: a.settings.strict,
	})
	a.stdout.Learn(loaded.Secrets)
	a.stderr.Learn(loaded.Secrets)
	if err != nil {
		return loaded, err
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
	return loaded, nil
}

// connection is a project's spec and the engine it is for.
type connection struct {
	want       spec.Desired
	target     *docker.Target
	reconciler *reconciler.Reconciler
	engine     *client.Client
}

// connect loads the spec, then connects to the engine.
func (a *app) connect(ctx context.Context) (*connection, error) {
	loaded, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	engine, err := a.engine(ctx)
	if err != nil {
		return nil, err
	}
	target := docker.New(engine)
	return &connection{
		want: loaded.Desired, target: target, engine: engine,
		reconciler: &reconciler.Reconciler{Targets: []reconciler.Target{target}},
	}, nil
}

func (a *app) engine(ctx context.Context) (*client.Client, error) {
	return docker.Connect(ctx, func(name string) string { return a.environ[name] })
}
