package deltatest

import (
	"strings"
	"testing"
	"time"
)

func TestEachFileOfALargeTableHasItsFate(t *testing.T) {
	l := Large{Live: 500, Dead: 30, Orphans: 20, Commits: 10, Checkpoint: 5, Days: 7, Hours: 3, Vectors: 20, Now: time.Now()}
	vectors, count := 0, map[Fate]int{}
	_ = l.Data(func(key string, _ time.Time) error {
		count[l.Fate(key)]++
		if strings.Contains(key, vectorFile) {
			vectors++
		}
		return nil
	})
	if vectors == 0 || count[Needed] != l.Live+vectors || count[Dead] != l.Dead || count[Orphan] != l.Orphans || count[Foreign] != 0 {
		t.Errorf("%v with %d files of vectors, of %+v", count, vectors, l)
	}
	for _, key := range []string{
		"", l.live(500), l.dead(30), l.orphan(20), "x" + l.live(1), "day=001/" + l.dead(1)[len("day=001/hour=000/"):],
		"deletion_vector_00000000-0000-0000-0000-000000000004.bin", "deletion_vector_00000000-0000-0000-0000-000000000000.bin",
	} {
		if f := l.Fate(key); f != Foreign {
			t.Errorf("%q has the fate %d, and the table has no such file", key, f)
		}
	}
}

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

func TestDigestOfALargeTableIsThatOfItsNamesAndCommits(t *testing.T) {
	l := Large{Live: 40, Dead: 4, Orphans: 2, Commits: 10, Checkpoint: 5, Days: 2, Now: time.Now()}
	other, later := l, l
	other.Dead++
	later.Now = l.Now.Add(time.Hour)
	digest := func(l Large) string {
		d, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if digest(l) == digest(other) || digest(l) != digest(later) {
		t.Errorf("%s, %s with another dead file, %s an hour later", digest(l), digest(other), digest(later))
	}
}
