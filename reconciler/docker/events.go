package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"

	"github.com/flumendata/flumen-agent/spec"
)

// Event says that something of the project changed on the engine, and not by the
// agent's hand. It is a reason to look again and no more.
type Event struct {
	Ref  spec.Ref
	What string // with what happened to it just before: "exited with code 137, then was removed"
	At   time.Time
}

// Events gives those of the project until ctx ends or the engine goes away, which is
// told once on the second channel; then both are closed. Whoever wants more calls again.
func (t *Target) Events(ctx context.Context, project string) (<-chan Event, <-chan error) {
	out, failed := make(chan Event), make(chan error, 1)
	go func() {
		defer close(out)
		defer close(failed)
		if err := t.watch(ctx, project, out); err != nil && ctx.Err() == nil {
			failed <- fmt.Errorf("watch the engine's events: %w", err)
		}
	}()
	return out, failed
}

func (t *Target) watch(ctx context.Context, project string, out chan<- Event) error {
	engine, err := t.engineFacts(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	so := story{}
	messages, errs := t.engine.Events(ctx, events.ListOptions{Filters: eventFilter()})
	// A connection over a network may end without a word.
	if local(t.engine.DaemonHost()) {
		defer t.recent.listen()()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-errs:
			return err
		case m := <-messages:
			t.recent.heard(m)
			event, ok := t.interpret(m, project, engine)
			if !ok && !t.fell(ctx, m, project) && !so.goesOn(event.Ref, m, event.At) {
				continue
			}
			event.What = so.tell(event.Ref, m, event.At)
			select {
			case out <- event:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// eventFilter leaves out the three events that every run of a health check makes.
func eventFilter() filters.Args {
	f := filters.NewArgs()
	for _, kind := range []events.Type{events.ContainerEventType, events.NetworkEventType, events.VolumeEventType} {
		f.Add("type", string(kind))
	}
	for _, action := range []events.Action{
		events.ActionStart, events.ActionDie, events.ActionDestroy, events.ActionPause, events.ActionUnPause,
		events.ActionRename, events.ActionUpdate, events.ActionOOM, events.ActionHealthStatus, events.ActionConnect, events.ActionDisconnect,
	} {
		f.Add("event", string(action))
	}
	return f
}

// interpret tells what an event of the engine is about, and whether that is anything to the
// project. A container's network is about the container, as far as that is known.
func (t *Target) interpret(m events.Message, project string, engine facts) (Event, bool) {
	e := Event{At: heardAt(time.Unix(0, m.TimeNano).Add(-engine.ahead), time.Now())}
	mine := t.acts.mine(m.Actor.ID, e.At)
	switch m.Type {
	case events.ContainerEventType:
		e.Ref = refOf(m.Actor.Attributes)
		return e, !mine && belongs(m.Actor.Attributes, project)
	case events.NetworkEventType:
		last, container := t.recall(), m.Actor.Attributes["container"]
		e.Ref = refOfName[*spec.Network](last.want, m.Actor.Attributes["name"])
		if ref, ok := last.knowledge.refs[container]; ok {
			e.Ref = ref
		}
		// A container that starts or stops connects and disconnects.
		mine = mine || t.acts.mine(container, e.At)
	case events.VolumeEventType:
		e.Ref = refOfName[*spec.Volume](t.recall().want, m.Actor.ID)
	}
	return e, !mine && e.Ref != spec.Ref{}
}

// fell tells whether a container ended right after the agent was done with it, and so
// close to its acts that the event alone looks like one of them: a container that the
// agent stopped is gone by then, or is kept under another name.
func (t *Target) fell(ctx context.Context, m events.Message, project string) bool {
	if m.Action != events.ActionDie || !belongs(m.Actor.Attributes, project) || t.acts.sure(m.Actor.ID) {
		return false
	}
	c, err := t.engine.ContainerInspect(ctx, m.Actor.ID)
	if err != nil || c.State.Running {
		return false
	}
	s, ok := t.recall().want.Find(refOf(m.Actor.Attributes)).(*spec.Service)
	return ok && s.Container == nameOfContainer(c) && !(s.Job && c.State.ExitCode == 0)
}

// refOfName finds what the spec knows under a name of the engine.
func refOfName[R spec.Resource](want spec.Desired, name string) spec.Ref {
	for _, r := range spec.Resources[R](want) {
		if engineName(r) == name {
			return r.Ref()
		}
	}
	return spec.Ref{}
}

func engineName(r spec.Resource) string {
	switch r := r.(type) {
	case *spec.Network:
		return r.Name
	case *spec.Volume:
		return r.Name
	}
	return ""
}
