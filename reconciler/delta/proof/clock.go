package proof

import (
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// skewAllowed is how far the clocks of the agent and of a store may be apart: beyond it
	// one of them is wrong, and nobody can say which.
	skewAllowed = 5 * time.Minute
	// slack is added to every retention, for clocks that are a little apart.
	slack = time.Hour
)

// Now is the earlier of the two clocks; the error says that they are too far apart.
func Now(agent, store time.Time) (time.Time, error) {
	if d := agent.Sub(store).Abs(); d > skewAllowed {
		return time.Time{}, fmt.Errorf("the clock of the store and that of this machine are %s apart", d.Round(time.Second))
	}
	if store.Before(agent) {
		return store, nil
	}
	return agent, nil
}

// Cutoff is the time before which a removed file may go, and how long files are kept: the
// longest of what the rule says, what the table says, and the floor.
func Cutoff(now time.Time, rule spec.RetentionRule, table Properties) (cutoff time.Time, keep time.Duration, err error) {
	own, err := table.Data()
	if err != nil {
		return time.Time{}, 0, err
	}
	keep = max(rule.Data, own, spec.Floor)
	return now.Add(-keep - slack), keep, nil
}

// CommitTimes are the times of commits by version: when their files were written, made to rise
// by version as Spark makes them. Commits are in order.
func CommitTimes(commits []LogFile) map[int64]time.Time {
	all := make(map[int64]time.Time, len(commits))
	var last time.Time
	for _, c := range commits {
		at := c.Written.Truncate(time.Millisecond)
		if !last.IsZero() && !at.After(last) {
			at = last.Add(time.Millisecond)
		}
		all[c.Version], last = at, at
	}
	return all
}
