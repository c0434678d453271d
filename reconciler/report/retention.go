package report

import (
	"fmt"
	"io"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// Retention is when the files of Delta tables were looked after, and when they will be.
type Retention struct {
	Looks []RetentionLook `json:"looks"` // the newest first
	// Next is when the schedule has it done next; zero: there is no schedule. Due: it should have
	// been done by now, and will be as soon as an agent can.
	Next time.Time `json:"next,omitzero"`
	Due  bool      `json:"due,omitempty"`
	// Looking is the project whose tables an agent of this machine looks at now; "" for none. One looks at a time.
	Looking string `json:"looking,omitempty"`
}

// RetentionLook is what a look at all tables came to.
type RetentionLook struct {
	At   time.Time     `json:"at"`
	Took time.Duration `json:"took_ns"`
	By   string        `json:"by"`            // "schedule", "hand", "start" of the agent
	Run  string        `json:"run,omitempty"` // that was to remove what can go; "" for a report
	Says string        `json:"says"`
}

// text writes the last look and the next one in a line.
func (r *Retention) text(w io.Writer, at time.Time) {
	if r == nil {
		return
	}
	last := "never looked at tables yet"
	if len(r.Looks) > 0 {
		l := r.Looks[0]
		last = fmt.Sprintf("last %s ago, %s: %s", age(at.Sub(l.At)), l.by(), l.Says)
	}
	fmt.Fprintf(w, "  retention: %s; %s\n", last, r.next())
}

// Text writes every look, and when the next one is.
func (r *Retention) Text(w io.Writer, paint plan.Paint) {
	if r == nil {
		return
	}
	if len(r.Looks) > 0 {
		fmt.Fprintf(w, "%s\n", paint.On(plan.Bold, fmt.Sprintf("%-22s  %-19s  %-11s  %7s  %s", "RETENTION", "WHEN", "BECAUSE", "TOOK", "WHAT")))
	}
	for _, l := range r.Looks {
		run := l.Run
		if run == "" {
			run = "report"
		}
		fmt.Fprintf(w, "%-22s  %-19s  %-11s  %7s  %s\n", run, when(l.At), l.by(), Duration(l.Took), l.Says)
	}
	fmt.Fprintf(w, "retention: %s\n", r.next())
}

func (l RetentionLook) by() string {
	switch l.By {
	case "schedule":
		return "on schedule"
	case "start":
		return "at start"
	}
	return "by " + l.By
}

func (r *Retention) next() string {
	switch {
	case r.Due && r.Looking != "":
		return "due, tables of the project " + r.Looking + " are looked at now"
	case r.Due:
		return "due, as soon as an agent can"
	case r.Next.IsZero():
		return "no schedule"
	}
	return "next " + r.Next.Format(time.RFC3339)
}
