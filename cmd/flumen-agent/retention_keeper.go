package main

import (
	"context"
	"log/slog"
	"reflect"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift/schedule"
	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// tableKeeper looks after the files of Delta tables when the spec's schedule says so. It works
// beside the agent's runs, and neither waits for the other.
type tableKeeper struct {
	log *slog.Logger
	// stand is asked at any time, look looks at all tables and ends at a safe point when ctx does,
	// show writes a report for people.
	stand  func() tableStand
	look   func(ctx context.Context, l tableLook) (proof.Report, error)
	show   func(want spec.Desired, r proof.Report) error
	memory func(project string) lookMemory

	waited, said, troubles string // what was logged last, so that each is said once
}

// lookMemory is what is remembered of looks at tables.
type lookMemory interface {
	Due(now time.Time) (bool, error)
	LastScheduled() time.Time
	Turn() (release func(), by string, err error)
	Note(delta.Outcome) error
	Keep(by spec.Retention, r proof.Report) error
}

// tableStand is how things stand for whoever looks after tables.
type tableStand struct {
	want    spec.Desired   // in force
	newest  spec.Retention // of the newest spec that loaded
	waits   string         // why nobody looks at tables now; ""
	reports string         // why nothing is removed now; ""
}

// tableLook is one look that is to be done.
type tableLook struct {
	want spec.Desired
	mode lookMode
	stop func() string // why nothing more is to be removed, or ""; asked before each batch
}

// lookMode is how far a look goes.
type lookMode int

const (
	lookReports  lookMode = iota // nothing is changed
	lookVerifies                 // earlier runs are looked after, and undone if a live file is missing
	lookEnforces                 // what may go is removed where a rule says so
)

// keepAgain is how often it is looked whether what was waited for has come.
const keepAgain = time.Second

// run looks after tables until ctx ends. What an earlier run has left unverified comes first,
// whatever the schedule says.
func (k *tableKeeper) run(ctx context.Context) {
	s, ok := k.await(ctx, func(tableStand) string { return "" })
	if !ok {
		return
	}
	if k.due(s) {
		k.inTurn(ctx, func(s tableStand) { k.once(ctx, s, lookVerifies) })
	}
	current := func() schedule.Schedule { return tableSchedule(k.stand().want) }
	before := func() time.Time { return k.memory(k.stand().want.Project).LastScheduled() }
	schedule.Run(ctx, current, before, func(ctx context.Context, _ time.Time) {
		k.inTurn(ctx, func(s tableStand) {
			if s.want.Retention.Schedule != "" {
				k.once(ctx, s, k.mode(s))
			}
		})
	})
}

// tableSchedule is when the tables of a spec are looked at: not in the same second as those of other projects
// of this machine.
func tableSchedule(want spec.Desired) schedule.Schedule {
	s, _ := schedule.Parse(want.Retention.When()) // it was parsed when the spec was loaded
	return s.Spread(want.Project)
}

// inTurn does a look when it may be done and no other agent of this machine is at one: each takes memory, and
// the attention of a store that they may share.
func (k *tableKeeper) inTurn(ctx context.Context, look func(tableStand)) {
	var release func()
	turn := func(s tableStand) (waits string) {
		var by string
		var err error
		if release, by, err = k.memory(s.want.Project).Turn(); err != nil {
			k.log.Warn("looks of other agents at tables are not waited for", "err", err)
		}
		if by != "" {
			return "tables of the project " + by + " are looked at"
		}
		return ""
	}
	s, ok := k.await(ctx, turn)
	if release != nil {
		defer release()
	}
	if ok {
		look(s)
	}
}

// await waits until somebody may look at tables, and turn says no more what is waited for. It tells false
// if ctx ends.
func (k *tableKeeper) await(ctx context.Context, turn func(tableStand) string) (s tableStand, ok bool) {
	tick := time.NewTicker(keepAgain)
	defer tick.Stop()
	for {
		s = k.stand()
		if s.waits == "" {
			s.waits = turn(s)
		}
		if s.waits == "" {
			k.waited = ""
			return s, true
		}
		if s.want.Retention.Schedule != "" && s.waits != k.waited {
			k.waited = s.waits
			k.log.Info("retention waits", "cause", s.waits)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, false
		}
	}
}

func (k *tableKeeper) due(s tableStand) bool {
	if len(s.want.Retention.Discover) == 0 || s.reports != "" {
		return false
	}
	due, err := k.memory(s.want.Project).Due(time.Now())
	if err != nil {
		k.log.Warn("nobody can tell whether earlier retention runs were verified", "err", err)
	}
	return due
}

// mode is how far a look goes now. The first one on a schedule reports: nobody knows yet what the
// schedule will do, and it comes as soon as there is a schedule, at whatever time of the day.
func (k *tableKeeper) mode(s tableStand) lookMode {
	cause := s.reports
	if cause == "" && k.memory(s.want.Project).LastScheduled().IsZero() {
		cause = "it is the first look on a schedule"
	}
	if cause == "" {
		return lookEnforces
	}
	k.log.Info("retention only reports", "cause", cause)
	return lookReports
}

// once does one look, remembers what it came to, and says so.
func (k *tableKeeper) once(ctx context.Context, s tableStand, mode lookMode) {
	began := time.Now().Round(0)
	r, err := k.look(ctx, tableLook{s.want, mode, k.stop(s)})
	o := outcome(delta.BySchedule, began, r, err)
	if mode == lookVerifies {
		o.By = delta.ByStart
	}
	if ctx.Err() != nil {
		o.Whole, o.Says = false, "ended with the agent; "+o.Says
	}
	if err := k.memory(s.want.Project).Note(o); err != nil {
		k.log.Warn("what retention has done is not remembered", "err", err)
	}
	if err != nil {
		if ctx.Err() == nil {
			k.log.Error("retention failed", "err", err)
		}
		return
	}
	if err := k.memory(s.want.Project).Keep(s.want.Retention, r); err != nil {
		k.log.Warn("the report of retention is not remembered, and missing in drift reports", "err", err)
	}
	if err := k.show(s.want, r); err != nil {
		k.log.Error("the report of retention is not written", "err", err)
	}
	k.say(r, o)
}

// stop gives why a look has to end that began while things stood so.
func (k *tableKeeper) stop(began tableStand) func() string {
	before := sameTreatment(began.want.Retention)
	return func() string {
		s := k.stand()
		if s.waits == "" && !reflect.DeepEqual(before, sameTreatment(s.newest)) {
			return "the spec says something else about retention by now: the rest is planned anew"
		}
		return s.waits
	}
}

// sameTreatment is what of a spec bears on a run that has begun.
func sameTreatment(r spec.Retention) spec.Retention {
	r.Schedule, r.Timezone, r.Window = "", "", 0
	return r
}

// say logs what a look came to, if that is news.
func (k *tableKeeper) say(r proof.Report, o delta.Outcome) {
	var troubles strings.Builder
	for _, t := range r.Tables {
		for _, f := range t.Findings {
			if f.Effect != proof.EffectNote {
				troubles.WriteString(t.Place + string(f.Kind) + f.Says + "\n")
			}
		}
	}
	if now := troubles.String(); now != k.troubles {
		k.troubles = now
		k.sayTroubles(r)
	}
	if removed := r.Removed(); removed.Files > 0 || o.Says != k.said {
		k.said = o.Says
		k.log.Info("tables were looked after", "run", o.Run, "took", o.Took.Round(time.Millisecond), "result", o.Says)
	}
}

func (k *tableKeeper) sayTroubles(r proof.Report) {
	for _, t := range r.Tables {
		for _, f := range t.Findings {
			level := slog.LevelWarn
			switch f.Effect {
			case proof.EffectNote:
				continue
			case proof.EffectCritical:
				level = slog.LevelError
			}
			k.log.Log(context.Background(), level, "files of a table stay", "table", t.Called(), "finding", string(f.Kind), "cause", f.Says)
		}
	}
}

// outcome is what a look came to, in short.
func outcome(by delta.By, began time.Time, r proof.Report, err error) delta.Outcome {
	o := delta.Outcome{At: began, Took: time.Since(began), By: by, Run: r.Run, Whole: err == nil, Says: r.Summary()}
	if err != nil {
		o.Says = err.Error()
	}
	return o
}
