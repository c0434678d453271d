package proof

import "time"

// Version is one that can be read.
type Version struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at,omitzero"` // zero when nobody knows
}

func (s *State) version(v int64) Version { return Version{v, s.times[v]} }

// Readable is the oldest version that can be read when all has gone that may: the log has to
// hold it, it has to be the one of the cutoff or newer, and none of its files may be missing by now.
func (s *State) Readable() Version {
	oldest := max(s.Log.Oldest(), s.logFrom)
	if !s.inForce.At.IsZero() {
		oldest = max(oldest, s.inForce.Version)
	}
	return s.version(max(oldest, s.lost.rows))
}

// ReadableNow is the oldest version that can be read as the table is. Only a list of all its files can show that.
func (s *State) ReadableNow() Version { return s.version(max(s.Log.Oldest(), s.lost.rows)) }

// ChangesFrom is the version from which on all change data can be read when all has gone that may; it is one that
// is still to come where no change can be read. ok is false for a table that keeps none.
func (s *State) ChangesFrom() (from Version, ok bool) {
	if !s.Head.Metadata.Properties.is(propertyChanges) {
		return Version{}, false
	}
	// A change is read from the commit that made it.
	return s.version(max(s.Log.Oldest(), s.Log.Start(), s.logFrom, s.changes.lost+1, s.lost.changes)), true
}

// CleanLog notes that the log begins with a checkpoint of a version, once what is older has gone.
func (s *State) CleanLog(version int64) { s.logFrom = version }

// losses are the oldest versions that files which are missing leave readable: rows of the table, and changes.
type losses struct{ rows, changes int64 }

// losses counts what is not among the files that were judged, which have to be all. Who has removed it does not matter.
func (s *State) losses() (lost losses) {
	for d, by := range s.by {
		m := s.known.at(d)
		switch version := by.version(); {
		case m&markListed != 0 || by.kind() == remembered: // which says nothing of a version that the log still has
		case by.kind() == ofChanges:
			lost.changes = max(lost.changes, version+1)
		case m&markProtected != 0:
			lost.rows, lost.changes = max(lost.rows, version), max(lost.changes, version+1)
		default: // which changes that takes is known
			lost.rows = max(lost.rows, version)
		}
	}
	return lost
}

// changes are what a replay hears of change data, newest first.
type changes struct {
	lost  int64 // the newest version whose changes cannot be read when all has gone that may; -1: none
	since int64 // the oldest version heard of that says that the table keeps them
	off   bool  // an older one said that it does not
	bare  bool  // the version that is heard of changes rows, and has no change data of its own: they are read from its files
}

// hear begins with a version, or the next part of it. Of a version in parts those with change data may come after
// others: then more of it counts than would have to.
func (h *changes) hear(c Commit) {
	h.bare = len(c.Changes) == 0 && c.Info.Operation != "OPTIMIZE"
	switch {
	case c.Metadata == nil || h.off:
	case c.Metadata.Properties.is(propertyChanges):
		h.since = c.Version
	default:
		h.off = true
		h.lose(h.since - 1)
	}
}

func (h *changes) lose(version int64) { h.lost = max(h.lost, version) }
