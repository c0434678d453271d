package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/spec"
)

// Once is one thing that a container of a service does.
type Once struct {
	Project string
	Service *spec.Service
	Command []string // in place of the service's own
	// Owner names whoever makes the container, and keeps that name from all others: one container
	// of an owner is there at a time, and one that is there when the owner makes another was left
	// behind.
	Owner string
	// About names what it acts on. Of all containers about the same, of whatever project and owner,
	// one runs at a time.
	About string
	// Lasts is how long it may run: its owner has ended it by then.
	Lasts time.Duration
	// Begin is called when the container is there, and no other one can be, and before it is started.
	// Its error ends it all. It may be nil.
	Begin func() error
}

// Ending is how a container that was made for one thing has ended.
type Ending struct {
	Code  int
	OOM   bool     // it wanted more memory than its limit
	Lines []string // the last that it wrote, without secrets
}

const (
	// onceLines is how much of what it wrote is told: what went wrong stands at the end.
	onceLines = 200
	// onceCleanup is how long stopping and removing may take, whatever has ended before.
	onceCleanup = 2 * time.Minute
	// onceSpare is how much longer than it may run a container can be there, with all that is done
	// before and after.
	onceSpare = 15 * time.Minute
)

// RunOnce makes a container of a service, with a command in place of the service's own, waits for
// its end and removes it. When ctx ends the container is stopped, and the error is ctx's. The
// container is a one-off one, as docker compose run makes them: neither the agent nor Compose
// takes it for the service. What its owner has left behind is removed first; while another one of
// the service is there, or one about the same, it is an OnceBusy.
func (t *Target) RunOnce(ctx context.Context, o Once) (e Ending, err error) {
	if _, err := t.RemoveOnces(ctx, o.Project, o.Owner); err != nil {
		return e, err
	}
	if err := t.onceInTheWay(ctx, o, ""); err != nil {
		return e, err
	}
	id, err := t.makeOnce(ctx, o)
	if err != nil {
		return e, err
	}
	defer t.acts.hold(id)()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onceCleanup)
		defer cancel()
		err = errors.Join(err, t.endOnce(ctx, id, &e))
	}()
	// Of two that were made at the same time at least one sees the other here, and gives way.
	if err := t.onceInTheWay(ctx, o, id); err != nil {
		return e, err
	}
	if o.Begin != nil {
		if err := o.Begin(); err != nil {
			return e, err
		}
	}
	start := func() error { return t.engine.ContainerStart(ctx, id, container.StartOptions{}) }
	if err := t.use(o.Service, start); err != nil {
		return e, fmt.Errorf("start %s: %w", o.Service.Container, err)
	}
	ended, broken := t.engine.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	select {
	case <-ended:
		return e, nil
	case err := <-broken:
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return e, fmt.Errorf("wait for %s: %w", o.Service.Container, err)
	}
}

// makeOnce makes the container; if anything fails nothing is left. The engine gives its name, which
// is that of the project and the service, to one at a time.
func (t *Target) makeOnce(ctx context.Context, o Once) (string, error) {
	s := o.Service
	if err := t.supports(s); err != nil {
		return "", err
	}
	image, err := t.engine.ImageInspect(ctx, s.Image)
	if cerrdefs.IsNotFound(err) {
		return "", fmt.Errorf("image %s of service %s is not there: flumen-agent apply gets it", s.Image, s.Name)
	}
	if err != nil {
		return "", fmt.Errorf("look at image %s: %w", s.Image, err)
	}
	once := *s
	once.Command, once.Restart, once.Health, once.Ports = o.Command, "no", &spec.Health{Test: []string{"NONE"}}, nil
	drawing := draw(&once, site{labels: onceLabels(o, image.ID)})
	id, err := t.askForContainer(ctx, &once, s.Container, drawing)
	if cerrdefs.IsConflict(err) {
		return "", t.hasTheName(ctx, s.Container)
	}
	if err != nil {
		return "", fmt.Errorf("make %s: %w", s.Container, err)
	}
	if err := t.furnish(ctx, &once, id, drawing); err != nil {
		return "", errors.Join(fmt.Errorf("make %s: %w", s.Container, err), t.discard(ctx, id))
	}
	return id, nil
}

func onceLabels(o Once, imageID string) map[string]string {
	return map[string]string{
		composeProject: o.Project, composeService: o.Service.Name, composeNumber: "1", composeOneOff: "True",
		composeHash: hashValue, composeVersion: hashValue, composeImage: imageID,
		labelProject: o.Project, labelMadeFrom: madeFrom(), labelMadeBy: o.Owner, labelActsOn: o.About,
		labelOver: strconv.Itoa(int((o.Lasts + onceSpare).Seconds())),
	}
}

// madeFrom names this machine.
func madeFrom() string {
	name, _ := os.Hostname() // a machine without a name is like any other without one
	return name
}

// endOnce stops a container if it runs, takes down how it ended, and removes it with the volumes
// that nobody named.
func (t *Target) endOnce(ctx context.Context, id string, e *Ending) error {
	var faults []error
	if err := t.engine.ContainerStop(ctx, id, container.StopOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
		faults = append(faults, fmt.Errorf("stop it: %w", err))
	}
	if c, err := t.engine.ContainerInspect(ctx, id); err == nil {
		e.Code, e.OOM = c.State.ExitCode, c.State.OOMKilled
	}
	var err error
	if e.Lines, err = t.Logs(ctx, id, onceLines); err != nil {
		e.Lines = []string{err.Error()}
	}
	return errors.Join(append(faults, t.removeOnce(ctx, id))...)
}

func (t *Target) removeOnce(ctx context.Context, id string) error {
	err := t.engine.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove it: %w", err)
}
