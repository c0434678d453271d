package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	db   = spec.InstanceRef("db", 1)
	rev  = spec.Revision{ID: "4d1c", Source: "flumen.yaml", Commit: "c0ffee", Subject: "Raise the limit", Author: "Ada <ada@example.org>"}
	kept = report.Kept{Wanted: rev, Enforced: rev}
)

// calm is the report of a run that found all in sync.
func calm() report.Report {
	return report.Report{Project: "lake", Revision: rev, Trigger: "interval", At: noon, Ready: true}
}

// drifted is that of one that found something else.
func drifted() report.Report {
	rep := calm()
	rep.Ready, rep.After = false, drift.Drift{{Ref: db, Tier: "base", Verdict: drift.Changed}}
	return rep
}

// broken is that of one in which a step failed.
func broken() report.Report {
	rep := drifted()
	rep.Steps = []report.Step{{
		Tier: "base", Verb: plan.VerbReplace, Ref: db, Reason: "env.A", Outcome: report.RolledBack, Error: "exited with code 1", Log: []string{"cannot open the data", "bye"},
	}}
	return rep
}

// receiver takes a message when its test lets it.
type receiver struct {
	key    string
	answer func(try int) error // nil: takes everything

	mu    sync.Mutex
	tries int
	taken []notify.Message
}

func (r *receiver) Name() string { return "test://" + r.key }
func (r *receiver) Key() string  { return r.key }

func (r *receiver) Send(_ context.Context, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.answer != nil {
		if err := r.answer(r.tries); err != nil {
			return err
		}
	}
	var m notify.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return err
	}
	r.taken = append(r.taken, m)
	return nil
}

// conditions are those of the messages that were taken.
func (r *receiver) conditions() (all []notify.Condition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.taken {
		all = append(all, m.Condition)
	}
	return all
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

var errDead = errors.New("nobody answers")

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func asIs(text []byte) []byte { return text }

// start has a notifier run for as long as the test, or until stop.
func start(t *testing.T, m notify.Memory, all ...notify.Receiver) (n *notify.Notifier, stop func()) {
	t.Helper()
	n = notify.New(all, asIs, quiet)
	if m != nil {
		n.Know(t.Context(), m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return n, stop
}

// memory is one that forgets at the end of the test.
func memory(t *testing.T) *state.Store {
	t.Helper()
	m, err := state.OpenInMemory(t.Context(), "", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// notes is a memory for bubbles of synctest, which a file's locks would leave.
type notes map[string][]byte

func (n notes) Recall(_ context.Context, name string, into any) error {
	if n[name] == nil {
		return nil
	}
	return json.Unmarshal(n[name], into)
}

func (n notes) Remember(_ context.Context, name string, value any) (err error) {
	n[name], err = json.Marshal(value)
	return err
}

// hanging is a receiver that never answers.
type hanging struct{}

func (hanging) Name() string { return "test://hanging" }
func (hanging) Key() string  { return "hanging" }
func (hanging) Send(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}
