package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	failureLines = 20               // of the log, in a report
	undoTime     = 2 * time.Minute  // for going back, whatever has become of the caller's context
	logTime      = 10 * time.Second // a stuck log must not keep the old container down
)

// handover is a replacement under way, seen from the old container, which is kept until
// the new one is ready.
//
//	X        X.prev   X.prev   (removed)
//	X.next   X.next   X        X
//	made     old one  new one  ready
//	         stopped  started
//
// It can be read back from the engine at any point: the new container's labels hold the
// ID of the old one and its restart policy.
type handover struct {
	id        string
	name      string // what it is called when it is nobody's predecessor
	policy    container.RestartPolicy
	ran       bool // it is to be started again if the new one fails
	filesBack bool // what it mounts is as it had it, set when it was started again
	container container.InspectResponse
}

// newHandover takes a container for the old half of a replacement. What the spec wants to
// run is to run again, whether or not it does at the moment: a run that was broken off
// may have stopped it.
func newHandover(c container.InspectResponse, want spec.Desired) *handover {
	_, known := want.Find(refOf(c.Config.Labels)).(*spec.Service)
	return &handover{
		id: c.ID, name: strings.TrimSuffix(nameOfContainer(c), prevSuffix), policy: c.HostConfig.RestartPolicy,
		ran: runs(c) || known && !endedWell(c, want), container: c,
	}
}

func runs(c container.InspectResponse) bool { return c.State.Running || c.State.Restarting }

// predecessor reads back the handover that a container is the new half of, if the old
// half is still there.
func (t *Target) predecessor(ctx context.Context, c container.InspectResponse) (*handover, error) {
	id := c.Config.Labels[labelReplaces]
	if id == "" {
		return nil, nil
	}
	old, err := t.engine.ContainerInspect(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the container before it: %w", err)
	}
	if !strings.HasSuffix(old.Name, prevSuffix) {
		return nil, nil
	}
	h := newHandover(old, t.recall().want)
	h.stoppedFor(c, t.recall().want)
	return h, nil
}

// stoppedFor takes from a new half what the old one was before it was stopped for it. A
// job that had ended was not stopped.
func (h *handover) stoppedFor(next container.InspectResponse, want spec.Desired) {
	h.policy = drawRestart(next.Config.Labels[labelRestart])
	h.ran = !endedWell(h.container, want)
}

func endedWell(c container.InspectResponse, want spec.Desired) bool {
	s, ok := want.Find(refOf(c.Config.Labels)).(*spec.Service)
	return ok && s.Job && !runs(c) && c.State.ExitCode == 0
}

// replace makes a container anew. Whatever fails before the new one is ready, the old
// one is there to go back to.
func (t *Target) replace(ctx context.Context, s *spec.Service, have drift.Found, p plan.Progress) error {
	c, err := t.engine.ContainerInspect(ctx, have.ID)
	if err != nil {
		return stale(err)
	}
	p.Doing("creating", 0, 0)
	old, err := t.lastReady(ctx, s, c, p)
	if err != nil {
		return err
	}
	if err := t.clear(ctx, s, old, p); err != nil {
		return err
	}
	id, err := t.make(ctx, s, s.Container+nextSuffix, old)
	if err != nil {
		return t.resume(ctx, s, c, old, err)
	}
	defer t.acts.hold(id)()
	defer t.acts.hold(old.id)()
	p.Reached(spec.Created)
	if err := ctx.Err(); err != nil {
		return errors.Join(err, t.discard(ctx, id)) // nothing was stopped yet
	}
	err = t.swap(context.WithoutCancel(ctx), s, c, old, id, p)
	if err == nil {
		err = t.bringUp(ctx, s, id, p)
	}
	return t.conclude(ctx, s, id, old, err, p)
}

// lastReady tells which container to go back to if the new one fails: the one that is to
// be replaced, or the one before it if that one never became ready.
func (t *Target) lastReady(ctx context.Context, s *spec.Service, c container.InspectResponse, p plan.Progress) (*handover, error) {
	before, err := t.predecessor(ctx, c)
	if err != nil {
		return nil, err
	}
	if before == nil {
		old := newHandover(c, t.recall().want)
		if strings.HasSuffix(c.Name, prevSuffix) {
			// Stopped by a run that was broken off, which took its policy away too.
			old.policy, old.ran = drawRestart(s.Restart), !endedWell(c, t.recall().want)
		}
		return old, nil
	}
	engine, err := t.engineFacts(ctx)
	if err != nil {
		return nil, err
	}
	switch state, _ := judge(c, s, time.Now().Add(engine.ahead)); state {
	case drift.Running, drift.Healthy, drift.Done:
		if err := t.removeContainer(ctx, before.id, p); err != nil {
			return nil, fmt.Errorf("remove %s%s: %w", before.name, prevSuffix, err)
		}
		return newHandover(c, t.recall().want), nil
	}
	return before, nil
}

// resume starts the old container if a run that was broken off had stopped it, since a
// new one cannot be made.
func (t *Target) resume(ctx context.Context, s *spec.Service, c container.InspectResponse, old *handover, cause error) error {
	if c.ID != old.id || runs(old.container) || !old.ran {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if err := t.revive(ctx, s, old); err != nil {
		return fmt.Errorf("%w; starting the container before it: %w", cause, err)
	}
	return fmt.Errorf("%w; the container before it was started", cause)
}

// swap stops what runs and puts the new container in its place, not started yet. c is
// what is there now: the old container of the handover, or one that never became ready
// and goes.
func (t *Target) swap(ctx context.Context, s *spec.Service, c container.InspectResponse, old *handover, id string, p plan.Progress) error {
	p.Doing("stopping the container before it", 0, 0)
	// An engine that restarts now must not start two databases on one volume.
	if !old.policy.IsNone() {
		if err := t.setPolicy(ctx, old.id, container.RestartPolicy{Name: container.RestartPolicyDisabled}); err != nil {
			return err
		}
	}
	if c.ID != old.id {
		if err := t.removeContainer(ctx, c.ID, p); err != nil {
			return fmt.Errorf("remove the container that never became ready: %w", err)
		}
	}
	err := t.engine.ContainerStop(ctx, old.id, container.StopOptions{})
	t.acts.acted(old.id)
	if err != nil {
		return fmt.Errorf("stop: %w", stale(err))
	}
	if !strings.HasSuffix(old.container.Name, prevSuffix) {
		if err := t.removeLeftover(ctx, old.name+prevSuffix, p); err != nil {
			return err
		}
		if err := t.rename(ctx, old.id, old.name+prevSuffix); err != nil {
			return err
		}
	}
	return t.rename(ctx, id, s.Container)
}

func (t *Target) setPolicy(ctx context.Context, id string, policy container.RestartPolicy) error {
	_, err := t.engine.ContainerUpdate(ctx, id, container.UpdateConfig{RestartPolicy: policy})
	t.acts.acted(id)
	if err != nil {
		return fmt.Errorf("set the restart policy: %w", stale(err))
	}
	return nil
}

// clear sees to it, before anything is stopped, that the names which a replacement needs
// can be had.
func (t *Target) clear(ctx context.Context, s *spec.Service, old *handover, p plan.Progress) error {
	if !strings.HasSuffix(old.container.Name, prevSuffix) {
		if _, err := t.leftover(ctx, old.name+prevSuffix); err != nil {
			return err
		}
	}
	next, err := t.leftover(ctx, s.Container+nextSuffix)
	if err != nil {
		return err
	}
	if next != nil && next.Config.Labels[labelReplaces] == old.id {
		old.stoppedFor(*next, t.recall().want)
		// What goes now is the only memory of it.
		if err := t.setPolicy(ctx, old.id, old.policy); err != nil {
			return err
		}
	}
	return t.removeLeftover(ctx, s.Container+nextSuffix, p)
}

// leftover gives what an earlier replacement left under a name, or nil. It refuses what
// is not the project's, and a name that a service has for its own.
func (t *Target) leftover(ctx context.Context, name string) (*container.InspectResponse, error) {
	want := t.recall().want
	for ref, wanted := range containerNames(want) {
		if wanted == name {
			return nil, fmt.Errorf("the name %s is needed for a while, and %s has it: give that another container_name", name, ref)
		}
	}
	c, err := t.engine.ContainerInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	if nameOfContainer(c) != name {
		return nil, nil // found by its ID
	}
	if !belongs(c.Config.Labels, want.Project) {
		return nil, fmt.Errorf("container %s (%s), which is not the project's, has a name that is needed: rename or remove it", name, short(c.ID))
	}
	return &c, nil
}

// removeLeftover removes what an earlier replacement left under a name.
func (t *Target) removeLeftover(ctx context.Context, name string, p plan.Progress) error {
	c, err := t.leftover(ctx, name)
	if c == nil || err != nil {
		return err
	}
	if err := t.removeContainer(ctx, c.ID, p); err != nil {
		return fmt.Errorf("remove the leftover %s: %w", name, err)
	}
	return nil
}

// conclude ends what was begun with the container of a service: if it is ready the old
// one goes, if it failed the old one comes back. If it was broken off, or the engine is
// gone, everything is left for the next run to go on with.
func (t *Target) conclude(ctx context.Context, s *spec.Service, id string, old *handover, err error, p plan.Progress) error {
	switch {
	case err == nil && old == nil:
		return nil
	case err == nil:
		if err := t.removeContainer(ctx, old.id, p); err != nil {
			return fmt.Errorf("remove the container before it: %w", err)
		}
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, plan.ErrStale), client.IsErrConnectionFailed(err):
		return err
	}
	failure := (*plan.Failure)(nil)
	if !errors.As(err, &failure) {
		gone := (*treeGone)(nil)
		failure = &plan.Failure{Ref: s.Ref(), Reason: err.Error(), CalledOff: errors.As(err, &gone)}
	}
	failure.Log = t.lastWords(ctx, id)
	if old != nil {
		t.goBack(ctx, s, id, old, failure, p)
	}
	return failure
}

// lastWords gives the last lines of a container's log, or nothing if they are not to be
// had: the failure they belong to matters more.
func (t *Target) lastWords(ctx context.Context, id string) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logTime)
	defer cancel()
	lines, err := t.Logs(ctx, id, failureLines)
	if err != nil {
		return []string{"(no log: " + err.Error() + ")"}
	}
	return lines
}

// goBack removes the container that failed and starts the old one again, and writes into
// the failure what came of it.
func (t *Target) goBack(ctx context.Context, s *spec.Service, id string, old *handover, failure *plan.Failure, p plan.Progress) {
	if s.NoRollback && t.everRan(ctx, id) {
		failure.Kept = fmt.Sprintf("the container before it is kept, stopped, as %s%s and not started again, since its data may have been migrated (x-flumen.rollback: none)", old.name, prevSuffix)
		return
	}
	if err := t.undo(ctx, s, id, old, p); err != nil {
		failure.Kept, failure.CalledOff = "going back to the container before it did not work: "+err.Error(), false
		return
	}
	failure.FilesBack = old.filesBack
	if failure.RolledBack = old.ran; !old.ran {
		failure.Kept = "the container before it is back, and does not run as it did not before"
	}
}

// everRan tells whether a container may have done something to its data: where that
// cannot be told it may.
func (t *Target) everRan(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	c, err := t.engine.ContainerInspect(ctx, id)
	return err != nil || !startedAt(c).IsZero()
}

// undo removes the new container and brings the old one back. The new one may take its
// whole stop grace, since it may have data to write; the clock runs from then on.
func (t *Target) undo(ctx context.Context, s *spec.Service, id string, old *handover, p plan.Progress) error {
	if err := t.removeContainer(ctx, id, p); err != nil {
		if discardErr := t.discard(ctx, id); discardErr != nil {
			return fmt.Errorf("remove the new one: %w", errors.Join(err, discardErr))
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return t.revive(ctx, s, old)
}

// revive gives a container back the name and the restart policy it had, and starts it if
// it is to run. s is what the service is to be by now.
func (t *Target) revive(ctx context.Context, s *spec.Service, old *handover) error {
	c, err := t.engine.ContainerInspect(ctx, old.id)
	if err != nil {
		return fmt.Errorf("look at it: %w", err)
	}
	if nameOfContainer(c) != old.name {
		if err := t.rename(ctx, old.id, old.name); err != nil {
			return err
		}
	}
	if err := t.setPolicy(ctx, old.id, old.policy); err != nil {
		return err
	}
	if !old.ran {
		return nil
	}
	if err := t.reattach(ctx, c); err != nil {
		return err
	}
	old.filesBack, err = t.startOld(ctx, c, s)
	return err
}
