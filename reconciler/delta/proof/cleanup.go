package proof

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// logCutoff is the time before which versions of the log need not be readable: as Spark has it,
// the beginning of a day. The log is the proof for data, and is kept as long as that at least. There is none
// where the table says in words that nobody can read how long that is.
func logCutoff(t Terms) time.Time {
	own, err := t.Head.Metadata.Properties.span(propertyLog, DefaultLog)
	if err != nil {
		return time.Time{}
	}
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
	if s.Rule.LogCleanup == spec.HandlingOff || set && cleanup != "true" {
		return nil, nil
	}
	refuse := func(format string, args ...any) ([]Checkpoint, *Finding) {
		f := note(FoundLogKept, format, args...)
		return nil, &f
	}
	if _, err := p.span(propertyLog, DefaultLog); err != nil {
		return refuse("no version of its log counts as expired: %v", err)
	}
	if s.expired < 0 {
		return nil, nil
	}
	upto := s.expired
	if s.pinned >= 0 {
		upto = min(upto, s.pinned)
	}
	if len(s.Log.Below) > 0 {
		return refuse("versions of its log are missing, so that nothing of it is counted as expired")
	}
	least := s.Log.Start()
	if slices.Contains(s.Head.Protocol.Features, "checkpointProtection") {
		guarded, known := p.guardedBefore()
		switch {
		case !known:
			return refuse("the feature checkpointProtection guards old versions of its log, and %s does not say which", propertyGuarded)
		case guarded > upto:
			return refuse("the feature checkpointProtection guards its log before version %d: all of that goes at once, when version %d has expired", guarded, guarded)
		}
		least = max(least, guarded)
	}
	for _, c := range s.Log.Checkpoints {
		if c.Version <= upto && c.Version >= least && s.datesItself(c.Version) {
			all = append(all, c)
		}
	}
	if len(all) == 0 && upto-s.Log.Start() >= checkpointsMissed {
		return refuse("versions %d to %d of its log are expired, and there is no checkpoint at or before the last of them: let Spark write one", s.Log.Start(), upto)
	}
	return all, nil
}

// datesItself tells whether a version has its time from its own file. The time of one whose writer's
// clock was behind comes from the version before, and would be lost with that one: then it and what
// comes after it would be taken for older than they are.
func (s *State) datesItself(version int64) bool {
	if s.Head.clocked && version >= s.Head.clockedSince {
		return true
	}
	i := version - s.Log.Start()
	if i < 0 || i >= int64(len(s.Log.Run)) {
		return false // its commit is not there, so that it can be no boundary either
	}
	return s.times[version].Equal(s.Log.Run[i].Written.Truncate(time.Millisecond))
}

// Expired are the files of the log that are older than a checkpoint, in the order in which they
// may go: commits from the oldest on, then checkpoints, so that the log is one after each of them.
// Where that checkpoint is of the new kind, the newest of the classic kind stays: readers that do
// not know the new kind learn from it that they may not read the table.
func (l Log) Expired(oldest Checkpoint) []LogFile {
	stays := map[string]bool{}
	if oldest.Files[0].Kind == LogCheckpointV2 {
		for _, c := range l.Checkpoints { // newest first
			if c.Version < oldest.Version && c.Files[0].Kind != LogCheckpointV2 {
				for _, f := range c.Files {
					stays[f.Name] = true
				}
				break
			}
		}
	}
	var all []LogFile
	for _, f := range l.All {
		if rankOfLog(f.Kind) > 0 && f.Version < oldest.Version && !stays[f.Name] {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b LogFile) int {
		return cmp.Or(cmp.Compare(rankOfLog(a.Kind), rankOfLog(b.Kind)), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// rankOfLog is when files of a kind go; 0: never.
func rankOfLog(k LogKind) int {
	switch k {
	case LogCompacted:
		return 1 // nothing needs them while the commits are there
	case LogCommit, LogSum:
		return 2
	case LogCheckpoint, LogCheckpointPart, LogCheckpointV2:
		return 3
	}
	return 0
}

// Upto is the log as it was when a checkpoint was the newest and nothing came after it.
func (l Log) Upto(c Checkpoint) Log {
	one := Log{Version: c.Version, Sums: l.Sums, All: l.All}
	one.Run, one.Below = slices.Clone(l.Run), l.Below
	one.Run = slices.DeleteFunc(one.Run, func(f LogFile) bool { return f.Version > c.Version })
	one.Checkpoints = append(one.Checkpoints, c)
	for _, other := range l.Checkpoints {
		if other.Version < c.Version {
			one.Checkpoints = append(one.Checkpoints, other)
		}
	}
	return one
}

// Holds tells whether a checkpoint and its commit are in a listing as they were, and that whoever
// reads the table begins with it or with a later one.
func (l Log) Holds(c Checkpoint, listed []LogFile, hinted int64) error {
	want := slices.Clone(c.Files)
	for _, f := range l.Run {
		if f.Version == c.Version {
			want = append(want, f)
		}
	}
	for _, f := range want {
		if !slices.ContainsFunc(listed, f.Same) {
			return fmt.Errorf("%s of its log, which has to stay, is not there any more as it was: nothing more of the log is removed", f.Name)
		}
	}
	if hinted < c.Version {
		return fmt.Errorf("_last_checkpoint names version %d by now, and %d is the oldest checkpoint that would stay: nothing more of the log is removed", hinted, c.Version)
	}
	return nil
}

// Same tells whether a file of a listing is the same one, unchanged.
func (f LogFile) Same(o LogFile) bool {
	return f.Name == o.Name && f.Size == o.Size && f.Tag == o.Tag && f.Written.Equal(o.Written)
}

// CountExpired takes in what of the log is expired, and whether the rule lets it go.
func (t *Table) CountExpired(files []LogFile, goes bool) {
	for _, f := range files {
		t.Expired.add(f.Size)
		if goes {
			t.LogGoes.add(f.Size)
		}
	}
}
