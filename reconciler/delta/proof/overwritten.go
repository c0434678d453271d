package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// LogVersion is one version of a file of the log, in a store that keeps what is written again.
type LogVersion struct {
	Name   string // without the folder
	Tag    string // that of its content; "" where nothing tells
	Marker bool   // it says that the file was removed
}

// Overwritten finds commits that were written twice: whoever made the first one believes that it
// is part of the table, and nobody who reads the table knows of it. Versions of one file are
// given newest first. A commit that was removed in between belonged to a table before this one,
// and one with the same content is a request that was sent twice.
func Overwritten(all []LogVersion) *Finding {
	newer := map[string]LogVersion{}
	twice := map[int64]bool{}
	for _, v := range all {
		f := ReadName(v.Name, 0, time.Time{})
		if f.Kind != LogCommit {
			continue
		}
		after, known := newer[v.Name]
		newer[v.Name] = v
		if known && !v.Marker && !after.Marker && v.Tag != after.Tag {
			twice[f.Version] = true
		}
	}
	if len(twice) == 0 {
		return nil
	}
	versions := slices.Sorted(maps.Keys(twice))
	var first []string
	for _, v := range versions[:min(len(versions), samplesKept)] {
		first = append(first, fmt.Sprint(v))
	}
	return &Finding{FoundLostCommit, fmt.Sprintf("%s written twice, with different content: version %s. What was written first is lost to all who read the table, and its files look like orphans; the older version of the object still holds it. Two writers committed at once without a lock between them; have one write at a time, and the job whose commit was lost write again", wereCommits(len(versions)), strings.Join(first, ", ")), EffectCritical}
}

func wereCommits(n int) string {
	if n == 1 {
		return "1 commit was"
	}
	return spec.Counted(int64(n), "commit") + " were"
}
