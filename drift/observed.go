package drift

import (
	"maps"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// State is what a found thing is doing.
type State string

// The states a target reports. Networks, volumes and images that exist are Present.
const (
	Present    State = "present"
	Created    State = "created"    // made, never started
	Starting   State = "starting"   // runs; its health check has not passed, or its settle time not gone by
	Running    State = "running"    // runs and is settled; it has no health check
	Healthy    State = "healthy"    // runs, health check passed
	Unhealthy  State = "unhealthy"  // runs, health check failed
	Restarting State = "restarting" // exits and is started again by the engine, over and over
	Paused     State = "paused"
	Exited     State = "exited" // was stopped, or ended with a code other than 0
	Done       State = "done"   // a job that exited with 0
	Removing   State = "removing"
	Unknown    State = "unknown" // nobody can look at it
)

// Stopped tells whether a container in this state has to be started to run.
func (s State) Stopped() bool {
	switch s {
	case Created, Paused, Exited, Done:
		return true
	}
	return false
}

// Found is one thing as it is.
type Found struct {
	Ref spec.Ref
	// ID is the engine's own; acts address it, so that they fail when the thing
	// has been made anew in the meantime.
	ID string
	// Owned: it is ours to change, by our label or by adoption. What is not owned
	// is never touched.
	Owned  bool
	State  State
	Fields spec.Fields
	// Blind are fields that could not be told, with the reason. They are neither
	// equal nor different.
	Blind map[string]string

	// Critical says what destroys data, or shows it to everybody, as long as it stays so, such as a
	// lifecycle rule that deletes live tables; "" if nothing does.
	Critical string

	// Adopted: it was there before the agent took it over, and so stays when no tier
	// declares it any more. Only users of stores say so.
	Adopted bool

	// Left says why nobody can look at it, nor change it: its store left the spec. "" for all
	// that was looked at.
	Left string

	// Handing: a replacement that was broken off has begun to hand over from this
	// container, and may have stopped it for that.
	Handing bool
	// Anonymous: it has data in a volume without a name, which is lost to what is
	// not made to replace it.
	Anonymous bool

	Tier     string    // a service was made for, as far as its container tells
	Image    string    // the ID of the image a container was made from
	Since    time.Time // when State began, as far as the engine tells
	ExitCode int       // of a container that is not running
	OOM      bool      // the container's last end was for want of memory
	Restarts int       // by the engine, since the container was made
	Usage    *Usage    // of a bucket; nil: its store does not tell
	Note     string    // what else a person should know, or ""
}

// Observed is one look at reality.
type Observed struct {
	At    time.Time
	Found map[spec.Ref]Found
	// Blind is what could not be looked at, with the reason. A Ref without a Name
	// stands for its whole kind.
	Blind map[spec.Ref]string
	// Busy are those of Blind whose store has answered that it has no time: they can be looked
	// at when it has.
	Busy map[spec.Ref]bool
}

// Merge joins what several targets saw. Each kind is seen by one target only.
func Merge(all ...Observed) Observed {
	sum := Observed{Found: map[spec.Ref]Found{}, Blind: map[spec.Ref]string{}, Busy: map[spec.Ref]bool{}}
	for _, o := range all {
		if sum.At.IsZero() || o.At.Before(sum.At) {
			sum.At = o.At
		}
		maps.Copy(sum.Found, o.Found)
		maps.Copy(sum.Blind, o.Blind)
		maps.Copy(sum.Busy, o.Busy)
	}
	return sum
}

// Unseen gives the reason why ref, or its whole kind, could not be looked at.
func (o Observed) Unseen(ref spec.Ref) (reason string, unseen bool) {
	if reason, unseen = o.Blind[ref]; unseen {
		return reason, true
	}
	reason, unseen = o.Blind[spec.Ref{Kind: ref.Kind}]
	return reason, unseen
}

// Refs are those of everything found, in order.
func (o Observed) Refs() []spec.Ref {
	return slices.SortedFunc(maps.Keys(o.Found), spec.Ref.Compare)
}
