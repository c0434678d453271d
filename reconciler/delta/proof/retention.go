package proof

import (
	"cmp"
	"strings"
	"time"
	"unicode/utf8"
)

// Class is what a listed file is to its table.
type Class int

// The classes. Only Dead, Orphan, Change and Foreign can ever go.
const (
	Live     Class = iota // the newest version has it
	Window                // a version that stays readable has it, or may have it
	Young                 // nothing has it, and it was written too lately: it may not be committed yet
	Dead                  // it was removed from the table before the cutoff, and everything since is known: class A of evidence
	Orphan                // no version since the cutoff knew it, and all are known: class B
	Change                // change data that nobody can be reading any more
	Unproven              // nothing has it, and the log does not reach back far enough to show that: class C
	Anomaly               // it was added and never removed, and is not in the table: class D
	Foreign               // no writer of Delta gives its files such a name
	Hidden                // readers never see it
	Nested                // another table's
	Marker                // an empty key that stands for a folder
	Waiting               // the log does not name it, and our own lists have not shown it for as long as min_age
)

// Judge says what a file is to the table, once the replay has heard everything. Each file is
// judged once: what is judged is noted to be there.
func (s *State) Judge(f File) Class {
	own, byName := s.list(f.Key)
	protected := (own|byName)&markProtected != 0
	switch {
	case f.Key == "" || f.Key[len(f.Key)-1] == '/':
		return Marker
	case !utf8.ValidString(f.Key):
		return Hidden // no log can name it, nor can anything that is written down about it
	case s.nested(f.Key):
		return Nested
	case protected && (own|byName)&markExpected != 0:
		return Live
	case protected:
		return Window
	case hidden(f.Key, s.partitions):
		return Hidden
	case !f.Written.Before(s.youngest):
		return Young
	case own&markExpired != 0 && s.covered:
		return dead(f.Key)
	case own&(markAdded|markExpired) == markAdded:
		return Anomaly
	case own&(markNamed|markExpired) != 0:
		return Unproven
	case foreign(f.Key):
		return Foreign
	case !s.covered:
		return Unproven
	case changeData(f.Key):
		return Change
	}
	return Orphan
}

func dead(key string) Class {
	if changeData(key) {
		return Change
	}
	return Dead
}

// Lives tells whether a file of which nothing but its name is known is live, and notes that it is there. Judge would say
// so too, whatever else it is. One with a deletion vector is left to that, and all where other tables lie below: which of
// the live files are theirs the sum of Lived does not know.
func (s *State) Lives(key string) bool {
	if !utf8.ValidString(key) || len(s.others) > 0 {
		return false
	}
	own := s.of(ofFile, key)
	if s.known.at(own)&(markLive|markExpected|markProtected) != markLive|markExpected|markProtected {
		return false
	}
	s.set(own, markListed)
	s.lived++
	return true
}

// Lived is how many files Lives has said that of, and how large all live files without a vector are by the log.
func (s *State) Lived() Amount {
	if s.lived == 0 {
		return Amount{}
	}
	return Amount{s.lived, s.plainBytes}
}

// Goes tells whether the rule of the table lets files of a class go.
func (s *State) Goes(c Class) bool {
	switch c {
	case Dead:
		return true
	case Orphan:
		return !s.Rule.KeepOrphans
	case Change:
		return s.Rule.ChangeData
	case Foreign:
		return s.Rule.ForeignFiles && s.covered
	}
	return false
}

// Evidence is what shows that a file which goes is dead: the version that removed it, or, where
// none did, the one since which no version knew it.
func (s *State) Evidence(key string) (version int64, removed bool) {
	if by, removed := s.by[s.of(ofFile, key)]; removed {
		return by.version(), true
	}
	return s.Log.Start(), false
}

// State is a replay that has heard everything.
type State struct {
	*Replay
	partitions []string
	youngest   time.Time // what was written at this time or later stays
	covered    bool      // every removal since the cutoff is known
	lived      int64     // files that Lives has said so of
	logFrom    int64     // the version with which the log begins once it is cleaned up; 0: it stays
	lost       losses    // by files that are missing, where all were listed
	others     []string  // folders of other tables, with a slash at their ends
}

// Finish ends a replay.
func (r *Replay) Finish() (*State, []Finding) {
	s := &State{Replay: r, partitions: r.Head.Metadata.PartitionColumns, youngest: r.Cutoff}
	if least := r.Now.Add(-r.Rule.MinAge); least.Before(s.youngest) {
		s.youngest = least
	}
	s.covered = r.covers()
	return s, append(r.doubts(), r.pins()...)
}

// LeaveAlone has folders of other tables below the root be left alone. The error says that one
// has the same root.
func (s *State) LeaveAlone(nested []string) error {
	for _, folder := range nested {
		if folder == "" && !s.Head.Metadata.Properties.uniform() {
			return &Refusal{Why: "its folder is that of a table of another format too", Do: "move one of the two into a folder of its own"}
		}
		s.others = append(s.others, cmp.Or(folder, icebergFolder))
	}
	return nil
}

// icebergFolder is where a table that is kept as one of Iceberg too has the metadata of that.
const icebergFolder = "metadata/"

// covers tells whether the commits reach back to the cutoff without a gap, so that every removal
// since then is known. A checkpoint is no substitute: it remembers removals for as long as the
// table said whenever one was written, which may have been shorter than it says now, and forgets
// at once those whose time nobody wrote down. Nor does an old removal that it does remember prove
// anything: the file may have been added again, and removed again lately.
func (r *Replay) covers() bool {
	return len(r.Log.Run) > 0 && !r.since.IsZero() && !r.since.After(r.Cutoff)
}

// Missing counts live files that were not among those judged. A file that was judged under another of its names is
// noted under its own.
func (s *State) Missing() int {
	n := 0
	for _, a := range s.alternatives {
		if s.known.at(a.other)&markListed != 0 {
			s.set(a.own, markListed)
		}
	}
	for m := range s.known.all() {
		if m&markExpected != 0 && m&markListed == 0 {
			n++
		}
	}
	return n
}

func (s *State) nested(key string) bool {
	for _, folder := range s.others {
		if strings.HasPrefix(key, folder) {
			return true
		}
	}
	return false
}
