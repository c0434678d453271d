package proof

import (
	"fmt"
	"path"

	"github.com/flumendata/flumen-agent/spec"
)

// Clones knows which files are used by tables whose folder they do not lie in: a shallow clone
// names the files of its source, and its source knows nothing of that.
type Clones struct{ used map[digest]bool }

// Add takes in what a table uses elsewhere.
func (c *Clones) Add(s *State) {
	if c.used == nil {
		c.used = map[digest]bool{}
	}
	for d := range s.abroad {
		c.used[d] = true
	}
}

// Hear takes in what a version that was committed since uses elsewhere.
func (c *Clones) Hear(root Root, commit Commit) error {
	if c.used == nil {
		c.used = map[digest]bool{}
	}
	var f facts
	for _, a := range commit.Adds {
		p, v, err := readPath(root, a.Path, a.Vector)
		if err != nil {
			return fmt.Errorf("version %d: %w", commit.Version, err)
		}
		for _, d := range f.abroad(p, v) {
			c.used[d] = true
		}
	}
	return nil
}

// Use tells whether a table uses a file below another root. It goes by the file's name alone
// too: what a clone calls /data/t may be /mnt/t here.
func (c *Clones) Use(r Root, key string) bool {
	if len(c.used) == 0 {
		return false
	}
	var f facts
	return c.used[f.of(ofFile, string(r)+"/"+key)] || c.used[f.of(ofBase, path.Base(key))]
}

// Shared says how many files of a table are used by others, and that others which may use some
// could not be read: the place of one, or places where there may be some.
func Shared(n int, unread string, unseen bool) []Finding {
	var all []Finding
	if n > 0 {
		all = append(all, note(FoundClone, "%s kept, which a table that is a shallow clone of this one uses", spec.Counted(int64(n), "file")))
	}
	switch {
	case unread != "":
		all = append(all, stop(FoundClonesUnknown, "%s could not be read and may be a shallow clone of this table; see to that one first", unread))
	case unseen:
		all = append(all, stop(FoundClonesUnknown, "not every place could be searched, and a shallow clone of this table may be there; see to the places that could not be searched"))
	}
	return all
}
