package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// keepTables has the files of Delta tables looked after while an agent runs, as its spec says.
func (a *app) keepTables(agent *reconciler.Agent, log *slog.Logger) {
	began := time.Now()
	var newest atomic.Pointer[spec.Retention]
	load := agent.Load
	agent.Load = func(ctx context.Context) (spec.Desired, error) {
		want, err := load(ctx)
		if want.Project != "" {
			newest.Store(&want.Retention)
		}
		return want, err
	}
	k := &tableKeeper{
		log: log,
		stand: func() tableStand {
			s, want, ok := agent.Standing()
			if !ok {
				return tableStand{waits: "no spec has loaded yet"}
			}
			stand := tableStandOf(s, want, began, time.Now())
			stand.newest = *newest.Load()
			switch {
			case !a.holding.Load():
				stand.waits = "another flumen-agent holds the project"
			case agent.NoHeal:
				stand.reports = "the agent was started with --no-heal"
			}
			return stand
		},
		look:   func(ctx context.Context, l tableLook) (proof.Report, error) { return a.lookAfterTables(ctx, l, log) },
		show:   a.writeTableReport,
		memory: func(project string) lookMemory { return a.retentionMemory(project) },
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, _ func(string)) { k.run(ctx) })
}

// tableStandOf says how an agent stands that began at a time. Nobody looks at tables before its
// first look is over: it may have to start the service first that has them.
func tableStandOf(s reconciler.Standing, want spec.Desired, began, now time.Time) tableStand {
	stand := tableStand{want: want}
	switch {
	case s.Paused(now):
		stand.waits = "the agent is " + s.Summary(now)
	case s.Looked.At.Before(began):
		stand.waits = "the agent has not seen yet how the project stands"
	}
	switch {
	case want.Checks.NoHeal:
		stand.reports = "the spec says drift.heal: false"
	case s.Trouble != "": // it may say something else about tables
		stand.reports = "the newest spec cannot be had: " + s.Trouble
	case s.Wanted.ID != s.Enforced.ID:
		stand.reports = fmt.Sprintf("revision %s is wanted and not in force: %s", s.Wanted.Short(), s.Why)
	}
	return stand
}

// lookAfterTables does one look at the tables of a spec.
func (a *app) lookAfterTables(ctx context.Context, l tableLook, log *slog.Logger) (r proof.Report, err error) {
	defer debug.FreeOSMemory() // a look takes many times what is kept
	last := time.Now()
	progress := &retentionProgress{began: last}
	tell := func(p delta.Progress) {
		if time.Since(last) >= plainEvery {
			last = time.Now()
			log.Debug("looking at tables", "progress", progress.text(p))
		}
	}
	if l.mode == lookReports {
		err = a.lookAtTables(ctx, l.want, tell, func(o delta.Options) error {
			r, err = delta.Plan(ctx, o)
			return err
		})
		return r, err
	}
	return a.removeFiles(ctx, l.want, tell, func(o *delta.RunOptions) {
		paused := o.Paused
		o.OnlyVerify = l.mode == lookVerifies
		o.Paused = func(ctx context.Context) (string, error) {
			if why := l.stop(); why != "" {
				return why, nil
			}
			return paused(ctx)
		}
	})
}

// noteLook remembers what a look came to that a person asked for.
func (a *app) noteLook(project string, by spec.Retention, began time.Time, r proof.Report, err error) {
	memory := a.retentionMemory(project)
	if memory.Check() != nil {
		return // it was said
	}
	faults := memory.Note(outcome(delta.ByHand, began, r, err))
	if err == nil {
		faults = errors.Join(faults, memory.Keep(by, r))
	}
	if faults != nil {
		a.warn(faults.Error())
	}
}

// retentionOf is when the tables of a spec were looked after, the last n times, and when they will
// be; nil if it has none.
func (a *app) retentionOf(want spec.Desired, n int) *report.Retention {
	if len(want.Retention.Discover) == 0 {
		return nil
	}
	memory := a.retentionMemory(want.Project)
	all, err := memory.Outcomes()
	if err != nil {
		a.warn(err.Error())
	}
	r := &report.Retention{Looks: []report.RetentionLook{}}
	for _, o := range all[:min(n, len(all))] {
		r.Looks = append(r.Looks, report.RetentionLook{At: o.At, Took: o.Took, By: string(o.By), Run: o.Run, Says: o.Says})
	}
	s, now := tableSchedule(want), time.Now()
	r.Next, _ = s.Next(now)
	if r.Due = s.Due(memory.LastScheduled(), now); r.Due {
		r.Looking = memory.Looking()
	}
	return r
}
