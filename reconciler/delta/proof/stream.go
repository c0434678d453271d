package proof

import (
	"errors"
	"fmt"
)

// Offset is how far a stream has read a table.
type Offset struct {
	Table   string // the id in its metadata
	Version int64
	Initial bool // it reads the table as it was in that version; what changed since comes after that
}

// needs is the oldest version that it needs to go on from there. A change of a version is read from
// what that removed too, so that the version before is needed.
func (o Offset) needs() int64 {
	if o.Initial {
		return o.Version
	}
	return max(0, o.Version-1)
}

// Batch is one that a stream has begun, and up to where it reads: it begins where the one before ends.
type Batch struct {
	Number  int64
	Offsets []Offset // of the tables that it reads
	Ended   bool
}

// StreamNeeds is the oldest version of a table that a stream needs, by its newest batch and the one before (nil:
// there is none, or it is not known any more). reads is false for a stream of other tables. A batch that may not have
// ended is done again from its beginning.
func StreamNeeds(newest Batch, before *Batch, table string) (version int64, reads bool, err error) {
	ends, begins := newest.of(table), []Offset(nil)
	if before != nil {
		begins = before.of(table)
	}
	switch {
	case len(ends)+len(begins) == 0:
		return 0, false, nil
	case newest.Ended, before != nil && len(begins) == len(ends):
	case before == nil && newest.Number > 0:
		return 0, true, fmt.Errorf("batch %d has not ended, and where it begins is not known any more", newest.Number)
	default: // it is the first that reads the table
		for _, o := range ends {
			if !o.Initial {
				return 0, true, errors.New("the first batch that reads it has not ended, and where that begins is not written down")
			}
		}
	}
	version = -1
	for _, o := range append(begins, ends...) {
		if v := o.needs(); version < 0 || v < version {
			version = v
		}
	}
	return version, true, nil
}

func (b Batch) of(table string) (all []Offset) {
	for _, o := range b.Offsets {
		if o.Table == table {
			all = append(all, o)
		}
	}
	return all
}
