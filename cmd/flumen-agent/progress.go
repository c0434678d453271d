package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// newProgress shows people how a run comes along: on a terminal as lines that change
// in place, elsewhere as lines that are added. width is asked for at every redraw.
// Nothing is written after close has returned.
func newProgress(w io.Writer, terminal bool, width func() int, paint plan.Paint) (listen reconciler.Listener, close func()) {
	if !terminal {
		p := &plainProgress{w: w, said: map[saying]time.Time{}}
		return p.listen, func() {}
	}
	p := startLive(w, width, paint)
	return p.listen, p.close
}

// stageTitle is what people call a stage of the plan.
func stageTitle(stage string) string {
	switch stage {
	case plan.StageImages:
		return "images"
	case plan.StagePrepare:
		return "made ready ahead"
	case plan.StageRemove:
		return "removed last"
	}
	return "tier " + stage
}

// doing says what a verb is doing.
func doing(v plan.Verb) string {
	switch v {
	case plan.VerbCreate, plan.VerbUpdate, plan.VerbReplace, plan.VerbRemove:
		return strings.TrimSuffix(string(v), "e") + "ing"
	}
	return string(v) + "ing"
}

// ended says what came of a step that went well.
func ended(c plan.Change) string {
	switch verb := c.Verb(); verb {
	case plan.VerbPull:
		return "pulled"
	case plan.VerbBuild:
		return "built"
	case plan.VerbRemove:
		return "removed"
	case plan.VerbCreate, plan.VerbUpdate, plan.VerbReplace:
		if c.Ref().Kind != spec.KindService {
			return string(verb) + "d"
		}
	}
	if isJob(c) {
		return "done"
	}
	return "ready"
}

func isJob(c plan.Change) bool {
	var want spec.Resource
	switch c := c.(type) {
	case plan.Create:
		want = c.Want
	case plan.Update:
		want = c.Want
	case plan.Replace:
		want = c.Want
	case plan.Start:
		want = c.Want
	case plan.Restart:
		want = c.Want
	case plan.Wait:
		want = c.Want
	}
	service, ok := want.(*spec.Service)
	return ok && service.Job
}

// manyBytes tells bytes from steps where the verb does not: no build has so many steps.
const manyBytes = 10_000

// countsBytes tells whether an event counts bytes; otherwise it counts steps.
func countsBytes(e reconciler.Event) bool {
	return e.Step.Change.Verb() == plan.VerbPull || max(e.Done, e.Total) >= manyBytes
}

// amount writes how much of something is done, " 34.1 MB / 120 MB", or which step of it
// is being done, " step 3/9"; "" if it is not counted.
func amount(e reconciler.Event) string {
	switch {
	case e.Done == 0 && e.Total == 0:
		return ""
	case countsBytes(e) && e.Total == 0:
		return " " + size(e.Done)
	case countsBytes(e):
		return " " + size(e.Done) + " / " + size(e.Total)
	case e.Total == 0:
		return fmt.Sprintf(" step %d", e.Done+1)
	default:
		return fmt.Sprintf(" step %d/%d", min(e.Done+1, e.Total), e.Total)
	}
}

// activity splits what a step is doing into what there is always room for, with the
// amount, and the rest: "building step 3/9" and ": RUN make".
func activity(e reconciler.Event) (what, detail string) {
	what, detail, found := strings.Cut(oneLine(e.What), ": ")
	if found {
		detail = ": " + detail
	}
	return what + amount(e), detail
}

// size writes a number of bytes with three digits, as registries count them.
func size(n int64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	digits := 0
	if unit > 0 && value < 99.95 {
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, value, units[unit])
}

// endLine is the end of a step in words.
func endLine(e reconciler.Event) string {
	switch e.Kind {
	case reconciler.StepDone:
		return ended(e.Step.Change) + " in " + report.Duration(e.Took)
	case reconciler.StepSkipped:
		return "skipped: " + oneLine(e.Err.Error())
	default:
		return "failed after " + report.Duration(e.Took) + ": " + oneLine(e.Err.Error())
	}
}

// escapes are what programs colour their logs with.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)`)

// oneLine makes a text of others safe to put in a line of ours: a log must not move
// the cursor or ring the bell.
func oneLine(text string) string {
	text = escapes.ReplaceAllString(strings.TrimRight(text, "\r\n"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, text)
}
