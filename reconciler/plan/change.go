package plan

import (
	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// Verb is what a Change does, in one word.
type Verb string

// The verbs.
const (
	VerbPull    Verb = "pull"
	VerbBuild   Verb = "build"
	VerbCreate  Verb = "create"
	VerbUpdate  Verb = "update"
	VerbReplace Verb = "replace"
	VerbStart   Verb = "start"
	VerbRestart Verb = "restart"
	VerbWait    Verb = "wait"
	VerbRemove  Verb = "remove"
)

// Change is one act that a target can do: Create, Update, Replace, Start,
// Restart, Wait or Remove. It carries all the target needs, and names what it
// acts on by the ID that was observed.
type Change interface {
	Ref() spec.Ref
	Verb() Verb
	change()
}

// Create makes something that is not there, starts it if it is a service, and
// waits until it is ready. Of an image it means: pull or build it.
type Create struct {
	Want spec.Resource
}

// Update changes fields of something in place, and starts it if it does not run.
type Update struct {
	Want   spec.Resource
	Have   drift.Found
	Fields []drift.Field
}

// Replace makes a resource anew in the place of Have, which is kept, stopped,
// until the new one is ready, and started again if that fails. Have may be of
// another Ref: a renamed service that holds a port or a volume the new one needs.
type Replace struct {
	Want spec.Resource
	Have drift.Found
}

// Start starts (or unpauses) what does not run.
type Start struct {
	Want spec.Resource
	Have drift.Found
}

// Restart stops and starts what runs.
type Restart struct {
	Want spec.Resource
	Have drift.Found
}

// Wait changes nothing: it waits until what runs is ready.
type Wait struct {
	Want spec.Resource
	Have drift.Found
}

// Remove takes away what should not be. Data goes only by a person's consent, and that only
// of a bucket: one that is empty, or WithContents.
type Remove struct {
	Have         drift.Found
	WithContents bool
}

// actsOn gives what a change acts on: nothing, for one that makes something.
func actsOn(c Change) drift.Found {
	switch c := c.(type) {
	case Update:
		return c.Have
	case Replace:
		return c.Have
	case Start:
		return c.Have
	case Restart:
		return c.Have
	case Wait:
		return c.Have
	case Remove:
		return c.Have
	}
	return drift.Found{}
}

func (c Create) Ref() spec.Ref  { return c.Want.Ref() }
func (c Update) Ref() spec.Ref  { return c.Want.Ref() }
func (c Replace) Ref() spec.Ref { return c.Want.Ref() }
func (c Start) Ref() spec.Ref   { return c.Want.Ref() }
func (c Restart) Ref() spec.Ref { return c.Want.Ref() }
func (c Wait) Ref() spec.Ref    { return c.Want.Ref() }
func (c Remove) Ref() spec.Ref  { return c.Have.Ref }

// Verb tells pulling and building an image apart from making anything else.
func (c Create) Verb() Verb {
	if image, ok := c.Want.(*spec.Image); ok {
		if image.Build != nil {
			return VerbBuild
		}
		return VerbPull
	}
	return VerbCreate
}
func (Update) Verb() Verb  { return VerbUpdate }
func (Replace) Verb() Verb { return VerbReplace }
func (Start) Verb() Verb   { return VerbStart }
func (Restart) Verb() Verb { return VerbRestart }
func (Wait) Verb() Verb    { return VerbWait }
func (Remove) Verb() Verb  { return VerbRemove }

func (Create) change()  {}
func (Update) change()  {}
func (Replace) change() {}
func (Start) change()   {}
func (Restart) change() {}
func (Wait) change()    {}
func (Remove) change()  {}
