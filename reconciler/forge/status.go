package forge

import (
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// State is what became of a commit.
type State string

// The states.
const (
	Pending State = "pending" // it is on its way, or something holds it
	Success State = "success" // all is as the commit says
	Failure State = "failure" // it failed, or does not load
	Error   State = "error"   // another commit came before it was done
)

// Status is the state of a commit, and why.
type Status struct {
	Commit      string `json:"commit"`
	State       State  `json:"state"`
	Description string `json:"-"`
}

// Of says what a run means for the newest commit. kept is what is known after it. A run that
// was about another revision says something of this one only if this one is in quarantine.
func Of(rep report.Report, kept report.Kept) (s Status, ok bool) {
	now := notify.Of(rep, kept)
	if kept.Wanted.Commit == "" || rep.Revision.ID != kept.Wanted.ID && now.Condition != notify.Quarantined {
		return Status{}, false
	}
	s = Status{Commit: kept.Wanted.Commit, State: Failure, Description: notify.Summary(rep, kept)}
	switch now.Condition {
	case notify.InSync:
		s.State, s.Description = Success, rep.Project+": in sync"
	case notify.Held, notify.Drift:
		s.State = Pending
	}
	return s, true
}

// Began is the status of a commit that a run has begun to bring about.
func Began(project string, rev spec.Revision) Status {
	return Status{rev.Commit, Pending, project + ": converging"}
}

// Unloadable is that of a commit whose spec does not load.
func Unloadable(rev spec.Revision, why string) Status { return Status{rev.Commit, Failure, why} }
