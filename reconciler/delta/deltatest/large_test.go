package deltatest

import (
	"testing"
	"time"
)

// Ten thousand versions over fifty days, in nanoseconds, do not fit into 64 bits.
func TestVersionsOfALargeTableFollowEachOther(t *testing.T) {
	l := Large{Live: 10, Commits: 10_000, Days: 1, Now: time.Now()}
	before, after := l.Now.Add(-largeBegan-time.Second), l.Now.Add(-largeRemoved)
	err := l.Log(func(name string, _ []byte, written time.Time) error {
		if !written.After(before) || written.After(after) {
			t.Fatalf("%s is of %v, the version before it of %v, and the last one should be of %v", name, written, before, after)
		}
		before = written
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
