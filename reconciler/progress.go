package reconciler

import (
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Event is something that happened during a run, for whoever shows it.
type Event struct {
	At   time.Time
	Kind EventKind
	// Stage is the tier, or one of the plan's other stages.
	Stage string
	// Step is set for the kinds that speak of a step.
	Step *plan.Step
	// Phase is what the step has reached (StepReached).
	Phase spec.Phase
	// What is being done, and how much of it (StepDoing). Total is 0 if not known.
	What        string
	Done, Total int64
	// Err is why the step failed, or was skipped (StepFailed, StepSkipped).
	Err error
	// Took is how long it took (the kinds that end something).
	Took time.Duration
	// Plan is what is about to be executed (Planned).
	Plan *plan.Plan
}

// EventKind says what an Event is about.
type EventKind string

// The kinds, in the order in which a run gives them.
const (
	Planned     EventKind = "planned"
	StageBegan  EventKind = "stage began"
	StepBegan   EventKind = "step began"
	StepReached EventKind = "step reached"
	StepDoing   EventKind = "step doing"
	StepLeft    EventKind = "step left" // What stays, and nothing uses it any more
	StepDone    EventKind = "step done"
	StepFailed  EventKind = "step failed"
	StepSkipped EventKind = "step skipped"
	StageReady  EventKind = "stage ready"
)

// Listener is told every Event, from one goroutine at a time. It must not block for
// long: the run waits for it.
type Listener func(Event)
