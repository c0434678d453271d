package docker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// OnceBusy says that a container of somebody else is at what a container was to be made for.
type OnceBusy struct {
	Container string
	From      string    // the machine of whoever made it
	Since     time.Time // by the engine's clock; zero: it is only being made, or has gone by now
	Other     bool      // it is of another project
}

func (b OnceBusy) Error() string {
	text := fmt.Sprintf("container %s is at it", b.Container)
	if !b.Since.IsZero() {
		text += fmt.Sprintf(", which another flumen-agent made from the machine %q at %s", b.From, b.Since.UTC().Format("2006-01-02 15:04"))
	}
	if b.Other {
		text += ", for another project"
	}
	return text + fmt.Sprintf(": the next run does it; if nobody is at it any more: docker rm -f %s", b.Container)
}

// LeftOnce is a container that its owner has left behind, as a process does that is killed.
type LeftOnce struct {
	Container string
	About     string
	Ran       bool // it was still running, and was stopped
	Code      int  // how it ended; -1: it was never started
}

// RemoveOnces stops and removes the containers of RunOnce that an owner has left behind in a project,
// and tells how each has ended. The owner makes none meanwhile.
func (t *Target) RemoveOnces(ctx context.Context, project, owner string) (ended []LeftOnce, err error) {
	of := ofProject(project)
	of.Add("label", composeOneOff+"=True")
	of.Add("label", labelMadeBy+"="+owner)
	left, err := t.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: of})
	if err != nil {
		return nil, fmt.Errorf("look for containers that were left behind: %w", err)
	}
	for _, c := range left {
		now, err := t.engine.ContainerInspect(ctx, c.ID) // its list is behind when a container has just ended
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return ended, fmt.Errorf("look at %s, which was left behind: %w", nameOf(c), err)
		}
		state := now.State.Status
		one := LeftOnce{Container: nameOf(c), About: c.Labels[labelActsOn], Ran: state != container.StateExited && state != container.StateCreated, Code: -1}
		var e Ending
		if err := t.endOnce(ctx, c.ID, &e); err != nil {
			return ended, fmt.Errorf("%s was left behind: %w", nameOf(c), err)
		}
		if state != container.StateCreated {
			one.Code = e.Code
		}
		ended = append(ended, one)
	}
	return ended, nil
}

// onceInTheWay is an OnceBusy while a container but the one with an ID is of the same service, or acts
// on the same. One of the project that is there for longer than its owner lets it was left behind,
// whoever that was, and is removed.
func (t *Target) onceInTheWay(ctx context.Context, o Once, but string) error {
	of := filters.NewArgs(filters.Arg("label", composeOneOff+"=True"), filters.Arg("label", labelMadeFrom))
	all, err := t.engine.ContainerList(ctx, container.ListOptions{All: true, Filters: of})
	if err != nil {
		return fmt.Errorf("look for other containers about %s: %w", o.About, err)
	}
	for _, c := range all {
		ours := c.Labels[labelProject] == o.Project
		same := o.About != "" && c.Labels[labelActsOn] == o.About
		if c.ID == but || !same && !(ours && c.Labels[composeService] == o.Service.Name) {
			continue
		}
		over, err := t.isOver(ctx, c)
		switch {
		case err != nil:
			return err
		case over && ours:
			if err := t.endOnce(ctx, c.ID, &Ending{}); err != nil {
				return fmt.Errorf("%s was left behind: %w", nameOf(c), err)
			}
		case !ours && (c.State == container.StateExited || over && c.State == container.StateCreated):
			// It does nothing any more, and is not ours to remove.
		default:
			return OnceBusy{nameOf(c), c.Labels[labelMadeFrom], time.Unix(c.Created, 0), !ours}
		}
	}
	return nil
}

// hasTheName says what has the name that a container was to have.
func (t *Target) hasTheName(ctx context.Context, name string) error {
	c, err := t.engine.ContainerInspect(ctx, name)
	switch {
	case cerrdefs.IsNotFound(err): // it is being made, or has gone since
		return OnceBusy{Container: name}
	case err != nil:
		return fmt.Errorf("look at container %s, which is in the way: %w", name, err)
	case c.Config.Labels[labelMadeBy] == "":
		return fmt.Errorf("container %s (%s), which was not made for this, has the name: rename or remove it", name, short(c.ID))
	}
	made, _ := time.Parse(time.RFC3339Nano, c.Created)
	return OnceBusy{Container: name, From: c.Config.Labels[labelMadeFrom], Since: made}
}

// isOver tells whether a container is there for longer than its owner lets it, by the engine's clock.
func (t *Target) isOver(ctx context.Context, c container.Summary) (bool, error) {
	lasts, err := strconv.ParseInt(c.Labels[labelOver], 10, 64)
	if err != nil {
		return false, nil // nobody knows
	}
	info, err := t.engine.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("ask the engine for its time: %w", err)
	}
	now, err := time.Parse(time.RFC3339Nano, info.SystemTime)
	if err != nil {
		return false, fmt.Errorf("ask the engine for its time: %w", err)
	}
	return now.After(time.Unix(c.Created+lasts, 0)), nil
}
