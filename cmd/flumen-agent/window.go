package main

import (
	"errors"
	"time"

	"github.com/flumendata/flumen-agent/drift/schedule"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

func parseWindow(w spec.Window) (schedule.Window, error) {
	return schedule.ParseWindow(w.Begins, w.Timezone, w.Lasts, w.Deny)
}

func checkWindow(w spec.Window) error {
	_, err := parseWindow(w)
	return err
}

// parseWindows reads those of a spec.
func parseWindows(all []spec.Window) (parsed schedule.Windows, err error) {
	for _, w := range all {
		one, fault := parseWindow(w)
		parsed, err = append(parsed, one), errors.Join(err, fault)
	}
	return parsed, err
}

// meetsQuiet tells whether a look at the tables of a project, on its schedule, ever begins while nobody writes
// them, and how much later than the schedule says it begins.
func meetsQuiet(project string, r spec.Retention) (later time.Duration, meets bool) {
	quiet, err := parseWindows(r.Quiet)
	if s := tableSchedule(spec.Desired{Project: project, Retention: r}); err == nil && s.String() != "" {
		return s.Later(), s.Meets(quiet, time.Now())
	}
	return 0, true // what is wrong with either is said elsewhere
}

// windowAt tells whether a spec allows changes that interrupt at a time.
func windowAt(want spec.Desired, now time.Time) plan.Window {
	all, err := parseWindows(want.Windows)
	if err != nil { // it was parsed when the spec was loaded: what cannot be read does not open
		return plan.Window{Closed: true, Reason: err.Error()}
	}
	o := all.At(now)
	w := plan.Window{Closed: o.Closed, Until: o.Until}
	if o.Closed && o.By >= 0 {
		w.Reason = want.Windows[o.By].Reason
	}
	return w
}
