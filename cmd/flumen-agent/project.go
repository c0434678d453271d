package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/schedule"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/docker"
	"github.com/flumendata/flumen-agent/reconciler/s3"
	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/compose"
)

// read reads the spec, from a repository if the flags name one, and learns its secrets.
func (a *app) read(ctx context.Context) (compose.Loaded, error) {
	source, err := a.repository()
	switch {
	case err != nil:
		return compose.Loaded{}, err
	case source != nil:
		return a.readHead(ctx, source)
	}
	return a.readFile(ctx, a.settings.file, nil)
}

func (a *app) readFile(ctx context.Context, file string, tree *compose.Tree) (compose.Loaded, error) {
	dirs, err := a.hostDirs()
	if err != nil {
		return compose.Loaded{}, err
	}
	loaded, err := compose.Load(ctx, compose.Options{
		HostDirs: dirs, File: file, Project: a.settings.project, Profiles: a.settings.profiles,
		Keys: a.ageKeys(), Command: a.secretCommand(), Environ: a.environ, Strict: a.settings.strict, Tree: tree, CheckSchedule: checkSchedule, CheckWindow: checkWindow, MeetsQuiet: meetsQuiet, Barred: a.barred,
	})
	a.hide(loaded.Secrets...)
	return loaded, err
}

// barred says why a service of the engine cannot be reached from here. Where the engine is
// cannot be known, connecting to it says why.
func (a *app) barred(published []string) string {
	reach, err := docker.ReachOf(func(name string) string { return a.environ[name] })
	if err != nil {
		return ""
	}
	return reach.Barred(published)
}

// hostDirs are the directories that the engine's host calls otherwise.
func (a *app) hostDirs() (dirs []compose.HostDir, err error) {
	for _, text := range a.settings.hostDirs {
		d, err := compose.ParseHostDir(text)
		if err != nil {
			return nil, fmt.Errorf("--host-dir: %w", err)
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}

// hide has no output show these texts.
func (a *app) hide(secrets ...string) {
	a.stdout.Learn(secrets)
	a.stderr.Learn(secrets)
}

func checkSchedule(text string) error {
	_, err := schedule.Parse(text)
	return err
}

// load reads the spec and says its warnings, also of one that does not load: what they
// are about may be why. An agent reads the same spec many times, and says them once.
func (a *app) load(ctx context.Context) (compose.Loaded, error) {
	loaded, err := a.read(ctx)
	var warnings []string
	for _, w := range loaded.Warnings {
		warnings = append(warnings, w.Error())
	}
	if !slices.Equal(warnings, a.warned) {
		for _, text := range warnings {
			a.warn(text)
		}
		a.warned = warnings
	}
	return loaded, err
}

// connection is a project's spec and the engine it is for.
type connection struct {
	want       spec.Desired
	target     *docker.Target
	engineID   string
	reconciler *reconciler.Reconciler
}

// connect loads the spec, sees that it has the tier that a flag names (if it names one),
// and connects to the engine.
func (a *app) connect(ctx context.Context, tier string) (*connection, error) {
	loaded, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	if err := hasTier(loaded.Desired, tier); err != nil {
		return nil, err
	}
	return a.connectTo(ctx, loaded.Desired)
}

// identify connects to the engine for a command that needs to know of the project only
// which one it is: its name may be given where there is no spec.
func (a *app) identify(ctx context.Context) (*connection, error) {
	if _, err := os.Stat(a.settings.file); a.settings.project != "" && a.settings.git.URL == "" && errors.Is(err, fs.ErrNotExist) {
		return a.connectTo(ctx, spec.Desired{Project: a.settings.project})
	}
	return a.connect(ctx, "")
}

func (a *app) connectTo(ctx context.Context, want spec.Desired) (*connection, error) {
	target, err := a.target(ctx)
	if err != nil {
		return nil, err
	}
	id, err := target.EngineID(ctx)
	if err != nil {
		return nil, err
	}
	c := &connection{want: want, target: target, engineID: id}
	c.reconciler = &reconciler.Reconciler{
		Targets: targets(target), Window: windowAt, Tables: a.tableDrift,
		Lock: func(ctx context.Context, _ string) (release func(), err error) {
			return a.lock(c).wait(ctx, a.warn)
		},
	}
	return c, nil
}

// targets are an engine, and the stores that are served by what runs on it or are elsewhere.
func targets(engine *docker.Target) []reconciler.Target {
	return []reconciler.Target{engine, s3.New(engine.Addresses)}
}

// lock is that of a project: agents and commands on this machine take turns.
func (a *app) lock(c *connection) lock { return lock{a.lockDir(), c.engineID, c.want.Project} }

// look connects and looks once.
func (a *app) look(ctx context.Context) (*connection, drift.Observed, drift.Drift, error) {
	c, err := a.connect(ctx, "")
	if err != nil {
		return nil, drift.Observed{}, nil, err
	}
	have, d, err := c.reconciler.Look(ctx, c.want, a.withLast(ctx, c, reconciler.Options{}))
	return c, have, d, err
}

// target connects to the engine that the environment names.
func (a *app) target(ctx context.Context) (*docker.Target, error) {
	engine, err := docker.Connect(ctx, func(name string) string { return a.environ[name] })
	if err != nil {
		return nil, err
	}
	target := docker.New(engine)
	if a.source != nil {
		target.Mounting(a.source)
	}
	return target, nil
}
