package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// redrawEvery is how often the lines that change are drawn anew.
	redrawEvery = 100 * time.Millisecond
	// mostRows is how many steps are shown at once. What changes must fit on the
	// screen, for the cursor cannot go up further; the smallest usual one has 24 lines.
	mostRows = 16
)

// liveProgress keeps one line for each step of the stage that runs, under those of the
// stages before it. The lines of the stage are redrawn in place; those above are
// written once.
type liveProgress struct {
	w     io.Writer
	width func() int
	paint plan.Paint

	stop    chan struct{}
	stopped sync.WaitGroup

	mu    sync.Mutex // guards what follows
	above []line     // to be written once, above the rest
	stage string
	rows  []*row
	next  []string // the stages that have not begun
	frame string   // what was drawn last
	drawn int      // and how many lines of it are drawn anew
}

// row is a step on the screen.
type row struct {
	ref    spec.Ref
	look   look
	text   string
	detail string
	since  time.Time // when it began to do what text and detail say; zero if that is over
}

// look is how a line is marked. The order is that of what is most worth a line.
type look int

const (
	lookFailed look = iota
	lookRunning
	lookSkipped
	lookDone
	lookNone
)

func (l look) mark() (mark, colour string) {
	switch l {
	case lookFailed:
		return "✗", plan.Red
	case lookRunning:
		return "•", plan.Blue
	case lookSkipped:
		return "-", plan.Dim
	case lookDone:
		return "✓", plan.Green
	default:
		return " ", plan.Dim
	}
}

// line is one line before it is cut to the width of the screen and coloured.
type line struct {
	indent int
	look   look
	text   string
}

func startLive(w io.Writer, width func() int, paint plan.Paint) *liveProgress {
	p := &liveProgress{w: w, width: width, paint: paint, stop: make(chan struct{})}
	p.stopped.Go(p.redraw)
	return p
}

func (p *liveProgress) redraw() {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.mu.Lock()
			p.draw(now)
			p.mu.Unlock()
		}
	}
}

// close draws the last state for good.
func (p *liveProgress) close() {
	close(p.stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = nil
	p.settle()
	p.draw(time.Now())
}

func (p *liveProgress) listen(e reconciler.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case reconciler.Planned:
		p.next = nil
		for _, stage := range e.Plan.Stages {
			p.next = append(p.next, stage.Tier)
		}
	case reconciler.StageBegan:
		p.enter(e.Stage)
	case reconciler.StageReady:
		p.above = append(p.above, line{0, lookDone, stageTitle(e.Stage) + ": " + stageEnd(e)})
		p.stage, p.rows = "", nil
	default:
		p.step(e)
	}
}

// enter begins another stage, and leaves the one before on the screen as it stands.
func (p *liveProgress) enter(stage string) {
	p.settle()
	p.stage = stage
	p.next = slices.DeleteFunc(p.next, func(s string) bool { return s == stage })
}

// settle moves the stage to the lines that are written once.
func (p *liveProgress) settle() {
	p.above = append(p.above, p.stageLines(time.Time{})...)
	p.stage, p.rows = "", nil
}

// step notes what happened to a step.
func (p *liveProgress) step(e reconciler.Event) {
	if e.Stage != p.stage { // a stage whose steps are all skipped never begins
		p.enter(e.Stage)
	}
	r := p.row(e.Step.Change.Ref())
	switch e.Kind {
	case reconciler.StepBegan:
		*r = row{ref: r.ref, look: lookRunning, text: doing(e.Step.Change.Verb()), since: e.At}
	case reconciler.StepDoing:
		r.do(e)
	case reconciler.StepDone:
		*r = row{ref: r.ref, look: lookDone, text: endLine(e)}
	case reconciler.StepFailed:
		*r = row{ref: r.ref, look: lookFailed, text: endLine(e)}
	case reconciler.StepSkipped:
		*r = row{ref: r.ref, look: lookSkipped, text: endLine(e)}
	}
}

// row finds the row of a step, or adds one.
func (p *liveProgress) row(ref spec.Ref) *row {
	for _, r := range p.rows {
		if r.ref == ref {
			return r
		}
	}
	r := &row{ref: ref, look: lookRunning}
	p.rows = append(p.rows, r)
	return r
}

// do shows what a step is doing: with the bytes that are done, or else for how long.
func (r *row) do(e reconciler.Event) {
	what, detail := activity(e)
	switch {
	case countsBytes(e) && amount(e) != "":
		r.since = time.Time{}
	case r.text != what || r.detail != detail:
		r.since = e.At
	}
	r.text, r.detail = what, detail
}

// draw writes what has changed. It is one write, so that nobody sees half of it, and
// the cursor is never left hidden, whenever the program is killed.
func (p *liveProgress) draw(now time.Time) {
	region := p.stageLines(now)
	if len(p.next) > 0 {
		region = append(region, line{0, lookNone, "then " + p.then()})
	}
	frame := p.text(region)
	if frame == p.frame && len(p.above) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString("\x1b[?25l")
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	b.WriteString("\r" + p.text(p.above) + frame + "\x1b[J\x1b[?25h")
	// That the terminal is gone is no reason to stop a run.
	_, _ = io.WriteString(p.w, b.String())
	if held, ok := p.w.(interface{ Flush() error }); ok {
		_ = held.Flush()
	}
	p.above, p.frame, p.drawn = nil, frame, len(region)
}

// then names the stages to come.
func (p *liveProgress) then() string {
	titles := make([]string, len(p.next))
	for i, stage := range p.next {
		titles[i] = stageTitle(stage)
	}
	return strings.Join(titles, ", ")
}

// stageLines are the title and the rows of the stage.
func (p *liveProgress) stageLines(now time.Time) []line {
	if p.stage == "" {
		return nil
	}
	lines := []line{{0, p.stageLook(), stageTitle(p.stage)}}
	rows := mostTelling(p.rows)
	width := 0
	for _, r := range rows {
		width = max(width, runewidth.StringWidth(r.ref.String()))
	}
	for _, r := range rows {
		lines = append(lines, line{2, r.look, runewidth.FillRight(r.ref.String(), width) + "  " + r.text + r.elapsed(now) + r.detail})
	}
	if more := len(p.rows) - len(rows); more > 0 {
		lines = append(lines, line{2, lookNone, fmt.Sprintf("and %d more", more)})
	}
	return lines
}

// stageLook marks a stage as its worst row is.
func (p *liveProgress) stageLook() look {
	worst := lookDone
	for _, r := range p.rows {
		worst = min(worst, r.look)
	}
	if worst == lookDone { // so far: it is not ready yet
		return lookRunning
	}
	return worst
}

// mostTelling picks the rows to show where there are too many, in their order.
func mostTelling(rows []*row) []*row {
	if len(rows) <= mostRows {
		return rows
	}
	ranked := slices.Clone(rows)
	slices.SortStableFunc(ranked, func(a, b *row) int { return cmp.Compare(a.look, b.look) })
	shown := ranked[:mostRows]
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !slices.Contains(shown, r) })
}

// elapsed is how long a row has been at it, once that is worth saying.
func (r *row) elapsed(now time.Time) string {
	if took := now.Sub(r.since).Truncate(time.Second); !r.since.IsZero() && took > 0 {
		return " " + took.String()
	}
	return ""
}

// text cuts lines to the screen, after masking: half a secret would not be recognised.
func (p *liveProgress) text(lines []line) string {
	columns := p.width() - 1 // the last one makes some terminals begin a new line
	var b strings.Builder
	for _, l := range lines {
		mark, colour := l.look.mark()
		text := l.text
		if m, ok := p.w.(interface{ Mask(string) string }); ok {
			text = m.Mask(text)
		}
		text = runewidth.Truncate(text, max(columns-l.indent-2, 0), "…")
		b.WriteString(strings.Repeat(" ", l.indent) + p.paint.On(colour, mark) + " " + text + "\x1b[K\n")
	}
	return b.String()
}

// stageEnd says how a stage came to its end.
func stageEnd(e reconciler.Event) string { return "ready in " + report.Duration(e.Took) }
