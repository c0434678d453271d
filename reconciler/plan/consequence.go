package plan

import (
	"fmt"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// addConsequences drafts what follows from other drafts: a service that lives
// inside something that is replaced (its network, another's namespace) is replaced
// too, one inside something restarted is restarted, and so is one that asks for it
// (depends_on.restart). It goes on until nothing new follows.
func (b *builder) addConsequences() {
	for again := true; again; {
		again = false
		for _, s := range spec.Resources[*spec.Service](b.want) {
			for _, dep := range s.After() {
				again = b.follow(s, dep) || again
			}
		}
	}
}

// follow drafts what the change of dep means for s, and tells whether it did.
func (b *builder) follow(s *spec.Service, dep spec.Dep) bool {
	cause, moved := b.drafts[dep.Ref]
	found, exists := b.have.Found[s.Ref()]
	if _, held := b.held[s.Ref()]; held || !moved || !exists || !found.Owned {
		return false
	}
	verb := cause.change.Verb()
	why := Cause{dep.Ref, fmt.Sprintf("%s is %s", dep.Ref, past(verb))}
	service := dep.Ref.Kind == spec.KindService
	done := s.Job && found.State == drift.Done
	switch {
	case dep.Shares && (verb == VerbReplace || service && verb == VerbCreate):
		return b.strengthen(s, Replace{s, found}, why)
	case dep.Shares && service && !done && (verb == VerbRestart || verb == VerbStart && !paused(cause)),
		dep.Restarts && (verb == VerbReplace || verb == VerbRestart || verb == VerbCreate):
		return b.strengthen(s, Restart{s, found}, why)
	}
	return false
}

// paused tells whether a start only lets go on what was paused: its namespaces are the
// same as before.
func paused(d *draft) bool { return actsOn(d.change).State == drift.Paused }

// strengthen makes the draft of s at least as thorough as change.
func (b *builder) strengthen(s *spec.Service, change Change, why Cause) bool {
	d, ok := b.drafts[s.Ref()]
	if !ok {
		b.drafts[s.Ref()] = &draft{change: change, tier: b.want.TierOf(s.Ref()), because: []Cause{why}, verdict: drift.Changed}
		return true
	}
	stronger := d.change
	switch d.change.(type) {
	case Create, Replace:
		return false
	case Restart:
		if change.Verb() == VerbRestart {
			return false
		}
		stronger = change
	case Start, Wait:
		if change.Verb() == VerbRestart && d.change.Verb() == VerbStart {
			return false // it is started afresh as it is
		}
		stronger = change
	case Update:
		// An update in place and a restart cannot be one act; a new container is both.
		stronger = Replace{s, b.have.Found[s.Ref()]}
	}
	d.change, d.because = stronger, append(d.because, why)
	return true
}

// past is a verb as it is said of what happened to something.
func past(v Verb) string {
	switch v {
	case VerbBuild:
		return "built"
	case VerbPull, VerbStart, VerbRestart:
		return string(v) + "ed"
	case VerbWait:
		return "waited for"
	default:
		return string(v) + "d"
	}
}
