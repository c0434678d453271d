package docker

import (
	"context"
	"os"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/system"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// The rules by which obstacles hold steps.
const (
	ruleEngine = "engine"        // it cannot do what is asked
	rulePort   = "port"          // somebody else has it
	ruleBind   = "bind"          // the path is on another machine
	ruleDisk   = "disk"          // there is no room for the image
	ruleMajor  = "major-version" // the data is of another PostgreSQL
)

// Check looks, before the first act, for what would make a step fail. What cannot be
// looked at is no obstacle: the act itself will tell.
func (t *Target) Check(ctx context.Context, p plan.Plan) []plan.Obstacle {
	s, err := t.survey(ctx, p)
	if err != nil {
		return nil
	}
	all := s.room(ctx, p)
	for _, step := range p.Steps() {
		for _, o := range s.obstacles(ctx, step.Change) {
			o.Ref = step.Change.Ref()
			all = append(all, o)
		}
	}
	return all
}

// survey is what the checks of one plan have in common.
type survey struct {
	*Target
	info       system.Info
	containers []container.Summary // those that run
	images     map[string]image.InspectResponse
	changing   map[string]bool // the IDs of those that the plan changes or removes: none is in the plan's way
	remote     bool            // the engine is reached over a network
	here       bool            // the engine runs on this machine, not in a container of it
}

func (t *Target) survey(ctx context.Context, p plan.Plan) (survey, error) {
	s := survey{Target: t, images: map[string]image.InspectResponse{}, changing: map[string]bool{}, remote: !local(t.engine.DaemonHost())}
	var err error
	if s.info, err = t.engine.Info(ctx); err != nil {
		return s, err
	}
	if s.containers, err = t.engine.ContainerList(ctx, container.ListOptions{}); err != nil {
		return s, err
	}
	for _, step := range p.Steps() {
		s.changing[haveOf(step.Change).ID] = true
	}
	// An engine, or an agent, in a container has ports and disks of its own, and a host
	// name of its own.
	name, err := os.Hostname()
	s.here = err == nil && !s.remote && name == s.info.Name
	return s, nil
}

// image inspects an image once, for all the services that run it. It has no ID if it
// is not there, or cannot be looked at.
func (s survey) image(ctx context.Context, name string) image.InspectResponse {
	known, ok := s.images[name]
	if !ok {
		known, _ = s.engine.ImageInspect(ctx, name) // see Check
		s.images[name] = known
	}
	return known
}

// obstacles checks one change.
func (s survey) obstacles(ctx context.Context, c plan.Change) []plan.Obstacle {
	if want, ok := wantOf(c).(*spec.Service); ok {
		return s.service(ctx, c, want, haveOf(c))
	}
	return nil
}

// wantOf gives what a change that makes, changes or starts something is to make true.
func wantOf(c plan.Change) spec.Resource {
	switch c := c.(type) {
	case plan.Create:
		return c.Want
	case plan.Update:
		return c.Want
	case plan.Replace:
		return c.Want
	case plan.Start:
		return c.Want
	}
	return nil
}

func (s survey) service(ctx context.Context, c plan.Change, want *spec.Service, have drift.Found) []plan.Obstacle {
	switch c.(type) {
	case plan.Create, plan.Replace:
		all := append(s.demands(want), s.binds(want)...)
		return append(append(all, s.ports(want)...), s.major(ctx, want, have)...)
	case plan.Start:
		return s.ports(want)
	}
	return nil
}
