package proof

import (
	"errors"
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Keeping is what a store keeps of files that are removed from a table.
type Keeping struct {
	All, Some bool          // it keeps versions of all; it may keep some
	Locks     bool          // and files may be locked
	LockedFor time.Duration // each file, from when it was written; 0: only those that somebody locks
	Why       string        // nobody could ask; nothing else counts then
}

// Frees is when a store has the room back of what a plan lets go: at once, when a run can no longer be undone, or when
// the store lets go of the versions that it keeps.
type Frees struct {
	Undo   spec.Undo `json:"undo,omitempty"`        // what would make a run good again
	Now    Amount    `json:"now"`                   // at once
	Later  Amount    `json:"later"`                 // After the run
	Kept   Amount    `json:"kept"`                  // when no version is kept any more
	After  string    `json:"later_after,omitempty"` // as in "7d"
	Locks  bool      `json:"object_lock,omitempty"`
	Locked string    `json:"locked_for,omitempty"` // as in "30d": each file from when it was written
	Why    string    `json:"unknown,omitempty"`    // nobody can tell, and nothing else counts
}

// UndoBy is how what is removed from the table can be had back, in a store that keeps versions of all that is removed
// or does not. The error says that it cannot be in the way that the rule asks for.
func (t *Table) UndoBy(way spec.Undo, versioned bool) (spec.Undo, error) {
	switch {
	case t.BySpark && versioned && way != spec.UndoQuarantine:
		return spec.UndoVersioning, nil
	case t.BySpark && way != spec.UndoNone:
		return "", errors.New("nothing is set aside by Spark: switch the versioning of the bucket on, or write undo: none")
	case way == spec.UndoVersioning && !versioned:
		return "", errors.New("undo: versioning: the store does not keep versions of all that is removed from this table: switch the versioning of its bucket on, or write undo: quarantine")
	case way == spec.UndoAuto && versioned:
		return spec.UndoVersioning, nil
	case way == spec.UndoAuto:
		return spec.UndoQuarantine, nil
	}
	return way, nil
}

// Free says when the room of what goes is free, in a store that keeps what it keeps.
func (t *Table) Free(rule spec.RetentionRule, store Keeping) {
	all := t.Goes
	all.plus(t.LogGoes)
	if all.Files == 0 {
		return
	}
	f := &Frees{Why: store.Why}
	t.Frees = f
	if f.Why != "" {
		return
	}
	way, err := t.UndoBy(rule.Undo, store.All)
	if err != nil {
		f.Why = "a run would remove nothing: " + err.Error()
		return
	}
	switch f.Undo = way; {
	case store.Some:
		if f.Kept, f.Locks = all, store.Locks; store.LockedFor > 0 {
			f.Locked = spec.Span(store.LockedFor)
		}
	case way == spec.UndoNone:
		f.Now = all
	default:
		f.Later, f.After = all, spec.Span(rule.UndoKeep)
	}
}

// String is "a run frees 0 B now, and 88.0 GiB 7d later, when it can no longer be undone".
func (f *Frees) String() string {
	if f.Why != "" {
		return "when the room is free is not known: " + f.Why
	}
	text := fmt.Sprintf("a run frees %s now", spec.RoughSize(f.Now.Bytes))
	if f.Later.Files > 0 {
		text += fmt.Sprintf(", and %s %s later, when it can no longer be undone", spec.RoughSize(f.Later.Bytes), f.After)
	}
	if f.Kept.Files > 0 {
		text += fmt.Sprintf(", and %s %s", spec.RoughSize(f.Kept.Bytes), whenUnversioned)
		switch {
		case f.Locked != "":
			text += ": its object lock keeps each file for " + f.Locked + " after it was written"
		case f.Locks:
			text += ": it has object lock"
		}
	}
	return text
}
