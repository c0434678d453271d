package proof

import (
	"cmp"
	"fmt"
	"slices"
)

// Log is what the names in _delta_log say is there.
type Log struct {
	Version int64 // the newest
	// Run are the commits without a gap up to the newest, oldest first. There may be none,
	// when only a checkpoint is left.
	Run []LogFile
	// Below are older commits, beyond a gap: what a broken cleanup left.
	Below       []LogFile
	Checkpoints []Checkpoint // those that are complete by their names, newest first
	Sums        map[int64]LogFile
	All         []LogFile
}

// Checkpoint is the state of one version in one or more files.
type Checkpoint struct {
	Version int64
	Files   []LogFile // in the order of their parts
	V2      bool      // the file may name sidecars
}

// String names its first file.
func (c Checkpoint) String() string { return c.Files[0].Name }

// ReadLog puts the files of a log in order. The error says why there is no state to be read.
func ReadLog(files []LogFile) (Log, error) {
	l := Log{Sums: map[int64]LogFile{}, Version: -1, All: files}
	var commits []LogFile
	for _, f := range files {
		switch f.Kind {
		case LogCommit:
			commits = append(commits, f)
		case LogSum:
			l.Sums[f.Version] = f
		}
	}
	l.Checkpoints = completeCheckpoints(files)
	slices.SortFunc(commits, func(a, b LogFile) int { return cmp.Compare(a.Version, b.Version) })
	l.Run, l.Below = lastRun(commits)
	if len(l.Checkpoints) > 0 {
		l.Version = l.Checkpoints[0].Version
	}
	if len(l.Run) == 0 {
		if l.Version < 0 {
			return l, fmt.Errorf("its log holds no commit and no complete checkpoint")
		}
		return l, nil
	}
	newest := l.Run[len(l.Run)-1].Version
	if newest < l.Version {
		return l, fmt.Errorf("the checkpoint of version %d is newer than the newest commit, %d", l.Version, newest)
	}
	l.Version = newest
	return l, nil
}

// lastRun splits commits, in order, after the last gap.
func lastRun(commits []LogFile) (run, below []LogFile) {
	for i := len(commits) - 1; i > 0; i-- {
		if commits[i-1].Version != commits[i].Version-1 {
			return commits[i:], commits[:i]
		}
	}
	return commits, nil
}

// Start is the version from which the commits are held without a gap; one after the newest if
// none is.
func (l Log) Start() int64 {
	if len(l.Run) == 0 {
		return l.Version + 1
	}
	return l.Run[0].Version
}

// Supports tells whether a state can be made of a checkpoint and the commits after it; version
// -1 stands for no checkpoint.
func (l Log) Supports(version int64) bool { return l.Start() <= version+1 }

// Oldest is the oldest version that the log can still make a state of.
func (l Log) Oldest() int64 {
	if l.Start() == 0 {
		return 0
	}
	oldest := l.Version
	for _, c := range l.Checkpoints {
		if l.Supports(c.Version) {
			oldest = min(oldest, c.Version)
		}
	}
	return oldest
}

// Choice tells whether the newest checkpoint has others of the same version beside it: which of them a
// reader begins with is up to the reader.
func (l Log) Choice() bool {
	return len(l.Checkpoints) > 1 && l.Checkpoints[0].Version == l.Checkpoints[1].Version
}

// After are the commits of the run that are newer than a version, oldest first.
func (l Log) After(version int64) []LogFile {
	i, _ := slices.BinarySearchFunc(l.Run, version+1, func(f LogFile, v int64) int { return cmp.Compare(f.Version, v) })
	return l.Run[i:]
}

// completeCheckpoints finds those of which every part is there and none is empty.
func completeCheckpoints(files []LogFile) []Checkpoint {
	type group struct {
		version int64
		parts   int
	}
	var all []Checkpoint
	parted := map[group][]LogFile{}
	for _, f := range files {
		switch {
		case f.Size == 0:
		case f.Kind == LogCheckpoint, f.Kind == LogCheckpointV2:
			// One of the classic name may be of the new kind too.
			all = append(all, Checkpoint{f.Version, []LogFile{f}, true})
		case f.Kind == LogCheckpointPart:
			of := group{f.Version, f.Parts}
			parted[of] = append(parted[of], f)
		}
	}
	for of, parts := range parted {
		slices.SortFunc(parts, func(a, b LogFile) int { return cmp.Compare(a.Part, b.Part) })
		if len(parts) == of.parts { // names differ, so they are 1 to n
			all = append(all, Checkpoint{of.version, parts, false})
		}
	}
	slices.SortFunc(all, func(a, b Checkpoint) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(len(a.Files), len(b.Files)), cmp.Compare(a.String(), b.String()))
	})
	return all
}

// Disagree gives the name of a commit up to a version that two lists of a log do not agree on; "" if there is none. Those
// at the old end of the log may be gone by the later one: it was cleaned up.
func Disagree(earlier, later []LogFile, upto int64) string {
	counts := func(f LogFile) bool { return f.Kind == LogCommit && f.Version <= upto }
	had, has, newest, oldest := map[int64]LogFile{}, map[int64]bool{}, int64(-1), upto
	for _, f := range earlier {
		if counts(f) {
			had[f.Version], newest = f, max(newest, f.Version)
		}
	}
	for _, f := range later {
		if !counts(f) {
			continue
		}
		one, ok := had[f.Version]
		if !ok || one.Name != f.Name || one.Size != f.Size || one.Tag != f.Tag || !one.Written.Equal(f.Written) {
			return f.Name
		}
		has[f.Version], oldest = true, min(oldest, f.Version)
	}
	for _, f := range earlier {
		if counts(f) && !has[f.Version] && (f.Version > oldest || f.Version == newest) {
			return f.Name
		}
	}
	return ""
}
