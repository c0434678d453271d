package proof

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flumendata/flumen-agent/spec"
)

// A lite look goes by the log alone: what it says was removed before the cutoff is asked for by name, and
// nothing is listed. A list shows more than files that nobody knows: which names the store has, whose folders
// they lie in, and that the live files are there. What stands in for that is here, and where it may not be
// enough the files stay.

func (s *State) lite() bool { return s.Expired != nil }

// Covered tells whether every removal since the cutoff is known, without which nothing is proven.
func (s *State) Covered() bool { return s.covered }

// Wants tells whether a lite look asks for a file that was removed before the cutoff. No list has
// shown its name: one that leads out of the table, as no listed one can, is not asked for; and one that differs from
// the name of a file that stays in case alone may be that file.
func (s *State) Wants(key string) bool {
	if !s.covered || !listable(key) || hidden(key, s.partitions) || s.nested(key) {
		return false
	}
	return !s.Needs(key) && !s.Needs(folded(key))
}

// listable tells whether a list of the table can show a file of that name.
func listable(key string) bool {
	return utf8.ValidString(key) && !strings.ContainsRune(key, 0) && path.Clean(key) == key && key != "." &&
		!strings.HasPrefix(key+"/", "../") && !strings.HasPrefix(key, "/")
}

// Needs tells whether a version that stays readable has a file, or may have it.
func (s *State) Needs(key string) bool {
	own, byName := s.at(key)
	return (own|byName)&markProtected != 0
}

// anomalies counts files that the log adds and never removes, and that are not in the table. In a
// list only those are found that are still there.
func (s *State) anomalies() (n int) {
	for m := range s.known.all() {
		if m&markAdded != 0 && m&(markExpired|markProtected) == 0 {
			n++
		}
	}
	return n
}

// Doubts says why a lite look at a table proves too little, though a list may prove more; "" if
// nothing speaks against it. removed is how many files the log says were removed before the cutoff.
func (s *State) Doubts(removed int64) string {
	switch n := s.anomalies(); {
	case n > 0:
		return fmt.Sprintf("the log adds %s that it never removes, and that the table does not have", spec.Counted(int64(n), "file"))
	case removed > 0 && !s.covered:
		return "the log does not reach back to the cutoff"
	}
	return ""
}

// LiveFiles is how many the newest version has.
func (s *State) LiveFiles() int64 { return s.liveFiles }

// Some are some of the live files that the table had when it was looked at first, by chance.
func (s *State) Some() []string { return s.some.keys() }

// Absent says that live files were asked for and are not there.
func Absent(missing []string, asked int) Finding {
	return Finding{FoundHollow, fmt.Sprintf("of %s of its newest version that were asked for, %d %s not there, such as %s: it can no longer be read whole; "+mendHollow, spec.Counted(int64(asked), "file"), len(missing), is(len(missing)), missing[0]), EffectCritical}
}

// draw keeps a few of many, by chance: those whose digests are the nearest to one that is another
// each time.
type draw struct {
	at   digest
	all  []drawn
	most digest // what is farther away than this is none of them, once there are enough
	full bool
}

type drawn struct {
	distance digest
	key      string
}

// drawMost is how many live files a lite look asks for: if one in twenty is missing, that is found in 19 of 20 looks.
const drawMost = 64

func newDraw(now time.Time) *draw {
	var f facts
	return &draw{at: f.of(ofFile, now.String())}
}

func (d *draw) offer(file digest, key string) {
	for i := range file {
		file[i] ^= d.at[i]
	}
	if d.full && bytes.Compare(file[:], d.most[:]) > 0 {
		return
	}
	d.all = append(d.all, drawn{file, key})
	if len(d.all) >= 2*drawMost {
		d.cut()
	}
}

func (d *draw) cut() {
	slices.SortFunc(d.all, func(a, b drawn) int { return bytes.Compare(a.distance[:], b.distance[:]) })
	if len(d.all) < drawMost {
		return
	}
	d.all = d.all[:drawMost]
	d.most, d.full = d.all[drawMost-1].distance, true
}

func (d *draw) keys() []string {
	d.cut()
	var all []string
	for _, one := range d.all {
		all = append(all, one.key)
	}
	slices.Sort(all)
	return all
}
