package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// execution carries out one plan. It decides nothing: order, prerequisites and
// reasons are the plan's.
type execution struct {
	target   func(spec.Kind) Target
	listen   Listener
	now      func() time.Time
	slots    slots                    // bound how many acts go on at once
	timeouts map[string]time.Duration // by stage; none: no limit
}

// run carries out the stages in order and reports each step, in the plan's order.
// After a stage with a failure the later ones are skipped.
func (e *execution) run(ctx context.Context, p plan.Plan) []report.Step {
	var steps []report.Step
	failed := ""
	for _, stage := range p.Stages {
		if failed != "" {
			steps = append(steps, e.skip(stage, fmt.Errorf("%s did not become ready", failed))...)
			continue
		}
		results := e.stage(ctx, stage)
		for _, r := range results {
			if r.Outcome != report.Done {
				failed = stageName(stage.Tier)
			}
		}
		steps = append(steps, results...)
	}
	return steps
}

func stageName(stage string) string {
	switch stage {
	case plan.StageImages, plan.StagePrepare, plan.StageRemove:
		return "stage " + stage
	}
	return "tier " + stage
}

func (e *execution) skip(stage plan.Stage, why error) []report.Step {
	var steps []report.Step
	for i := range stage.Steps {
		step := &stage.Steps[i]
		e.emit(Event{Kind: StepSkipped, Stage: stage.Tier, Step: step, Err: why})
		steps = append(steps, skipped(stage.Tier, step, why))
	}
	return steps
}

// stage runs the steps of one stage side by side, each as soon as what it waits for
// has come far enough.
func (e *execution) stage(ctx context.Context, stage plan.Stage) []report.Step {
	if limit := e.timeouts[stage.Tier]; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("tier %s was not ready within its timeout of %s", stage.Tier, limit))
		defer cancel()
	}
	began := e.now()
	e.emit(Event{Kind: StageBegan, Stage: stage.Tier})
	runs := map[int]*stepRun{}
	for i := range stage.Steps {
		step := &stage.Steps[i]
		runs[step.ID] = newStepRun(e, stage.Tier, step)
	}
	var all sync.WaitGroup
	for _, run := range runs {
		all.Go(func() { run.do(ctx, runs) })
	}
	all.Wait()
	return e.collect(stage, runs, began)
}

func (e *execution) collect(stage plan.Stage, runs map[int]*stepRun, began time.Time) []report.Step {
	var steps []report.Step
	ready := true
	for _, step := range stage.Steps {
		one := runs[step.ID].result
		ready = ready && one.Outcome == report.Done
		steps = append(steps, one)
	}
	if ready {
		e.emit(Event{Kind: StageReady, Stage: stage.Tier, Took: e.now().Sub(began)})
	}
	return steps
}

func (e *execution) emit(event Event) {
	event.At = e.now()
	if e.listen != nil {
		e.listen(event)
	}
}

// stepRun is one step on its way. It is the Progress its target reports to.
type stepRun struct {
	execution *execution
	stage     string
	step      *plan.Step
	phases    [spec.Done + 1]chan struct{} // closed when the phase is reached
	ended     chan struct{}                // closed when the step is over, well or not
	result    report.Step                  // set before ended is closed
	waited    *report.Waited               // what came last of that which its turn waited for

	mu      sync.Mutex
	reached spec.Phase
	at      [spec.Done + 1]time.Time // when a phase was reached; set before its channel is closed
	left    []string
	release func() // gives the slot back; nil when it has been
}

func newStepRun(e *execution, stage string, step *plan.Step) *stepRun {
	run := &stepRun{execution: e, stage: stage, step: step, ended: make(chan struct{})}
	for p := range run.phases {
		run.phases[p] = make(chan struct{})
	}
	return run
}

// do waits for its turn, applies the change, and says how it went.
func (r *stepRun) do(ctx context.Context, others map[int]*stepRun) {
	defer close(r.ended)
	if err := r.awaitTurn(ctx, others); err != nil {
		r.execution.emit(Event{Kind: StepSkipped, Stage: r.stage, Step: r.step, Err: err})
		r.result = skipped(r.stage, r.step, err)
		return
	}
	defer r.freeSlot()
	began := r.execution.now()
	r.execution.emit(Event{Kind: StepBegan, Stage: r.stage, Step: r.step})
	err := r.execution.target(r.step.Change.Ref().Kind).Apply(ctx, r.step.Change, r)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx)
	}
	took := r.execution.now().Sub(began)
	r.result = result(r.stage, r.step, err, took)
	r.result.Began, r.result.Waited = began, r.waited
	r.mu.Lock()
	r.result.Left = r.left
	r.mu.Unlock()
	if err != nil {
		r.execution.emit(Event{Kind: StepFailed, Stage: r.stage, Step: r.step, Err: err, Took: took})
		return
	}
	r.Reached(spec.Done)
	r.execution.emit(Event{Kind: StepDone, Stage: r.stage, Step: r.step, Took: took})
}

// awaitTurn returns when all prerequisites have come far enough and a slot is free.
func (r *stepRun) awaitTurn(ctx context.Context, others map[int]*stepRun) error {
	for _, dep := range r.step.After {
		other := others[dep.Step]
		select {
		case <-other.phases[dep.Until]:
		case <-other.ended:
			if other.result.Outcome != report.Done {
				return fmt.Errorf("%s did not become %s", other.step.Change.Ref(), dep.Until)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.waitedFor(other, dep.Until)
	}
	change := r.step.Change
	slots := r.execution.slots.of(r.execution.target(change.Ref().Kind), change)
	select {
	case slots <- struct{}{}:
		r.release = func() { <-slots }
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitedFor takes note of a prerequisite that has come far enough.
func (r *stepRun) waitedFor(other *stepRun, until spec.Phase) {
	other.mu.Lock()
	at := other.at[until]
	other.mu.Unlock()
	if r.waited == nil || at.After(r.waited.At) {
		r.waited = &report.Waited{Ref: other.step.Change.Ref(), Until: until.String(), At: at}
	}
}

// freeSlot lets another step begin. It is called when the act itself is over: a
// service that is only waited for does not keep others from being started.
func (r *stepRun) freeSlot() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

// Reached implements plan.Progress.
func (r *stepRun) Reached(phase spec.Phase) {
	now := r.execution.now()
	r.mu.Lock()
	before := r.reached
	for p := before + 1; p <= phase; p++ {
		r.at[p] = now
		close(r.phases[p])
	}
	r.reached = max(before, phase)
	r.mu.Unlock()
	if phase >= spec.Started {
		r.freeSlot()
	}
	if phase > before {
		r.execution.emit(Event{Kind: StepReached, Stage: r.stage, Step: r.step, Phase: phase})
	}
}

// Doing implements plan.Progress.
func (r *stepRun) Doing(what string, done, total int64) {
	r.execution.emit(Event{Kind: StepDoing, Stage: r.stage, Step: r.step, What: what, Done: done, Total: total})
}

// Left implements plan.Progress.
func (r *stepRun) Left(what string) {
	r.mu.Lock()
	r.left = append(r.left, what)
	r.mu.Unlock()
	r.execution.emit(Event{Kind: StepLeft, Stage: r.stage, Step: r.step, What: what})
}

// result is what the report says of a step.
func result(stage string, step *plan.Step, err error, took time.Duration) report.Step {
	r := report.Step{
		Tier: stage, Verb: step.Change.Verb(), Ref: step.Change.Ref(), Reason: step.Reason(),
		Fields: step.Fields, Outcome: report.Done, Took: took,
	}
	if err == nil {
		return r
	}
	r.Outcome, r.Error = report.Failed, err.Error()
	var failure *plan.Failure
	switch {
	case errors.Is(err, plan.ErrStale):
		r.Outcome = report.Stale
	case errors.As(err, &failure):
		r.Log, r.Unready = failure.Log, !failure.CalledOff
		switch {
		case failure.CalledOff:
			r.Outcome = report.CalledOff
		case failure.RolledBack:
			r.Outcome = report.RolledBack
		}
		if failure.RolledBack && !failure.FilesBack {
			r.Error += newContent(step)
		}
	}
	return r
}

// newContent says which changed files a container reads that was brought back: what is
// bind-mounted is the user's and is never turned back.
func newContent(step *plan.Step) string {
	replace, ok := step.Change.(plan.Replace)
	if !ok {
		return ""
	}
	service, ok := replace.Want.(*spec.Service)
	if !ok {
		return ""
	}
	var files []string
	for _, m := range service.Mounts {
		changed := slices.ContainsFunc(step.Fields, func(f drift.Field) bool { return f.Name == "file."+m.Target })
		if m.Type == spec.MountBind && changed {
			files = append(files, m.Source)
		}
	}
	if len(files) == 0 {
		return ""
	}
	return fmt.Sprintf(", with the new content of %s, since mounted files are not turned back", strings.Join(files, ", "))
}

// skipped is what the report says of a step whose turn never came.
func skipped(stage string, step *plan.Step, why error) report.Step {
	r := result(stage, step, why, 0)
	r.Outcome = report.Skipped
	return r
}
