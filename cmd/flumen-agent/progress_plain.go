package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// plainEvery is how often a pipe is told that more bytes have come: enough to see
// that it goes on, too seldom to bury the rest.
const plainEvery = 10 * time.Second

// plainProgress writes one line for each event that says something new.
type plainProgress struct {
	mu   sync.Mutex
	w    io.Writer
	said map[saying]time.Time
}

// saying is what was said of a step.
type saying struct {
	ref  spec.Ref
	what string
}

func (p *plainProgress) listen(e reconciler.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case reconciler.Planned:
		p.line(e, "plan: "+e.Plan.Summary())
	case reconciler.StageBegan:
		p.line(e, stageTitle(e.Stage))
	case reconciler.StageReady:
		p.line(e, stageTitle(e.Stage)+": "+stageEnd(e))
	case reconciler.StepBegan:
		p.begin(e)
	case reconciler.StepDoing:
		p.doing(e)
	case reconciler.StepDone, reconciler.StepSkipped:
		p.stepLine(e, endLine(e))
	case reconciler.StepFailed:
		p.stepLine(e, endLine(e))
		p.log(e.Err)
	case reconciler.StepReached:
		// The end of the step follows, and says it.
	}
}

func (p *plainProgress) begin(e reconciler.Event) {
	ref, what := e.Step.Change.Ref(), doing(e.Step.Change.Verb())
	for s := range p.said {
		if s.ref == ref {
			delete(p.said, s)
		}
	}
	p.said[saying{ref, what}] = e.At
	p.stepLine(e, what+" ("+oneLine(e.Step.Reason())+")")
}

func (p *plainProgress) doing(e reconciler.Event) {
	s := saying{e.Step.Change.Ref(), e.What}
	last, before := p.said[s]
	if before && (amount(e) == "" || e.At.Sub(last) < plainEvery) {
		return
	}
	p.said[s] = e.At
	what, detail := activity(e)
	p.stepLine(e, what+detail)
}

// log writes the last lines of a container that did not become ready.
func (p *plainProgress) log(err error) {
	var failure *plan.Failure
	if !errors.As(err, &failure) {
		return
	}
	for _, line := range failure.Log {
		_, _ = fmt.Fprintf(p.w, "             | %s\n", oneLine(line))
	}
}

func (p *plainProgress) stepLine(e reconciler.Event, text string) {
	p.line(e, "  "+e.Step.Change.Ref().String()+": "+text)
}

// line writes one line. Like all writing here it may fail: that nobody reads on is no
// reason to stop a run.
func (p *plainProgress) line(e reconciler.Event, text string) {
	_, _ = fmt.Fprintln(p.w, e.At.Format(time.TimeOnly), text)
}
