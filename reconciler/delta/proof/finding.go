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
	FoundCompaction        Kind = "compaction-divergence" // a file of several commits in one and the commits disagree
	FoundDivergence        Kind = "checkpoint-divergence" // the newest checkpoint and the log disagree
	FoundOneWitness        Kind = "one-witness"           // nothing but the newest checkpoint says what is live
	FoundAnomaly           Kind = "anomaly"               // files were added, never removed, and are not in the table
	FoundNested            Kind = "nested-table"
	FoundClone             Kind = "clone-referenced"
	FoundClonesUnknown     Kind = "clones-unknown" // a table could not be read that may use this one's files
	FoundPinned            Kind = "version-lost"   // a version to be kept is older than the log
	FoundStream            Kind = "stream"         // nobody can tell what a stream still needs, or it needs more than the rule keeps
	FoundUnproven          Kind = "unproven"       // files were removed, and a lite look cannot prove them dead
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
	FoundSpark       Kind = "spark"             // Spark did not do what it was to do
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

// mendHollow is what to do about live files that are missing.
const mendHollow = "bring them back before anybody writes to it: with flumen-agent retention undo, where a run of this agent removed them, else from the versions of the bucket or a backup; what nobody has any more a RESTORE to an older version does without"

// doubts are what the replay heard that does not fit together.
func (r *Replay) doubts() []Finding {
	var all []Finding
	if lost := r.lost(); lost > 0 {
		all = append(all, stop(FoundDivergence, "the newest checkpoint, of version %d, lacks %s that the log says %s live: whoever wrote it lost something; let Spark write another one", r.newest, spec.Counted(int64(lost), "file"), is(lost)))
	}
	if r.stale.n > 0 {
		all = append(all, stop(FoundDivergence, "the newest checkpoint, of version %d, has files that the log says were removed: %s; let Spark write another one", r.newest, r.stale))
	}
	if r.spellings.n > 0 {
		all = append(all, note(FoundEncodingMismatch, "files stay since their removal is spelled in another way, so that some engines still read them: %s; let one that does delete their rows again", r.spellings))
	}
	if n := len(r.Log.Below); n > 0 {
		all = append(all, note(FoundLogHole, "versions %d to %d of the log are missing: what left the table before then cannot be proven; bring them back from the versions of the bucket or a backup, or leave those files", r.Log.Below[n-1].Version+1, r.Log.Start()-1))
	}
	return append(all, r.unwitnessed()...)
}

// unwitnessed says what of the newest checkpoint there is nothing to hold against. Its own commit, which a cleanup keeps
// beside it, and commits that do not go back to the beginning or to an older checkpoint, show only what they changed.
func (r *Replay) unwitnessed() []Finding {
	start := r.Log.Start()
	switch {
	case r.Newest == nil || r.Witness != nil || start == 0:
		return nil
	case start < r.newest:
		return []Finding{note(FoundOneWitness, "only its newest checkpoint says which files were live before version %d, with which its log begins: nothing older is left to hold that against; let Spark write a newer checkpoint, which is held against this one", start)}
	}
	return []Finding{note(FoundOneWitness, "only its newest checkpoint says which files are live: nothing older is left to hold it against; let Spark write a newer one, which is held against this one")}
}

// lost counts files that are live for the second witness and not in the newest checkpoint.
func (r *Replay) lost() int {
	n := 0
	for m := range r.known.all() {
		if m&markWitness != 0 && m&markLive == 0 {
			n++
		}
	}
	return n
}

// pins says which versions that should stay readable cannot, and what keeps more than the rule
// says in days.
func (r *Replay) pins() []Finding {
	switch {
	case r.awaits && r.Log.Start() == 0:
		return []Finding{note(FoundPinned, "at %s, of keep_timestamps, the table had no version yet: all that it ever had stays; write a time at which it was there", day(r.pinnedAt))}
	case r.awaits:
		return []Finding{stop(FoundPinned, "keep_timestamps keeps the version of %s, which is older than the log, which begins with %d: which files it had cannot be known; give it up, or bring its commits back", day(r.pinnedAt), r.Log.Start())}
	case r.pinned >= 0 && r.Log.Start() > r.pinned+1:
		return []Finding{stop(FoundPinned, "%s version %d, which is older than the log, which begins with %d: which files it had cannot be known; give it up, or bring its commits back", r.pinnedBy, r.pinned, r.Log.Start())}
	case r.Stream != nil && r.Log.Start() > *r.Stream: // what it changed stands in its own commit alone
		return []Finding{stop(FoundPinned, "a stream of keep_streams needs version %d, which is older than the log, which begins with %d: which change data it had cannot be known; begin the stream anew, or take it out of the rule", *r.Stream, r.Log.Start())}
	case r.Stream != nil && *r.Stream > r.Log.Version:
		return []Finding{stop(FoundStream, "a stream of keep_streams needs version %d, and the newest is %d: the table is not the one that it has read; begin the stream anew, or take it out of the rule", *r.Stream, r.Log.Version)}
	case r.Stream != nil && *r.Stream < r.inForce.Version:
		return []Finding{note(FoundStream, "a stream of keep_streams still needs version %d, so that what left the table since then stays", *r.Stream)}
	}
	return nil
}
