package delta_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
)

// truth is what whoever made a table knows of it.
type truth struct {
	live, dead, orphans int
	fate                func(key string) deltatest.Fate
}

// truthOf is that of a table of the generator.
func truthOf(l deltatest.Large) truth { return truth{l.Live, l.Dead, l.Orphans, l.Fate} }

// findable counts the files that a look should name: one by the log alone cannot know of orphans.
func (t truth) findable(lite bool) int {
	if lite {
		return t.dead
	}
	return t.dead + t.orphans
}

// score judges the files that a program would remove, as a set.
type score struct {
	named    int // each counts once
	found    int // of those that a look of its kind can find
	right    int
	needed   int // live files, what belongs to them, and the log
	foreign  int // neither
	findable int
}

func (t truth) judge(names []string, lite bool) score {
	s := score{findable: t.findable(lite)}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	s.named = len(names)
	for _, key := range names {
		switch f := t.fate(key); {
		case f == deltatest.Needed:
			s.needed++
		case !f.Gone():
			s.foreign++
		default:
			s.right++
			if f == deltatest.Dead || !lite {
				s.found++
			}
		}
	}
	return s
}

func (s score) perfect() bool { return s.right == s.named && s.found == s.findable }

// precision is how much of what was named may go. Who names nothing has named nothing wrong.
func (s score) precision() float64 { return portion(s.right, s.named) }

// recall is how much was named of what could be.
func (s score) recall() float64 { return portion(s.found, s.findable) }

func portion(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// verdict says what the numbers come to: who would remove what a version needs has failed, however much else is right.
func (s score) verdict() string {
	switch {
	case s.needed > 0:
		return fmt.Sprintf("scores zero: %s live files or vectors named", grouped(s.needed))
	case s.foreign > 0:
		return fmt.Sprintf("no live file named, %s others", grouped(s.foreign))
	case s.perfect():
		return "exactly what may go"
	}
	return "no live file named"
}

// grouped writes a number as people do: 1,000,000.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// What programs name is judged as a set, against what the generator knows: as many names as there should be are
// worth nothing if they are others.
func TestNamesAreJudgedAsASet(t *testing.T) {
	l := deltatest.Large{Live: 40, Dead: 2, Orphans: 1, Commits: 10, Checkpoint: 5, Days: 2, Vectors: 20}
	of := func(f deltatest.Fate) (all []string) {
		_ = l.Data(func(key string, _ time.Time) error {
			if l.Fate(key) == f {
				all = append(all, key)
			}
			return nil
		})
		return all
	}
	live, dead, orphan := of(deltatest.Needed), of(deltatest.Dead), of(deltatest.Orphan)
	for _, c := range []struct {
		what              string
		names             []string
		lite              bool
		precision, recall float64
		verdict           string
	}{
		{"all", slices.Concat(dead, orphan), false, 1, 1, "exactly what may go"},
		{"one twice", []string{dead[0], dead[0], dead[1]}, false, 1, 2. / 3, "no live file named"},
		{"as many, but another", []string{dead[0], orphan[0], live[0]}, false, 2. / 3, 2. / 3, "scores zero: 1 live files or vectors named"},
		{"a deletion vector", slices.Concat(dead, orphan, live[len(live)-1:]), false, 3. / 4, 1, "scores zero: 1 live files or vectors named"},
		{"the log", slices.Concat(dead, orphan, []string{"_delta_log/00000000000000000009.json"}), false, 3. / 4, 1, "scores zero: 1 live files or vectors named"},
		{"a file of nobody", slices.Concat(dead, orphan, []string{"day=000/part-dead-000000099.snappy.parquet"}), false, 3. / 4, 1, "no live file named, 1 others"},
		{"by the log", dead, true, 1, 1, "exactly what may go"},
		{"an orphan is no dead file", orphan, true, 1, 0, "no live file named"},
		{"nothing", nil, false, 1, 0, "no live file named"},
	} {
		s := truthOf(l).judge(c.names, c.lite)
		if s.precision() != c.precision || s.recall() != c.recall || s.verdict() != c.verdict {
			t.Errorf("%s: precision %v, recall %v, %q, want %v, %v, %q", c.what, s.precision(), s.recall(), s.verdict(), c.precision, c.recall, c.verdict)
		}
	}
}
