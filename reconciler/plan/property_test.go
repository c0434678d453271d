package plan_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/memory"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// worlds is how many random worlds each property is tried in: six of the eight inject a
// failure, in 10 200 worlds together. -rapid.checks=N tries N of each; a failure
// prints the -rapid.seed that repeats it.
const worlds = 1700

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	_ = flag.Set("rapid.nofailfile", "true") // the seed is enough
	if !given {
		n := worlds
		if testing.Short() {
			n /= 10
		}
		_ = flag.Set("rapid.checks", fmt.Sprint(n)) // rapid defines it
	}
	os.Exit(m.Run())
}

// story is what happened in a world before the run that counts.
func story(t *rapid.T) (*world, spec.Desired) {
	w := newWorld(t)
	first := genDesired(t, "first")
	w.settle(first)
	w.meddle(true)
	second := genDesired(t, "second")
	w.avoidSquatters(second)
	return w, second
}

// avoidSquatters gives other names to containers that are to be renamed to what a
// foreign one is called by now: no plan can know of that one.
func (w *world) avoidSquatters(want spec.Desired) {
	have := w.observe(want)
	for _, s := range spec.Resources[*spec.Service](want) {
		found := have.Found[s.Ref()]
		if foreign := w.census(strangers); found.Owned && slices.ContainsFunc(foreign, func(line string) bool {
			return strings.Contains(line, " "+s.Container+" ")
		}) {
			s.Container = "not-" + s.Container
		}
	}
}

// meddle does random things by hand. Before the run that counts, squatters take the place of a
// container, and data is removed.
func (w *world) meddle(before bool) {
	for range rapid.IntRange(0, 3).Draw(w.draw, "deeds") {
		w.deed(before)
	}
}

func (w *world) deed(before bool) {
	deeds := []string{"restart engine", "remove network", "remove image", "edit bucket", "edit user"}
	if before {
		deeds = append(deeds, "remove bucket", "remove user")
	}
	var name string
	if names := w.containers(); len(names) > 0 {
		name = rapid.SampledFrom(names).Draw(w.draw, "container")
		deeds = append(deeds, "stop", "kill", "pause", "remove", "edit", "disconnect")
		if before {
			deeds = append(deeds, "squat")
		}
	}
	deed := rapid.SampledFrom(deeds).Draw(w.draw, "deed")
	w.logf("by hand: %s %s", deed, name)
	switch deed {
	case "restart engine":
		w.engine.Restart()
	case "remove network":
		w.engine.RemoveNetwork(testProject + "_" + rapid.SampledFrom(networkNames).Draw(w.draw, "network"))
	case "remove image":
		w.engine.RemoveImage(rapid.SampledFrom(someImages).Draw(w.draw, "image"))
	case "remove bucket":
		w.engine.RemoveBucket(rapid.SampledFrom(bucketNames).Draw(w.draw, "bucket"))
	case "edit bucket":
		w.engine.EditBucket(rapid.SampledFrom(bucketNames).Draw(w.draw, "bucket"), rapid.SampledFrom(bucketFields).Draw(w.draw, "field"), "edited")
	case "edit user":
		w.engine.EditUser("store."+rapid.SampledFrom(userNames).Draw(w.draw, "user"), rapid.SampledFrom(userFields).Draw(w.draw, "field"), "edited")
	case "remove user":
		w.engine.RemoveUser("store." + rapid.SampledFrom(userNames).Draw(w.draw, "user"))
	case "stop":
		w.engine.Stop(name)
	case "kill":
		w.engine.Kill(name)
	case "pause":
		w.engine.Pause(name)
	case "remove":
		w.engine.Remove(name)
	case "edit":
		w.engine.Edit(name, func(s *spec.Service) { s.Environment["X"] = spec.Plain("edited") })
	case "disconnect":
		w.engine.Disconnect(name, testProject+"_default")
	case "squat":
		w.engine.Remove(name)
		w.engine.AddForeign(spec.KindService, name)
	}
}

func isLeftover(name string) bool {
	return strings.HasSuffix(name, ".next") || strings.HasSuffix(name, ".prev")
}

// containers are the names of the project's containers.
func (w *world) containers() []string {
	var names []string
	for _, line := range w.census(projectOnly) {
		if f := strings.Fields(line); f[0] == "container" {
			names = append(names, f[2])
		}
	}
	return names
}

// data are the volumes and buckets of everybody.
func (w *world) data() []string {
	return slices.DeleteFunc(w.census(anybody), func(s string) bool {
		return !strings.HasPrefix(s, "volume ") && !strings.HasPrefix(s, "bucket ")
	})
}

// check tries a property in many worlds.
func check(t *testing.T, property func(*world, spec.Desired)) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, want := story(t)
		foreign, data := w.census(strangers), w.data()
		property(w, want)
		w.keeps("foreign", foreign, w.census(strangers))
		w.keeps("data", data, w.data())
		w.endsWell(want)
	})
}

// keeps checks that all that was there still is, as it was.
func (w *world) keeps(what string, before, after []string) {
	for _, line := range before {
		if !slices.Contains(after, line) {
			w.fatalf("%s touched: %s", what, line)
		}
	}
}

// endsWell checks that what is left to differ is held for a reason, and that nothing is
// left of replacements.
func (w *world) endsWell(want spec.Desired) {
	p := w.plan(want)
	for _, d := range drift.Compare(want, w.observe(want)) {
		if !slices.ContainsFunc(p.Held, func(h plan.Held) bool { return h.Ref == d.Ref }) {
			w.fatalf("%s is %s, and neither planned for nor held", d.Ref, d.Verdict)
		}
	}
	blocked := slices.ContainsFunc(p.Held, func(h plan.Held) bool { return !h.Works })
	for _, name := range w.containers() {
		if !blocked && isLeftover(name) {
			w.fatalf("%s is left behind", name)
		}
	}
}

func TestEqualArgumentsGiveEqualPlans(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w, want := story(t)
		have := w.observe(want)
		p := plan.Build(want, have, drift.Compare(want, have))
		again := drift.Observed{At: have.At, Found: maps.Clone(have.Found), Blind: maps.Clone(have.Blind)}
		q := plan.Build(want, again, drift.Compare(want, again))
		if text(p) != text(q) || p.Fingerprint != q.Fingerprint {
			w.fatalf("different plans:\n%s\n%s", text(p), text(q))
		}
	})
}

func TestSoundRunFailsNowhere(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		if errs := w.run(want); len(errs) > 0 {
			w.fatalf("failed with nothing wrong: %v", errs)
		}
		w.settle(want)
	})
}

func TestRunConvergesAfterACallFailed(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		w.engine.FailCall(rapid.IntRange(1, 40).Draw(w.draw, "call"))
		w.run(want)
		w.engine.Recover()
		w.settle(want)
	})
}

// What the engine has done and could not say is found by the next run.
func TestRunConvergesAfterTheConnectionWasCut(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		w.engine.CutCall(rapid.IntRange(1, 40).Draw(w.draw, "call"))
		w.run(want)
		w.engine.Recover()
		w.runsNothingTwice()
		w.settle(want)
	})
}

// runsNothingTwice checks that no container runs beside the one it is replaced by: two
// databases on one volume are worse than none.
func (w *world) runsNothingTwice() {
	up := map[string]bool{}
	for _, line := range w.census(projectOnly) {
		if f := strings.Fields(line); f[0] == "container" && w.runs(f[1]) {
			up[f[2]] = true
		}
	}
	for name := range up {
		if up[name+".prev"] || up[name+".next"] {
			w.fatalf("%s runs twice after the engine was restarted", name)
		}
	}
}

func TestRunConvergesAfterTheAgentWasKilled(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		w.engine.KillAfter(rapid.IntRange(1, 40).Draw(w.draw, "calls"))
		errs := w.run(want)
		w.engine.Recover()
		if slices.ContainsFunc(errs, func(err error) bool { return errors.Is(err, memory.ErrKilled) }) {
			w.logf("killed")
			w.engine.Restart()
			w.runsNothingTwice()
			w.meddle(false)
		}
		w.settle(want)
	})
}

// TestReconcilerConvergesAfterTheAgentWasKilled is the same with the executor that users
// have, which does several things at once. What it does in which order is not drawn, so
// a failure may not repeat.
func TestReconcilerConvergesAfterTheAgentWasKilled(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		r := reconciler.Reconciler{Targets: []reconciler.Target{w.target}}
		want.Consents = w.consents(want) // however much of it goes
		w.engine.KillAfter(rapid.IntRange(1, 40).Draw(w.draw, "calls"))
		r.Converge(t.Context(), want, reconciler.Options{})
		w.engine.Recover()
		w.logf("plan after it was killed:\n%s", text(w.plan(want)))
		for range 4 {
			w.engine.Settle()
			if rep := r.Converge(t.Context(), want, reconciler.Options{}); len(rep.Steps) == 0 {
				return
			} else if rep.Err() != nil {
				w.logf("%v", rep.Err())
			}
		}
		w.fatalf("not settled; left to do:\n%s", text(w.plan(want)))
	})
}

// consents let everything go that is there.
func (w *world) consents(want spec.Desired) []spec.Consent {
	var all []spec.Consent
	for ref := range w.observe(want).Found {
		name := strings.TrimSuffix(strings.TrimSuffix(ref.Service(), ".next"), ".prev")
		all = append(all, spec.Consent{Remove: spec.InstanceRef(name, 1), Until: time.Now().AddDate(1, 0, 0)})
	}
	return all
}

// TestOneCommitTearsNothingDown: whatever a spec leaves out, a whole project never goes
// with it.
func TestOneCommitTearsNothingDown(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		gone, all := map[string]bool{}, map[string]bool{}
		have := w.observe(want)
		for ref, found := range have.Found {
			if ref.Kind != spec.KindService || !found.Owned || isLeftover(ref.Name) {
				continue
			}
			all[ref.Service()] = true
			if !slices.ContainsFunc(spec.Resources[*spec.Service](want), func(s *spec.Service) bool { return s.Name == ref.Service() }) {
				gone[ref.Service()] = true
			}
		}
		p := plan.Build(want, have, drift.Compare(want, have), plan.KeepFromTeardown(want, have, nil, time.Now()))
		for _, s := range p.Steps() {
			if _, remove := s.Change.(plan.Remove); remove && s.Change.Ref().Kind == spec.KindService && !isLeftover(s.Change.Ref().Name) &&
				gone[s.Change.Ref().Service()] && len(gone) >= 3 && 2*len(gone) > len(all) {
				w.fatalf("%d of %d go, and %s is removed:\n%s", len(gone), len(all), s.Change.Ref(), text(p))
			}
		}
		w.settle(want)
	})
}

func TestWithoutItsImageNothingIsTakenAway(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		reference := rapid.SampledFrom(someImages).Draw(w.draw, "image")
		w.engine.Publish(reference, false)
		before := w.ids()
		errs := w.run(want)
		w.engine.Publish(reference, true)
		if slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), "no registry has") }) {
			w.keeps("container", before, w.ids())
		}
		w.settle(want)
	})
}

func TestNothingUnseenIsTouched(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		w.engine.Settle()
		sights := []spec.Ref{{Kind: spec.KindService}, {Kind: spec.KindNetwork}, {Kind: spec.KindVolume}, {Kind: spec.KindBucket}, {Kind: spec.KindAccess}}
		have := w.observe(want)
		ref := rapid.SampledFrom(append(sights, have.Refs()...)).Draw(w.draw, "blind")
		before := slices.DeleteFunc(w.census(projectOnly), func(line string) bool {
			id := strings.Fields(line)[1]
			return ref.Name != "" && id != have.Found[ref].ID || ref.Name == "" && !strings.HasPrefix(line, engineWord(ref.Kind))
		})
		w.engine.Blind(ref, "permission denied")
		w.logf("blind to %s", ref)
		w.run(want)
		w.keeps("unseen", before, w.census(anybody))
		w.engine.Recover()
		w.settle(want)
	})
}

func engineWord(k spec.Kind) string {
	if k == spec.KindService {
		return "container"
	}
	return string(k)
}

func TestServiceThatFailsLeavesTheOldOneRunning(t *testing.T) {
	check(t, func(w *world, want spec.Desired) {
		services := spec.Resources[*spec.Service](want)
		if len(services) == 0 {
			w.settle(want)
			return
		}
		one := rapid.SampledFrom(services).Draw(w.draw, "broken")
		sound := *one
		one.Command, one.Job, one.Health = []string{"exit", "3"}, false, nil
		w.engine.Settle()
		before := w.observe(want).Found[one.Ref()]
		kept := works(drift.Difference{Have: &before}) && !one.NoRollback && !w.givesWay(want, before)
		w.run(want)
		if kept && !w.runs(before.ID) {
			w.fatalf("%s failed, and the container before it does not run", one.Ref())
		}
		*one = sound
		w.settle(want)
	})
}

// givesWay tells whether a container cannot be had back: it is taken down to make room,
// or lives inside another one.
func (w *world) givesWay(want spec.Desired, found drift.Found) bool {
	_, inside := found.Fields["network_mode"]
	return inside || slices.ContainsFunc(w.plan(want).Steps(), func(s plan.Step) bool {
		r, ok := s.Change.(plan.Remove)
		return ok && r.Have.ID == found.ID
	})
}

// ids are those of the project's containers.
func (w *world) ids() []string {
	var ids []string
	for _, line := range w.census(projectOnly) {
		if f := strings.Fields(line); f[0] == "container" {
			ids = append(ids, f[1])
		}
	}
	return ids
}

func (w *world) runs(id string) bool {
	return slices.ContainsFunc(w.census(projectOnly), func(line string) bool {
		f := strings.Fields(line)
		return f[1] == id && slices.Contains([]string{"running", "healthy", "starting"}, f[3])
	})
}
