package proof

import (
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// Compacted are the files that hold several commits in one, of which every commit is there too.
func (l Log) Compacted() (all []LogFile) {
	for _, f := range l.All {
		if f.Kind != LogCompacted || f.Version < l.Start() {
			continue
		}
		if upto, ok := number(strings.Split(f.Name, ".")[1], versionDigits); ok && upto <= l.Version {
			all = append(all, f)
		}
	}
	return all
}

// Compacted holds a file of several commits in one against these commits, all of which were heard. No
// state is made of it. But other readers may take it in place of the commits, and it was made of
// those that were there then.
type Compacted struct {
	replay  *Replay
	file    LogFile
	unknown samples
}

// Against begins to hold one.
func (r *Replay) Against(f LogFile) *Compacted { return &Compacted{replay: r, file: f} }

// Hear takes in some of what the file says.
func (h *Compacted) Hear(c Commit) error {
	for _, a := range c.Adds {
		if err := h.expect(a.Path, a.Vector, markAdded); err != nil {
			return err
		}
	}
	for _, m := range c.Removes {
		if err := h.expect(m.Path, m.Vector, markProtected|markExpired); err != nil {
			return err
		}
	}
	return nil
}

// expect notes a file of which the commits do not say so.
func (h *Compacted) expect(raw string, v Vector, any mark) error {
	p, _, err := h.replay.read(raw, v)
	if err == nil && h.replay.known.at(h.replay.of(ofFile, p.Key))&any == 0 {
		h.unknown.add(raw)
	}
	return err
}

// Finding says what the file names and no commit does; nil if there is nothing.
func (h *Compacted) Finding() *Finding {
	if h.unknown.n == 0 {
		return nil
	}
	f := stop(FoundCompaction, "%s of its log names %s that no commit names: a commit was written over since, or the file is wrong; readers that take it in place of the commits see another table; if the commits are right, remove that file", h.file.Name, spec.Counted(int64(h.unknown.n), "file")+", such as "+strings.Join(h.unknown.first, ", "))
	return &f
}

// Unreadable says that the file cannot be read, which harms those who do.
func (h *Compacted) Unreadable(err error) Finding {
	return note(FoundCompaction, "%s of its log cannot be read: %v; nothing here relies on it", h.file.Name, err)
}
