package main

import (
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

// windowAt tells whether a spec allows changes that interrupt at a time.
func windowAt(want spec.Desired, now time.Time) plan.Window {
	var all schedule.Windows
	for _, w := range want.Windows {
		one, err := parseWindow(w)
		if err != nil { // it was parsed when the spec was loaded: what cannot be read does not open
			return plan.Window{Closed: true, Reason: err.Error()}
		}
		all = append(all, one)
	}
	o := all.At(now)
	w := plan.Window{Closed: o.Closed, Until: o.Until}
	if o.Closed && o.By >= 0 {
		w.Reason = want.Windows[o.By].Reason
	}
	return w
}
