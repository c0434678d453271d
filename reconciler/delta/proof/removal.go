package proof

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Ranks are how many ranks there are: see Rank.
const Ranks = 4

// Rank is when a file goes: what the log says was removed goes before what it does not name, and
// among each the deletion vectors last, since a file without its vector has rows again that were
// deleted.
func Rank(key string, removed bool) int {
	rank := 0
	if !removed {
		rank = 2
	}
	if ofVectors(key) {
		rank++
	}
	return rank
}

// ofVectors tells whether a file is one of deletion vectors, by its name.
func ofVectors(key string) bool {
	base := path.Base(key)
	return strings.Contains(base, "deletion_vector") && strings.HasSuffix(base, ".bin")
}

// Removal is what a run did to a table.
type Removal struct {
	Run      string    `json:"run"`
	By       By        `json:"by,omitempty"`
	Undo     spec.Undo `json:"undo"`                // what makes it good again; never auto
	Removed  Amount    `json:"removed"`             // from the table
	Log      Amount    `json:"log,omitzero"`        // removed from its log
	Freed    Amount    `json:"freed"`               // of both: the store has the room back
	Kept     Amount    `json:"kept,omitzero"`       // of both: the store keeps a version of it, or may
	Spared   int64     `json:"spared,omitempty"`    // a version that was committed meanwhile names them, or they were written again
	Failed   int64     `json:"failed,omitempty"`    // the store did not remove them
	Purged   Amount    `json:"purged,omitzero"`     // of earlier runs, for good: the store has the room back
	Shelved  Amount    `json:"shelved,omitzero"`    // of earlier runs: the store keeps a version of it, or may
	Until    time.Time `json:"undo_until,omitzero"` // it can be undone
	Undone   bool      `json:"undone,omitempty"`    // it was, since a live file was missing
	Verified bool      `json:"verified,omitempty"`  // all live files were there afterwards
}

// By is who removed files; "" is the agent.
type By string

// BySpark is Spark, by its VACUUM.
const BySpark By = "spark"

// Add counts a file that was removed, one of the log for itself. kept: the store keeps a version of it,
// or may.
func (r *Removal) Add(size int64, ofLog, kept bool) {
	if ofLog {
		r.Log.add(size)
	} else {
		r.Removed.add(size)
	}
	switch {
	case kept:
		r.Kept.add(size)
	case r.Undo == spec.UndoNone:
		r.Freed.add(size)
	}
}

// Purge counts a file that an earlier run had set aside and that was removed by now.
func (r *Removal) Purge(size int64, kept bool) {
	if kept {
		r.Shelved.add(size)
	} else {
		r.Purged.add(size)
	}
}

// All is what was removed from the table and its log.
func (r *Removal) All() Amount {
	return Amount{r.Removed.Files + r.Log.Files, r.Removed.Bytes + r.Log.Bytes}
}

// String is what was done, as a sentence.
func (r *Removal) String() string {
	if r.Undone {
		return r.All().String() + " were removed and brought back"
	}
	text := "removed " + r.Removed.String()
	if r.By == BySpark {
		text = "Spark removed " + r.Removed.String()
	}
	if r.Log.Files > 0 {
		text += fmt.Sprintf(", and of its log %s", r.Log)
	}
	text += fmt.Sprintf("; freed now: %s", spec.RoughSize(r.Freed.Bytes))
	if later := r.All().Bytes - r.Freed.Bytes - r.Kept.Bytes; later > 0 {
		text += fmt.Sprintf("; freed from %s on: %s", r.Until.UTC().Format("2006-01-02"), spec.RoughSize(later))
	}
	if r.Kept.Bytes > 0 {
		text += fmt.Sprintf("; freed %s: %s", whenUnversioned, spec.RoughSize(r.Kept.Bytes))
	}
	if r.Spared > 0 {
		text += fmt.Sprintf("; %s stayed, named or written again meanwhile", spec.Counted(r.Spared, "file"))
	}
	if r.Failed > 0 {
		text += fmt.Sprintf("; the store did not remove %s", spec.Counted(r.Failed, "file"))
	}
	return text
}

// whenUnversioned is when a store has the room back of what it keeps versions of.
const whenUnversioned = "when the bucket keeps no version of them (a lifecycle rule for noncurrent versions, the end of any lock)"
