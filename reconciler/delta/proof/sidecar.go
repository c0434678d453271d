package proof

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// EveryCheckpoint are all checkpoints among the files of a log. The error names a file that may be
// a part of one and is of no whole checkpoint: which sidecars that needs nobody can know.
func EveryCheckpoint(files []LogFile) ([]Checkpoint, error) {
	all := completeCheckpoints(files)
	whole := map[string]bool{}
	for _, c := range all {
		for _, f := range c.Files {
			whole[f.Name] = true
		}
	}
	for _, f := range files {
		if f.maybeCheckpoint() && !whole[f.Name] {
			return nil, fmt.Errorf("%s is part of no checkpoint that is whole and of a known kind", f.Name)
		}
	}
	return all, nil
}

// maybeCheckpoint tells whether a file is one of a checkpoint, or could be of a kind that is not
// known here.
func (f LogFile) maybeCheckpoint() bool {
	switch f.Kind {
	case LogCheckpoint, LogCheckpointPart, LogCheckpointV2:
		return true
	case LogOther:
		return strings.Contains(f.Name, ".checkpoint.") && !strings.HasPrefix(f.Name, ".")
	}
	return false
}

// Unneeded are those of the files beside checkpoints that were written before the cutoff of the
// log and have the name of a sidecar.
func (s *State) Unneeded(beside []LogFile, named map[string]bool) []LogFile {
	var all []LogFile
	for _, f := range beside {
		if f.Written.Before(s.logCutoff) && isSidecar(path.Base(f.Name)) && !named[f.Name] {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b LogFile) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// isSidecar tells whether writers name sidecars so: by a UUID, which Spark has come after the name
// of a part of a checkpoint.
func isSidecar(name string) bool {
	rest, parquet := strings.CutSuffix(name, ".parquet")
	i := strings.LastIndexByte(rest, '.')
	return parquet && isUUID(rest[i+1:]) && (i < 0 || ReadName(rest[:i]+".parquet", 0, time.Time{}).Kind == LogCheckpointPart)
}
