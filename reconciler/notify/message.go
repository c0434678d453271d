package notify

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// messageVersion is that of the JSON body. Keys are added without another one.
	messageVersion = 1
	// most is how many things of a list a message names: the rest is counted.
	most = 20
	// mostLines is how many of the last lines of a service's log it quotes.
	mostLines = 20
)

// Message is what a receiver is told, as docs/notifications.md describes it.
type Message struct {
	Version   int           `json:"version"`
	ID        string        `json:"id"` // the same at each try
	Project   string        `json:"project"`
	At        time.Time     `json:"at"` // when the run began
	Condition Condition     `json:"condition"`
	Before    Condition     `json:"before,omitempty"` // "": nobody was told anything
	Summary   string        `json:"summary"`
	Revision  spec.Revision `json:"revision"` // that the run was about
	Wanted    spec.Revision `json:"wanted"`   // the newest that loaded
	Trigger   string        `json:"trigger"`  // what made the agent look
	Fault     string        `json:"fault,omitempty"`
	// Failures are the steps that failed, Held those that are not done, and Differences what
	// was not as it should be at the end of the run.
	Failures    []report.Step `json:"failures,omitempty"`
	Held        []plan.Held   `json:"held,omitempty"`
	Differences drift.Drift   `json:"differences,omitempty"`
	Degraded    []spec.Ref    `json:"degraded,omitempty"`
	LeftOut     int           `json:"left_out,omitempty"` // things that these lists do not name
}

// newMessage says what a run has brought about. before is what the receiver was told last.
func newMessage(rep report.Report, kept report.Kept, before, now State) Message {
	m := Message{
		Version: messageVersion, ID: rand.Text(), Project: rep.Project, At: rep.At, Condition: now.Condition, Before: before.Condition,
		Revision: rep.Revision, Wanted: kept.Wanted, Trigger: rep.Trigger, Fault: rep.Fault,
	}
	failures := slices.DeleteFunc(slices.Clone(rep.Steps), func(s report.Step) bool { return !failed(s) })
	m.Failures = shortest(failures, &m.LeftOut)
	for i, s := range m.Failures {
		m.Failures[i].Log = s.Log[max(0, len(s.Log)-mostLines):]
	}
	m.Held = shortest(rep.Held, &m.LeftOut)
	m.Differences = shortest(rep.After, &m.LeftOut)
	m.Degraded = shortest(kept.Degraded, &m.LeftOut)
	m.Summary = summary(m, now)
	return m
}

func failed(s report.Step) bool {
	return s.Outcome == report.Failed || s.Outcome == report.RolledBack || s.Outcome == report.Stale
}

// shortest gives the beginning of a list, and counts what it leaves out.
func shortest[L ~[]E, E any](list L, leftOut *int) L {
	*leftOut += max(0, len(list)-most)
	return slices.Clone(list[:min(len(list), most)])
}

// Summary says in one line how a project stands after a run. kept is what is known after it.
func Summary(rep report.Report, kept report.Kept) string {
	return newMessage(rep, kept, State{}, Of(rep, kept)).Summary
}

// summary says it in one line.
func summary(m Message, now State) string {
	var what string
	switch m.Condition {
	case InSync:
		what = "in sync again"
	case Drift:
		what = "drift: " + names(m.Differences, func(d drift.Difference) spec.Ref { return d.Ref })
	case Held:
		what = "held: " + names(m.Held, func(h plan.Held) spec.Ref { return h.Ref })
	case Degraded:
		what = "degraded: " + names(m.Degraded, func(r spec.Ref) spec.Ref { return r })
	case Quarantined:
		what = fmt.Sprintf("revision %s failed and is not tried again by itself", m.Wanted.Short())
	case Failed:
		what = failure(m)
	default:
		panic("notify: unknown condition " + string(now.Condition))
	}
	return m.Project + ": " + what
}

func failure(m Message) string {
	switch {
	case len(m.Failures) > 0:
		return "failed: " + names(m.Failures, func(s report.Step) spec.Ref { return s.Ref })
	case m.Fault != "":
		return "the run failed: " + m.Fault
	}
	return "failed, and tried again later: " + names(m.Held, func(h plan.Held) spec.Ref { return h.Ref })
}

// names are the first few of a list.
func names[E any](list []E, ref func(E) spec.Ref) string {
	const few = 3
	var all []string
	for _, e := range list[:min(few, len(list))] {
		all = append(all, ref(e).String())
	}
	if n := len(list) - few; n > 0 {
		all = append(all, fmt.Sprintf("%d more", n))
	}
	return strings.Join(all, ", ")
}
