package plan_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/spec"
)

// scenario is a project on its way from one state to others, one run each. It is broken
// off at every call that the runs make.
type scenario struct {
	name   string
	before string
	runs   []string
	heirs  map[string]string // which service goes on with what another one did
	remade string            // the container that may be made anew where going back was refused
}

var scenarios = []scenario{{
	name:   "from nothing",
	before: "tier low",
	runs: []string{`tier low
		network back label.a=b
		volume data
		image built:1 build=sha256:1
		service db image=built:1 net=back volume=data:/data port=5432:5432 restart=always
		bucket lake in=db versioning=enabled
		access store.reader in=db may=s3:GetObject
		tier high
		service job job command=exit,0 net=back needs=db:ready
		service web net=back count=2 needs=job:done`},
}, {
	name: "upgrade in three tiers with a job",
	before: `tier low
		service db image=db:1 port=5432:5432 restart=always volume=data:/data
		volume data
		tier middle
		service init job command=exit,0 env.V=1 needs=db:ready
		tier high
		service web image=web:1 port=8080:80 restart=unless-stopped needs=init:done`,
	runs: []string{`tier low
		service db image=db:2 port=5432:5432 restart=always volume=data:/data
		volume data
		tier middle
		service init job command=exit,0 env.V=2 needs=db:ready
		tier high
		service web image=web:2 port=8080:80 restart=unless-stopped needs=init:done`},
}, {
	name: "network replaced, limits changed in place",
	before: `tier low
		network back
		service db net=back:10.0.0.8 restart=always
		service web net=back mem=64 needs=db:ready`,
	runs: []string{`tier low
		network back label.variant=other
		service db net=back:10.0.0.8 restart=always
		service web net=back mem=128 needs=db:ready`},
}, {
	name: "moved to another network",
	before: `tier low
		network front
		network back
		service db net=front restart=always
		service web net=front restart=always`,
	runs: []string{`tier low
		network front
		network back
		service db net=back restart=always
		service web net=front net=back restart=always`},
}, {
	name: "service renamed",
	before: `tier low
		service old port=5432:5432 restart=always volume=data:/data
		volume data
		service web port=8080:80 needs=old:ready`,
	runs: []string{`tier low
		service new port=5432:5432 restart=always volume=data:/data
		volume data
		service web port=8080:80 needs=new:ready`},
	heirs: map[string]string{"old": "new"},
}, {
	name: "container renamed",
	before: `tier low
		service db port=5432:5432 restart=always`,
	runs: []string{`tier low
		service db name=database port=5432:5432 restart=always`},
}, {
	name: "buckets and users changed and gone",
	before: `tier low
		service minio port=9000:9000 restart=always
		bucket lake in=minio versioning=enabled tag.owner=a
		bucket more in=minio
		access store.reader in=minio may=s3:GetObject
		access store.gone in=minio may=s3:GetObject`,
	runs: []string{`tier low
		service minio image=app:2 port=9000:9000 restart=always
		bucket lake in=minio versioning=suspended tag.owner=b
		bucket new in=minio
		access store.reader in=minio may=s3:* secret=other
		access store.writer in=minio may=s3:*`},
}, {
	name: "scaled down, a service and its network gone, a volume added",
	before: `tier low
		network side
		service db restart=always
		service web count=3 needs=db:ready
		service extra net=side volume=scratch:/s
		volume scratch`,
	runs: []string{`tier low
		service db restart=always volume=data:/data
		volume data
		service web needs=db:ready`},
}, {
	name: "built anew, with a lodger",
	before: `tier low
		image built:1 build=sha256:1
		service db image=built:1 port=5432:5432 restart=always
		service probe inside=db restart=always`,
	runs: []string{`tier low
		image built:1 build=sha256:2
		service db image=built:1 port=5432:5432 restart=always
		service probe inside=db restart=always`},
}, {
	name: "port moved to another service",
	before: `tier low
		service a port=8000:80 restart=always
		service b port=8001:80 restart=always
		tier high
		service c restart=always`,
	runs: []string{`tier low
		service a restart=always
		service b port=8001:80 restart=always
		tier high
		service c port=8000:80 restart=always`},
}, {
	name: "back to the last good revision",
	before: `tier low
		service db image=db:1 port=5432:5432 restart=always volume=data:/data
		volume data
		tier high
		service web image=web:1 port=8080:80 restart=always`,
	runs: []string{`tier low
		service db image=db:2 port=5432:5432 restart=always volume=data:/data
		volume data
		service new needs=db:ready
		tier high
		service web image=web:2 port=8080:80 restart=always command=exit,3`, `tier low
		service db image=db:1 port=5432:5432 restart=always volume=data:/data
		volume data
		tier high
		service web image=web:1 port=8080:80 restart=always`},
	remade: "p-web-1",
}}

// fault is a way in which a call goes wrong.
type fault struct {
	name string
	at   func(w *world, call int)
	// over: whoever makes the calls is gone then, and nothing else of its run happens.
	over bool
	// last: the call itself is the last that happens, and not the one before it.
	last bool
	// restarts: the engine is started again before the next run.
	restarts bool
}

// Killed before a call is killed after the one before it.
var allFaults = []fault{
	{name: "killed before", at: func(w *world, n int) { w.engine.KillAfter(n - 1) }, over: true},
	{name: "killed before, engine restarted", at: func(w *world, n int) { w.engine.KillAfter(n - 1) }, over: true, restarts: true},
	{name: "cut after", at: func(w *world, n int) { w.engine.CutCall(n) }, over: true, last: true},
	{name: "cut after, engine restarted", at: func(w *world, n int) { w.engine.CutCall(n) }, over: true, last: true, restarts: true},
	{name: "refused", at: func(w *world, n int) { w.engine.FailCall(n) }},
	{name: "answer lost", at: func(w *world, n int) { w.engine.LoseAnswer(n) }},
}

// ways are who carries out a plan: somebody who does one step at a time, from the first or
// from the last that may begin, and the executor that users have.
var ways = map[string]func(*world, spec.Desired){
	"forwards":  func(w *world, want spec.Desired) { w.next = func(int) int { return 0 }; w.run(want) },
	"backwards": func(w *world, want spec.Desired) { w.next = func(n int) int { return n - 1 }; w.run(want) },
	"reconciler": func(w *world, want spec.Desired) {
		r := reconciler.Reconciler{Targets: []reconciler.Target{w.target}}
		want.Consents = w.consents(want)
		rep := r.Converge(context.Background(), want, reconciler.Options{})
		w.logf("the reconciler: %v", rep.Err())
	},
}

// TestEveryScenarioEndsTheSameWhateverCallGoesWrong breaks each scenario off at every call,
// in every way, has it run again, and expects the end of a run that nothing has disturbed.
func TestEveryScenarioEndsTheSameWhateverCallGoesWrong(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			t.Run(s.name+"/"+way, func(t *testing.T) {
				t.Parallel()
				end := s.undisturbed(t, ways[way])
				if end.calls < 2 {
					t.Fatalf("%d calls", end.calls)
				}
				for call := range end.calls {
					for _, f := range allFaults {
						s.disturbed(t, ways[way], f, call+1, end)
					}
				}
				t.Logf("%d calls, %d worlds", end.calls, end.calls*len(allFaults))
			})
		}
	}
}

// outcome is how a scenario ends.
type outcome struct {
	portrait []string
	calls    int
	gone     []string // what was there before and is not any more, by its lines of the census
}

func (s scenario) undisturbed(t *testing.T, run func(*world, spec.Desired)) outcome {
	t.Helper()
	w, before := s.world(t, "undisturbed")
	calls := len(w.engine.Calls())
	for _, want := range s.wants(t) {
		w.engine.Settle()
		run(w, want)
	}
	last := s.last(t)
	w.engine.Settle()
	if p := w.plan(last); !p.Empty() { // volumes that no tier declares are held, and stay
		w.fatalf("not there after its runs; left to do:\n%s", text(p))
	}
	return outcome{w.portrait(last), len(w.engine.Calls()) - calls, w.gone(before)}
}

func (s scenario) disturbed(t *testing.T, run func(*world, spec.Desired), f fault, call int, end outcome) {
	t.Helper()
	w, before := s.world(t, fmt.Sprintf("%s call %d", f.name, call))
	foreign, data := w.census(strangers), w.data()
	var worked map[spec.Ref]string
	f.at(w, call)
	at := len(w.engine.Calls())
	wants, last := s.wants(t), s.last(t)
	for i, want := range wants {
		w.engine.Settle()
		worked = w.working()
		run(w, want)
		happen := call - 1
		if f.last {
			happen = call
		}
		if f.over && len(w.engine.Calls())-at == happen {
			wants = wants[i:] // the next agent begins with the one that was broken off
			break
		}
	}
	w.engine.Recover()
	w.keepsServing(s, last, worked)
	if f.restarts {
		w.engine.Restart()
		w.runsNothingTwice()
	}
	for _, want := range wants {
		w.engine.Settle()
		run(w, want)
	}
	w.settle(last)
	w.keeps("foreign", foreign, w.census(strangers))
	w.keeps("data", data, w.data())
	w.endsWell(last)
	if diff := cmp.Diff(end.portrait, w.portrait(last)); diff != "" {
		w.fatalf("another end than undisturbed:\n%s", diff)
	}
	for _, line := range w.gone(before) {
		if !slices.Contains(end.gone, line) && strings.Fields(line)[2] != s.remade {
			w.fatalf("%s is gone, and stays where nothing is disturbed", line)
		}
	}
}

// world is one in which the scenario may begin.
func (s scenario) world(t *testing.T, what string) (w *world, before []string) {
	t.Helper()
	w = emptyWorld()
	w.t, w.next = t, func(int) int { return 0 }
	w.settle(drawn(t, s.before))
	w.engine.Settle()
	w.log = []string{what}
	return w, w.census(projectOnly)
}

func (s scenario) wants(t *testing.T) (all []spec.Desired) {
	for _, run := range s.runs {
		all = append(all, drawn(t, run))
	}
	return all
}

func (s scenario) last(t *testing.T) spec.Desired { return drawn(t, s.runs[len(s.runs)-1]) }

// drawn reads a sketch.
func drawn(t *testing.T, text string) spec.Desired {
	t.Helper()
	want, err := sketch.Desired("project " + testProject + "\n" + text)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// gone is what was there, by its lines of a census, and is not any more, whatever it is
// called now.
func (w *world) gone(before []string) []string {
	there := map[string]bool{}
	for _, line := range w.census(projectOnly) {
		there[identity(line)] = true
	}
	return slices.DeleteFunc(slices.Clone(before), func(line string) bool { return there[identity(line)] })
}

// identity is the kind and the ID in a line of a census.
func identity(line string) string { return strings.Join(strings.Fields(line)[:2], " ") }

// portrait is how everything is, by the names that people know it by.
func (w *world) portrait(want spec.Desired) []string {
	var all []string
	for _, line := range w.census(anybody) {
		f := strings.Fields(line)
		switch f[0] {
		case "container":
			line = "container " + f[2] + " " + f[3]
		case "access":
			line = "access " + f[1]
		default:
			line = f[0] + " " + f[2]
		}
		all = append(all, line)
	}
	for ref, found := range w.observe(want).Found {
		for _, name := range slices.Sorted(maps.Keys(found.Fields)) {
			all = append(all, fmt.Sprint(ref, " ", found.State, " ", name, "=", found.Fields[name]))
		}
	}
	slices.Sort(all)
	return all
}

// working are the services that do their work, with the containers that do it.
func (w *world) working() map[spec.Ref]string {
	all := map[spec.Ref]string{}
	for ref, found := range w.observe(spec.Desired{Project: testProject}).Found {
		if ref.Kind == spec.KindService && works(drift.Difference{Have: &found}) {
			all[ref] = found.ID
		}
	}
	return all
}

// keepsServing checks, where a run was broken off, that no service is lost: its old
// container is there, or a new one does its work; and that none of the names that a
// replacement gives is on anything that runs.
func (w *world) keepsServing(s scenario, last spec.Desired, before map[spec.Ref]string) {
	w.engine.Settle()
	have := w.observe(last).Found
	for ref, id := range before {
		heir := ref
		if name, ok := s.heirs[ref.Name]; ok {
			heir.Name = name
		}
		found := have[heir]
		if last.Find(heir) != nil && !slices.Contains(w.ids(), id) && !works(drift.Difference{Have: &found}) {
			w.fatalf("%s is lost: its container %s is gone, and no other one works", ref, id)
		}
	}
	for _, line := range w.census(projectOnly) {
		if f := strings.Fields(line); f[0] == "container" && isLeftover(f[2]) && w.runs(f[1]) {
			w.fatalf("%s runs", f[2])
		}
	}
}
