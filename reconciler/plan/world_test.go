package plan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/memory"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// world is an engine with one project, and somebody who executes plans for it: one
// step at a time, in any order that the plan allows.
type world struct {
	t interface {
		Helper()
		Fatalf(format string, args ...any)
	}
	draw   *rapid.T        // what is random in it; nil where next is all there is to choose
	next   func(n int) int // which of n steps is next
	engine *memory.Engine
	target *memory.Target
	log    []string
}

func newWorld(t *rapid.T) *world {
	w := emptyWorld()
	w.t, w.draw = t, t
	w.next = func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "next step") }
	return w
}

// emptyWorld is one where only strangers live.
func emptyWorld() *world {
	engine := memory.New()
	w := &world{engine: engine, target: engine.Target(testProject)}
	engine.AddForeign(spec.KindService, "stranger")
	engine.AddForeign(spec.KindNetwork, "strange-net")
	engine.AddForeign(spec.KindVolume, "strange-data")
	engine.AddForeign(spec.KindBucket, "strange-bucket")
	engine.AddForeign(spec.KindAccess, "store.stranger")
	return w
}

func (w *world) logf(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// fatalf ends the test with everything that happened in this world.
func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n\nhistory:\n%s\n\nengine:\n  %s", fmt.Sprintf(format, args...), strings.Join(w.log, "\n"),
		strings.Join(w.census(anybody), "\n  "))
}

func anybody(string) bool        { return true }
func strangers(of string) bool   { return of != testProject }
func projectOnly(of string) bool { return of == testProject }

func (w *world) census(of func(string) bool) []string { return w.engine.Census(of) }

func (w *world) observe(want spec.Desired) drift.Observed {
	have, err := w.target.Observe(context.Background(), want)
	if err != nil {
		w.fatalf("observe: %v", err)
	}
	return have
}

// plan observes, compares and plans.
func (w *world) plan(want spec.Desired, rules ...plan.Rule) plan.Plan {
	have := w.observe(want)
	return plan.Build(want, have, drift.Compare(want, have), rules...)
}

func text(p plan.Plan) string {
	var b strings.Builder
	p.Text(&b, false)
	return b.String()
}

// run does one run as the reconciler does: images first, then another plan around those
// that could not be had. It tells what failed.
func (w *world) run(want spec.Desired) []error { return w.carryOut(want, w.plan(want)) }

func (w *world) carryOut(want spec.Desired, p plan.Plan) []error {
	var errs []error
	if images, ok := p.Images(); ok {
		errs = w.execute(want, images)
		var rules []plan.Rule
		if len(errs) > 0 {
			rules = []plan.Rule{{Name: "image", Holds: func(s plan.Step) string {
				switch s.Change.(type) {
				case plan.Create, plan.Replace, plan.Remove:
					return "an image could not be had"
				}
				return ""
			}}}
		}
		p = w.plan(want, rules...)
	}
	return append(errs, w.execute(want, p)...)
}

// execute carries out a plan. Which of the steps that may begin is next is the world's choice.
func (w *world) execute(want spec.Desired, p plan.Plan) []error {
	w.logf("%s", text(p))
	for _, stage := range p.Stages {
		if errs := w.stage(want, stage); len(errs) > 0 {
			return errs // later stages are skipped
		}
	}
	return nil
}

func (w *world) stage(want spec.Desired, stage plan.Stage) []error {
	var errs []error
	over := map[int]error{}
	rest := slices.Clone(stage.Steps)
	for len(rest) > 0 {
		var may []int
		for i, s := range rest {
			if !slices.ContainsFunc(s.After, func(d plan.Dep) bool { _, done := over[d.Step]; return !done }) {
				may = append(may, i)
			}
		}
		if len(may) == 0 {
			w.fatalf("stage %s: the steps that are left wait for one another", stage.Tier)
		}
		i := may[w.next(len(may))]
		step := rest[i]
		rest = slices.Delete(rest, i, i+1)
		err := w.step(want, stage, step, over)
		over[step.ID] = err
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

var errSkipped = errors.New("skipped")

func (w *world) step(want spec.Desired, stage plan.Stage, step plan.Step, over map[int]error) error {
	for _, dep := range step.After {
		if over[dep.Step] != nil {
			return errSkipped
		}
	}
	w.mayBegin(want, stage, step)
	err := w.target.Apply(context.Background(), step.Change, progress{})
	w.logf("  did %s %s: %v", step.Change.Verb(), step.Change.Ref(), err)
	return err
}

type progress struct{}

func (progress) Reached(spec.Phase)         {}
func (progress) Doing(string, int64, int64) {}
func (progress) Left(string)                {}

// mayBegin checks that nothing of a tier is made before the tiers below are ready.
func (w *world) mayBegin(want spec.Desired, stage plan.Stage, step plan.Step) {
	switch step.Change.(type) {
	case plan.Create, plan.Replace, plan.Update, plan.Restart:
	default:
		return
	}
	switch stage.Tier {
	case plan.StageImages, plan.StagePrepare, want.Tiers[0].Name:
		return
	}
	d := drift.Compare(want, w.observe(want))
	for _, tier := range want.Tiers {
		if tier.Name == stage.Tier {
			return
		}
		for _, r := range tier.Resources {
			one, differs := d.Of(r.Ref())
			made := r.Ref().Kind.Inside() && one.Verdict == drift.Unseen // by this run, as its steps tell
			if kind := r.Ref().Kind; (kind == spec.KindService || kind.Inside()) && differs && !works(one) && !made {
				w.fatalf("%s %s of tier %s begins while %s of tier %s is %s", step.Change.Verb(), step.Change.Ref(), stage.Tier, r.Ref(), tier.Name, one.Verdict)
			}
		}
	}
}

// works tells whether something that differs does its work all the same.
func works(d drift.Difference) bool {
	if d.Have == nil || !d.Have.Owned {
		return false
	}
	switch d.Have.State {
	case drift.Present, drift.Running, drift.Healthy, drift.Done:
		return true
	}
	return false
}

// settle runs until there is nothing left to do.
func (w *world) settle(want spec.Desired) {
	const most = 5
	for range most {
		w.engine.Settle()
		before := len(w.engine.Calls())
		p := w.plan(want)
		if p.Empty() {
			if after := len(w.engine.Calls()); after != before {
				w.fatalf("looking made %d calls", after-before)
			}
			return
		}
		w.carryOut(want, p)
	}
	w.fatalf("not settled after %d runs; left to do:\n%s", most, text(w.plan(want)))
}
