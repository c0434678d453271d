package plan_test

import (
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/drift/sketch"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// planWith plans for what a sketch shows, after edits to what was found.
func planWith(t *testing.T, desired, observed string, edits map[string]func(*drift.Found)) plan.Plan {
	t.Helper()
	want, err := sketch.Desired(desired)
	if err != nil {
		t.Fatal(err)
	}
	have, err := sketch.Observed(want, observed)
	if err != nil {
		t.Fatal(err)
	}
	for service, edit := range edits {
		ref := spec.InstanceRef(service, 1)
		found, ok := have.Found[ref]
		if !ok {
			t.Fatalf("%s is not in the sketch", ref)
		}
		edit(&found)
		have.Found[ref] = found
	}
	return plan.Build(want, have, drift.Compare(want, have))
}

// verbs are what is to be done, by Ref.
func verbs(p plan.Plan) map[string]plan.Verb {
	all := map[string]plan.Verb{}
	for _, s := range p.Steps() {
		all[s.Change.Ref().Name] = s.Change.Verb()
	}
	return all
}

func in(state drift.State) func(*drift.Found) {
	return func(f *drift.Found) { f.State = state }
}

func anonymous(f *drift.Found) { f.Anonymous = true }

func TestHandOverThatWasBrokenOffIsTakenUpAgain(t *testing.T) {
	p := planWith(t, "project p\ntier t\nservice new port=5432:80", "everything\nno service new\nservice old exited name=p-old-1 port.80/tcp=5432",
		map[string]func(*drift.Found){"old": func(f *drift.Found) { f.Handing = true }})
	steps := p.Steps()
	if len(steps) != 1 {
		t.Fatalf("plan:\n%s", text(p))
	}
	if replace, ok := steps[0].Change.(plan.Replace); !ok || replace.Have.Ref.Name != "old" {
		t.Errorf("plan:\n%s", text(p))
	}
}

func TestAnonymousVolumeIsNotLostToMakeRoom(t *testing.T) {
	p := planWith(t, "project p\ntier t\nservice a port=8001:80\nservice b port=8000:80", "everything\nservice a port.80/tcp=8000\nservice b port.80/tcp=8001",
		map[string]func(*drift.Found){"a": anonymous, "b": anonymous})
	if !p.Empty() || !strings.Contains(text(p), "anonymous volume") {
		t.Errorf("plan:\n%s", text(p))
	}
}

func TestAnonymousVolumeOfARemovedServiceIsNotLostToMakeRoom(t *testing.T) {
	const desired = "project p\ntier low\nservice a port=8001:80\ntier high\nservice b port=8000:80"
	p := planWith(t, desired, "everything\nno service a\nno service b\nservice old running name=p-old-1 port.80/tcp=8000 port.81/tcp=8001",
		map[string]func(*drift.Found){"old": anonymous})
	for _, s := range p.Steps() {
		if s.Change.Verb() == plan.VerbRemove {
			t.Errorf("plan:\n%s", text(p))
		}
	}
}

func TestWhatIsBeingRemovedIsLeftUntilTheNextLook(t *testing.T) {
	p := planWith(t, "project p\ntier t\nservice a", "everything", map[string]func(*drift.Found){"a": in(drift.Removing)})
	if !p.Empty() || len(p.Held) != 1 || p.Held[0].Rule != plan.RuleRemoving || p.Settled() {
		t.Errorf("plan:\n%s", text(p))
	}
}

func TestUnpausingRestartsNothingThatLivesInside(t *testing.T) {
	const desired = "project p\ntier t\nservice a\nservice b inside=a"
	for state, want := range map[drift.State]plan.Verb{drift.Paused: "", drift.Exited: plan.VerbRestart} {
		p := planWith(t, desired, "everything", map[string]func(*drift.Found){"a": in(state)})
		if got := verbs(p)["b"]; got != want {
			t.Errorf("a is %s, plan:\n%s", state, text(p))
		}
	}
}

func TestDownLeavesAloneWhatIsInactiveAndItsNetworks(t *testing.T) {
	want, err := sketch.Desired("project p\ntier t\nnetwork default\nnetwork side\nservice a net=default")
	if err != nil {
		t.Fatal(err)
	}
	want.Inactive = []spec.Ref{spec.InstanceRef("tool", 1)}
	have, err := sketch.Observed(want, "everything\nservice tool running network.p_side=attached")
	if err != nil {
		t.Fatal(err)
	}
	got := verbs(plan.Down(want, have, ""))
	if len(got) != 2 || got["a"] == "" || got["default"] == "" {
		t.Errorf("removes %v", got)
	}
}
