package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/memory"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// silent is a Progress that nobody looks at.
type silent struct{}

func (silent) Reached(spec.Phase)         {}
func (silent) Doing(string, int64, int64) {}
func (silent) Left(string)                {}

// running gives an engine with one service that runs, and how to look at that.
func running(t *testing.T, restart string) (*memory.Engine, func() drift.Found, *memory.Target) {
	t.Helper()
	engine := memory.New()
	engine.AddImage("app:1")
	target := engine.Target("p")
	app := &spec.Service{Name: "app", Number: 1, Container: "p-app-1", Image: "app:1", Restart: restart}
	want := spec.Desired{Project: "p", Tiers: []spec.Tier{{Name: "t", Resources: []spec.Resource{app}}}}
	if err := target.Apply(t.Context(), plan.Create{Want: app}, silent{}); err != nil {
		t.Fatal(err)
	}
	return engine, func() drift.Found {
		have, err := target.Observe(context.WithoutCancel(t.Context()), want)
		if err != nil {
			t.Fatal(err)
		}
		return have.Found[app.Ref()]
	}, target
}

func TestEngineRestartFollowsThePolicies(t *testing.T) {
	for _, c := range []struct {
		policy  string
		stopped bool // by hand, before
		want    drift.State
	}{
		{"", false, drift.Exited},
		{"always", false, drift.Running},
		{"always", true, drift.Running},
		{"unless-stopped", false, drift.Running},
		{"unless-stopped", true, drift.Exited},
	} {
		engine, look, _ := running(t, c.policy)
		if c.stopped {
			engine.Stop("p-app-1")
		}
		engine.Restart()
		engine.Settle()
		if got := look().State; got != c.want {
			t.Errorf("policy %q, stopped %v: it is %s, want %s", c.policy, c.stopped, got, c.want)
		}
	}
}

func TestCallThatFailsChangesNothing(t *testing.T) {
	engine, look, target := running(t, "")
	before := look()
	engine.FailCall(1)
	if err := target.Apply(t.Context(), plan.Remove{Have: before}, silent{}); !errors.Is(err, memory.ErrInjected) {
		t.Errorf("got %v", err)
	}
	if after := look(); after.ID != before.ID || after.State != before.State {
		t.Errorf("%+v became %+v", before, after)
	}
	if err := target.Apply(t.Context(), plan.Remove{Have: before}, silent{}); err != nil {
		t.Errorf("the next call failed too: %v", err)
	}
}

func TestCallWhoseAnswerIsLostHasHappened(t *testing.T) {
	engine, look, target := running(t, "always")
	before := look()
	engine.CutCall(1)
	if err := target.Apply(t.Context(), plan.Remove{Have: before}, silent{}); !errors.Is(err, memory.ErrCut) {
		t.Errorf("it answers %v", err)
	}
	engine.Recover()
	if after := look(); after.State == before.State {
		t.Errorf("it is %s, as before", after.State)
	}
}

func TestNothingHappensAfterTheAgentWasKilled(t *testing.T) {
	engine, look, target := running(t, "")
	before := look()
	calls := len(engine.Calls())
	engine.KillAfter(1)
	if err := target.Apply(t.Context(), plan.Remove{Have: before}, silent{}); !errors.Is(err, memory.ErrKilled) {
		t.Errorf("got %v", err)
	}
	if after := look(); after.State != drift.Exited || len(engine.Calls()) != calls+1 {
		t.Errorf("it is %s after %d calls, want it stopped and not removed", after.State, len(engine.Calls())-calls)
	}
}

func TestImageThatNoRegistryHasIsNotPulled(t *testing.T) {
	engine, _, target := running(t, "")
	engine.Publish("gone:1", false)
	if err := target.Apply(t.Context(), plan.Create{Want: &spec.Image{Name: "gone:1"}}, silent{}); err == nil {
		t.Error("pulled it")
	}
}
