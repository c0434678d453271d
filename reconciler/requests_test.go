package reconciler

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// lookingLong is a world at which a look goes on until it is to end.
type lookingLong struct {
	*world
	long atomic.Bool
	ends func(context.Context) error
}

// Observe implements Target.
func (l *lookingLong) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	have, err := l.world.Observe(ctx, want)
	if l.long.Swap(false) {
		<-ctx.Done()
		err = l.ends(ctx)
	}
	return have, err
}

func TestApplyThatComesDuringALookIsNotAnsweredByIt(t *testing.T) {
	for name, ends := range map[string]func(context.Context) error{
		"it is cut short":       context.Cause,
		"it was just over then": func(context.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := remembering(t)
				w := &lookingLong{world: newWorld(), ends: ends}
				want := desired("1", []*spec.Service{service("db")})
				want.Checks.NoHeal = true
				b := startWith(t, w.world, want, func(a *Agent) {
					a.Memory, a.Reconciler = open, &Reconciler{Targets: []Target{w}}
				})
				defer b.stop()
				memory, err := open(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				defer memory.Close()
				w.long.Store(true)
				b.look("engine event")
				synctest.Wait()
				answer := b.ask(t, memory, AskApply, Ask{Revision: "1"})
				if answer.Report == nil || !answer.Report.Ready {
					t.Errorf("answer %+v", answer.Report)
				}
				if diff := cmp.Diff([]string{"create service/db"}, w.did()); diff != "" {
					t.Error(diff)
				}
				for _, r := range b.reports {
					if r.Fault != "" {
						t.Errorf("a look has failed: %s", r.Fault)
					}
				}
			})
		})
	}
}
