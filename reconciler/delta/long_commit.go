package delta

import (
	"encoding/json"
	"errors"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// partOfCommit is how many files of a commit are held in memory: one that takes a folder of files into a table, or
// compacts all of it, may name more than fit.
const partOfCommit = 1024

// longCommit is a commit while it is read. Of a long one the files are kept on disk: what it adds has to be told
// before what it removes, and its time before both, and they stand in its file in any order.
type longCommit struct {
	proof.Commit
	adds, others *spill // nil: all is in the commit
}

// How a file is noted in others.
const (
	noteRemove  = iota // at nobody knows what time
	noteRemoved        // at a time
	noteChange
)

// read takes in an action.
func (c *longCommit) read(name string, body []byte) error {
	if err := readNamed(name, body, &c.Commit); err != nil {
		return err
	}
	if len(c.Adds)+len(c.Removes)+len(c.Changes) < partOfCommit {
		return nil
	}
	return c.setAside()
}

// setAside has no file be in memory.
func (c *longCommit) setAside() (err error) {
	if c.adds == nil {
		c.adds, c.others = &spill{}, &spill{}
	}
	for _, a := range c.Adds {
		err = errors.Join(err, keepFile(c.adds, a.Path, a.Size, a.Vector, 0))
	}
	for _, r := range c.Removes {
		if r.Deleted.IsZero() {
			err = errors.Join(err, keepFile(c.others, r.Path, 0, r.Vector, noteRemove))
		} else {
			err = errors.Join(err, keepFile(c.others, r.Path, r.Deleted.UnixMilli(), r.Vector, noteRemoved))
		}
	}
	for _, path := range c.Changes {
		err = errors.Join(err, keepFile(c.others, path, 0, proof.Vector{}, noteChange))
	}
	c.Adds, c.Removes, c.Changes = c.Adds[:0], c.Removes[:0], c.Changes[:0]
	return err
}

func keepFile(s *spill, path string, number int64, v proof.Vector, note int) error {
	f := proof.File{Key: path, Size: number}
	if v != (proof.Vector{}) {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		f.Tag = string(text)
	}
	return s.add(f, note)
}

// keptFile is what keepFile has kept.
func keptFile(f proof.File) (row fileRow, err error) {
	row = fileRow{path: f.Key, number: f.Size, hasNumber: true}
	if f.Tag != "" {
		err = json.Unmarshal([]byte(f.Tag), &row.vector)
	}
	return row, err
}

// tell tells of it, in parts if it is a long one.
func (c *longCommit) tell(each func(proof.Commit) error) error {
	if c.adds == nil {
		return each(c.Commit)
	}
	if err := c.setAside(); err != nil {
		return err
	}
	part := c.Commit
	part.Adds, part.Removes, part.Changes = nil, nil, nil
	next := func() error {
		if len(part.Adds)+len(part.Removes)+len(part.Changes) < partOfCommit {
			return nil
		}
		one := part
		part.Adds, part.Removes, part.Changes = nil, nil, nil
		one.More = true
		return each(one)
	}
	err := c.adds.each(func(f proof.File, _ int) error {
		row, err := keptFile(f)
		if err != nil {
			return err
		}
		part.Adds = append(part.Adds, row.add())
		return next()
	})
	if err != nil {
		return err
	}
	err = c.others.each(func(f proof.File, note int) error {
		row, err := keptFile(f)
		if err != nil {
			return err
		}
		if row.hasNumber = note == noteRemoved; note == noteChange {
			part.Changes = append(part.Changes, row.path)
		} else {
			part.Removes = append(part.Removes, row.remove())
		}
		return next()
	})
	if err != nil {
		return err
	}
	return each(part)
}

func (c *longCommit) close() {
	for _, s := range []*spill{c.adds, c.others} {
		if s != nil {
			_ = s.close() // it was read
		}
	}
}
