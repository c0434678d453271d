package proof

import (
	"fmt"

	"github.com/flumendata/flumen-agent/spec"
)

// Finding is something about a table that a person should know.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Says   string `json:"says"`
	Effect Effect `json:"effect"`
}

// Kind is what was found.
type Kind string

// The kinds of findings.
const (
	FoundRefused           Kind = "refused"
	FoundUnseen            Kind = "unseen"                // the store did not let it be looked at
	FoundHollow            Kind = "hollow"                // live files are not there
	FoundCheckpointCorrupt Kind = "checkpoint-corrupt"    // one could not be read, and an older one was taken
	FoundLogHole           Kind = "log-hole"              // commits are missing below a checkpoint
	FoundEncodingMismatch  Kind = "encoding-mismatch"     // a removal is spelled unlike the file
	FoundDivergence        Kind = "checkpoint-divergence" // the newest checkpoint and the log disagree
	FoundOneWitness        Kind = "one-witness"           // nothing but the newest checkpoint says what is live
	FoundAnomaly           Kind = "anomaly"               // files were added, never removed, and are not in the table
	FoundNested            Kind = "nested-table"
	FoundClone             Kind = "clone-referenced"
	FoundClonesUnknown     Kind = "clones-unknown" // a table could not be read that may use this one's files
	FoundPinned            Kind = "version-lost"   // a version to be kept is older than the log
	FoundGuard             Kind = "guard"          // the plan wants more than the rule allows
	FoundProperty          Kind = "property"       // the table's own retention is not the rule's
	FoundWriter            Kind = "writer"         // its writer is known to clean logs up wrongly
	FoundLogKept           Kind = "log-kept"       // versions of the log are expired and cannot go
	FoundLostCommit        Kind = "lost-commit"    // a commit was written over by another one
	FoundLocation          Kind = "location"       // the metastore has the table at another place
	FoundOutside           Kind = "outside"        // the metastore has a table where nobody looked
	FoundTwoNames          Kind = "two-names"      // different rules count for one table
	FoundUnregistered      Kind = "unregistered"   // the metastore does not know the table, and its rule depends on its name
	FoundNameless          Kind = "names-unknown"  // the metastore could not be asked

	// Of a run.
	FoundFirst       Kind = "first-report"      // the first run by a rule needs an earlier report by it
	FoundLocked      Kind = "locked"            // until an operator acts
	FoundBusy        Kind = "busy"              // another process is at it
	FoundNoKey       Kind = "no-delete-key"     // nothing may be removed without one
	FoundNoUndo      Kind = "no-undo"           // what is removed could not be had back in the way that the rule says
	FoundStopped     Kind = "stopped"           // a run ended before all had gone
	FoundInterrupted Kind = "interrupted"       // an earlier run was cut off
	FoundUnverified  Kind = "unverified"        // nobody could look whether all live files are there
	FoundLost        Kind = "live-file-removed" // a live file is missing after a run
	FoundPurge       Kind = "purge"             // what was set aside earlier could not be removed for good
)

// Effect is what a finding means for the plan.
type Effect string

// The effects, the mildest first.
const (
	EffectNote     Effect = "note"
	EffectStop     Effect = "stop"     // nothing of this table may go
	EffectRefuse   Effect = "refuse"   // the table is left alone altogether
	EffectCritical Effect = "critical" // something of the table is lost
)

func note(k Kind, format string, args ...any) Finding {
	return Finding{k, fmt.Sprintf(format, args...), EffectNote}
}

func stop(k Kind, format string, args ...any) Finding {
	return Finding{k, fmt.Sprintf(format, args...), EffectStop}
}

// doubts are what the replay heard that does not fit together.
func (r *Replay) doubts() []Finding {
	var all []Finding
	if lost := r.lost(); lost > 0 {
		all = append(all, stop(FoundDivergence, "the newest checkpoint, of version %d, lacks %s that the log says %s live: whoever wrote it lost something; let Spark write another one", r.newest, spec.Counted(int64(lost), "file"), is(lost)))
	}
	if r.stale.n > 0 {
		all = append(all, stop(FoundDivergence, "the newest checkpoint, of version %d, has files that the log says were removed: %s", r.newest, r.stale))
	}
	if r.spellings.n > 0 {
		all = append(all, note(FoundEncodingMismatch, "files stay since their removal is spelled in another way, so that some engines still read them: %s", r.spellings))
	}
	if n := len(r.Log.Below); n > 0 {
		all = append(all, note(FoundLogHole, "versions %d to %d of the log are missing: what left the table before then cannot be proven", r.Log.Below[n-1].Version+1, r.Log.Start()-1))
	}
	if r.Newest != nil && r.Witness == nil && r.Log.Start() > r.newest {
		all = append(all, note(FoundOneWitness, "only its newest checkpoint says which files are live: nothing older is left to hold it against"))
	}
	return all
}

// lost counts files that are live for the second witness and not in the newest checkpoint.
func (r *Replay) lost() int {
	n := 0
	for _, m := range r.known {
		if m&markWitness != 0 && m&markLive == 0 {
			n++
		}
	}
	return n
}

// pins says which versions that should stay readable cannot.
func (r *Replay) pins() []Finding {
	if r.pinned >= 0 && r.Log.Start() > r.pinned+1 {
		return []Finding{stop(FoundPinned, "version %d of keep_versions is older than the log, which begins with %d: which files it had cannot be known", r.pinned, r.Log.Start())}
	}
	return nil
}
