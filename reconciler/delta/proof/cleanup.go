package proof

import (
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// logCutoff is the time before which versions of the log need not be readable: as Spark has it,
// the beginning of a day. The log is the proof for data, and is kept as long as that at least.
func logCutoff(t Terms) time.Time {
	own := t.Head.Metadata.Properties.mustSpan(propertyLog, DefaultLog)
	keep := max(t.Rule.Log, own, t.Now.Sub(t.Cutoff))
	return t.Now.Add(-keep).UTC().Truncate(24 * time.Hour)
}

// checkpointsMissed is how many versions without a checkpoint are worth a word: Spark writes one
// every ten, if nobody told it otherwise.
const checkpointsMissed = 100

// Boundaries are the checkpoints that a cleanup of the log could keep as its oldest, newest first:
// everything older than that is not needed to read any version that stays. The finding says why
// there is none though there is something to clean up.
func (s *State) Boundaries() (all []Checkpoint, why *Finding) {
	p := s.Head.Metadata.Properties
	cleanup, set := p.get(propertyLogCleanup)
	if s.Rule.LogCleanup == spec.HandlingOff || set && cleanup != "true" || s.expired < 0 {
		return nil, nil
	}
	upto := s.expired
	if s.pinned >= 0 {
		upto = min(upto, s.pinned)
	}
	refuse := func(format string, args ...any) ([]Checkpoint, *Finding) {
		f := note(FoundLogKept, format, args...)
		return nil, &f
	}
	switch {
	case slices.Contains(s.Head.Protocol.Features, "checkpointProtection"):
		return refuse("the feature checkpointProtection guards old versions of its log")
	case len(s.Log.Below) > 0:
		return refuse("versions of its log are missing, so that nothing of it is counted as expired")
	}
	for _, c := range s.Log.Checkpoints {
		if c.Version <= upto && c.Version >= s.Log.Start() {
			all = append(all, c)
		}
	}
	if len(all) == 0 && upto-s.Log.Start() >= checkpointsMissed {
		return refuse("versions %d to %d of its log are expired, and there is no checkpoint at or before the last of them: let Spark write one", s.Log.Start(), upto)
	}
	return all, nil
}

// Expired sums up what of the log is older than a checkpoint.
func (l Log) Expired(oldest Checkpoint) Amount {
	var all Amount
	for _, f := range l.All {
		switch f.Kind {
		case LogCommit, LogSum, LogCheckpoint, LogCheckpointPart, LogCheckpointV2, LogCompacted:
			if f.Version < oldest.Version {
				all.add(f.Size)
			}
		}
	}
	return all
}
