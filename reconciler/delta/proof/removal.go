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
	if base := path.Base(key); strings.Contains(base, "deletion_vector") && strings.HasSuffix(base, ".bin") {
		rank++
	}
	return rank
}

// Removal is what a run did to a table.
type Removal struct {
	Run      string    `json:"run"`
	Undo     spec.Undo `json:"undo"`                // what makes it good again; never auto
	Removed  Amount    `json:"removed"`             // from the table
	Log      Amount    `json:"log,omitzero"`        // removed from its log
	Freed    Amount    `json:"freed"`               // of both: the store has the room back
	Spared   int64     `json:"spared,omitempty"`    // a version that was committed meanwhile names them, or they were written again
	Failed   int64     `json:"failed,omitempty"`    // the store did not remove them
	Purged   Amount    `json:"purged,omitzero"`     // of earlier runs, for good
	Until    time.Time `json:"undo_until,omitzero"` // it can be undone
	Undone   bool      `json:"undone,omitempty"`    // it was, since a live file was missing
	Verified bool      `json:"verified,omitempty"`  // all live files were there afterwards
}

// Add counts a file that was removed, one of the log for itself.
func (r *Removal) Add(size int64, ofLog bool) {
	if ofLog {
		r.Log.add(size)
	} else {
		r.Removed.add(size)
	}
	if r.Undo == spec.UndoNone {
		r.Freed.add(size)
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
	if r.Log.Files > 0 {
		text += fmt.Sprintf(", and of its log %s", r.Log)
	}
	text += fmt.Sprintf("; freed now: %s", spec.RoughSize(r.Freed.Bytes))
	if later := r.All().Bytes - r.Freed.Bytes; later > 0 {
		text += fmt.Sprintf("; freed %s: %s", r.later(), spec.RoughSize(later))
	}
	if r.Spared > 0 {
		text += fmt.Sprintf("; %s stayed, named or written again meanwhile", spec.Counted(r.Spared, "file"))
	}
	if r.Failed > 0 {
		text += fmt.Sprintf("; the store did not remove %s", spec.Counted(r.Failed, "file"))
	}
	return text
}

// later is when the store has its room back.
func (r *Removal) later() string {
	if r.Undo == spec.UndoVersioning {
		return "when a lifecycle rule (or lock) lets noncurrent versions go"
	}
	return "from " + r.Until.UTC().Format("2006-01-02") + " on"
}
