package proof

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flumendata/flumen-agent/spec"
)

// Terms are what a replay is about.
type Terms struct {
	Root   Root
	Log    Log
	Head   Head
	Rule   spec.RetentionRule
	Now    time.Time
	Cutoff time.Time
	Listed int64 // the newest version when its files were listed
	// Newest is the checkpoint that the state is made of, and Witness an older one that the
	// second witness begins with; nil where there is none.
	Newest, Witness *Checkpoint
	Stream          *int64 // the oldest version that a stream still needs; nil: none needs any
	Watch           *Watch // nil: no file is watched
	// Expired hears once of each file of the table that was removed before the cutoff: nobody lists
	// its files, and those are all that is asked for. nil: its files were listed.
	Expired func(key string)
}

// Replay takes a table's history, newest commit first, then the checkpoint of the second
// witness, then the newest one, and knows then what is live and what stays. The order is what
// makes each action final when it is heard: a file is live if nothing newer mentions it.
type Replay struct {
	Terms
	facts
	newest, witness int64 // versions; -1 without a checkpoint
	times           map[int64]time.Time
	since           time.Time // the time of the oldest commit of the run
	inForce         Version   // the one of the cutoff, if the run reaches back to it
	logCutoff       time.Time
	expired         int64     // the newest version that is older than that; -1 without one
	writer          string    // of the newest version
	pinned          int64     // the oldest version to stay readable; -1 for none
	pinnedBy        string    // what keeps it
	pinnedAt        time.Time // the version that was the newest then stays readable too; zero: no such time is known
	awaits          bool      // it has not been heard of yet: all that was heard came after it
	abroad          map[digest]bool
	changes         changes

	liveFiles, liveBytes int64
	plainBytes           int64   // of the live files that have no vector, and were there when the table was listed
	spellings            samples // removals that are spelled unlike what they remove
	stale                samples // files that the newest checkpoint has and the log removed
	alternatives         []alternative
	some                 *draw // of the live files, where nobody lists them
}

// alternative is a live file that may be there under other names.
type alternative struct{ own, other digest }

// NewReplay begins one.
func NewReplay(t Terms) *Replay {
	r := &Replay{
		Terms: t, facts: facts{by: map[digest]departure{}, expired: t.Expired, folds: t.Expired != nil}, newest: -1, witness: t.Log.Start() - 1, pinned: -1,
		times: CommitTimes(append(append([]LogFile{}, t.Log.Below...), t.Log.Run...)), abroad: map[digest]bool{},
		logCutoff: logCutoff(t), expired: -1, changes: changes{lost: -1},
	}
	if t.Newest != nil {
		r.newest = t.Newest.Version
	}
	if t.Witness != nil {
		r.witness = t.Witness.Version
	}
	if len(t.Rule.KeepVersions) > 0 {
		r.pinned, r.pinnedBy = t.Rule.KeepVersions[0], "keep_versions keeps"
	}
	r.pinnedAt = r.pinTime()
	r.awaits = !r.pinnedAt.IsZero()
	if v := t.Stream; v != nil {
		r.pin(*v, "a stream of keep_streams needs")
	}
	if t.Expired != nil {
		r.some = newDraw(t.Now)
	}
	return r
}

// pin has a version stay readable, and all that left the table after it stay with it.
func (r *Replay) pin(version int64, by string) {
	if r.pinned < 0 || version < r.pinned {
		r.pinned, r.pinnedBy = version, by
	}
}

// pinTime is the oldest time of keep_timestamps at which the table was there; zero: there is none. Commits that carry
// their own time tell it when they are read, so that of those nobody knows before.
func (r *Replay) pinTime() time.Time {
	first, known := r.times[0]
	for _, t := range r.Rule.KeepTimes {
		if !known || r.Log.Start() > 0 || r.Head.clocked || !t.Before(first) {
			return t
		}
	}
	return time.Time{}
}

// Commit hears of one commit, or of the next part of it.
func (r *Replay) Commit(c Commit) error {
	at, err := r.timeOf(c)
	if err != nil {
		return err
	}
	if err := r.Head.admit(c); err != nil {
		return err
	}
	r.times[c.Version] = at
	if c.Version == r.Log.Start() {
		r.since = at
	}
	if c.Version >= r.Log.Start() {
		r.changes.hear(c)
	}
	if c.Version >= r.Log.Start() && r.awaits && !at.After(r.pinnedAt) {
		r.awaits = false
		r.pin(c.Version, "keep_timestamps keeps")
	}
	if c.Version >= r.Log.Start() && !at.After(r.logCutoff) {
		r.expired = max(r.expired, c.Version)
	}
	if c.Version == r.Log.Version {
		r.writer = c.Info.Engine
	}
	if c.Version >= r.Log.Start() && !at.After(r.Cutoff) && r.inForce.At.IsZero() {
		r.inForce = Version{c.Version, at}
	}
	// What a commit adds counts more than what it removes: one names both for the same file,
	// with another vector, in any order.
	for _, a := range c.Adds {
		if err := r.added(c.Version, at, a); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
	}
	for _, m := range c.Removes {
		if err := r.removed(c.Version, at, m); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
	}
	for _, raw := range c.Changes {
		p := r.Root.Read(raw)
		r.Watch.hear(c.Version, at, saysChange, raw, p, vectorFile{})
		streamed := r.Stream != nil && c.Version >= *r.Stream
		if at.Before(r.Cutoff) && c.Version >= r.Log.Start() && !streamed {
			r.expire(ofChanges.at(c.Version), p, vectorFile{})
			if r.Rule.ChangeData {
				r.changes.lose(c.Version)
			}
		} else {
			r.protect(p, vectorFile{})
			r.left(ofChanges.at(c.Version), p, vectorFile{})
		}
	}
	return nil
}

// timeOf is when a version came to be.
func (r *Replay) timeOf(c Commit) (time.Time, error) {
	since, clocked := r.Head.clockedSince, r.Head.clocked
	if !clocked || c.Version < since {
		return r.times[c.Version], nil
	}
	if c.Info.InCommit.IsZero() {
		return time.Time{}, fmt.Errorf("version %d has no in-commit timestamp, though the table has them since version %d", c.Version, since)
	}
	return c.Info.InCommit, nil
}

// added hears that a commit adds a file.
func (r *Replay) added(version int64, at time.Time, a Add) error {
	p, v, err := r.read(a.Path, a.Vector)
	if err != nil {
		return err
	}
	r.Watch.hear(version, at, saysAdded, a.Path, p, v)
	if version < r.Log.Start() {
		r.markAll(p, markNamed)
		return nil
	}
	r.set(r.of(ofFile, p.Key), markAdded)
	if r.changes.bare && r.known.at(r.of(ofFile, p.Key))&markExpired != 0 {
		r.changes.lose(version)
	}
	if version <= r.witness {
		return nil // the witness's checkpoint knows what became of it
	}
	first := r.mention(version, p, a.Path, a.Vector, 0)
	if first.meant {
		r.set(first.name, markWitness)
		if version > r.newest {
			r.live(version, first.name, p, v, a)
		}
	}
	if first.meant || first.spelled {
		r.keep(p, v)
	}
	if !first.meant && first.spelled && r.known.at(first.name)&markRemoved != 0 {
		r.spellings.add(a.Path)
	}
	return nil
}

// removed hears that a commit removes a file.
func (r *Replay) removed(version int64, at time.Time, m Remove) error {
	p, v, err := r.read(m.Path, m.Vector)
	if err != nil {
		return err
	}
	if m.Deleted.After(at) {
		at = m.Deleted
	}
	r.Watch.hear(version, at, saysRemoved, m.Path, p, v)
	if version > r.newest {
		r.removedForSpark(m, p, v)
	}
	switch {
	case !at.Before(r.Cutoff) || r.pinned >= 0 && version > r.pinned || r.awaits: // which is newer than the version of the time
		r.keep(p, v)
		r.left(departed.at(version), p, v)
	case version < r.Log.Start():
		r.markAll(p, markNamed)
	default:
		r.expire(departed.at(version), p, v)
		r.knownAs(p)
		if r.changes.bare {
			r.changes.lose(version)
		}
	}
	if version >= r.Log.Start() && version > r.witness {
		r.mention(version, p, m.Path, m.Vector, markRemoved)
	}
	return nil
}

// first tells of a file that is mentioned whether nothing newer mentions it: by what it means,
// and as it is spelled.
type first struct {
	name           digest
	meant, spelled bool
}

// mention notes that a version mentions a file.
func (r *Replay) mention(version int64, p Path, raw string, v Vector, also mark) first {
	name := r.name(p.Key, v)
	spelled := name // most are spelled so: this saves half of the memory
	if raw != p.Key {
		spelled = r.spelled(raw, v)
	}
	was := first{name, r.known.at(name)&markSeen == 0, r.known.at(spelled)&markSpelled == 0}
	r.set(spelled, markSpelled)
	if was.meant {
		also |= markSeen
		if version > r.newest {
			also |= markLater
		}
		r.set(name, also)
	}
	return was
}

// Witness hears of a file of the second witness's checkpoint.
func (r *Replay) WitnessAdd(a Add) error {
	p, v, err := r.read(a.Path, a.Vector)
	if err != nil {
		return err
	}
	r.Watch.hear(r.witness, r.times[r.witness], saysIn, a.Path, p, v)
	first := r.mention(r.witness, p, a.Path, a.Vector, 0)
	if first.meant {
		r.set(first.name, markWitness)
	}
	if first.meant || first.spelled {
		r.keep(p, v)
	}
	if !first.meant && first.spelled && r.known.at(first.name)&markRemoved != 0 {
		r.spellings.add(a.Path)
	}
	return nil
}

// NewestAdd hears of a file of the newest checkpoint.
func (r *Replay) NewestAdd(a Add) error {
	p, v, err := r.read(a.Path, a.Vector)
	if err != nil {
		return err
	}
	r.Watch.hear(r.newest, r.times[r.newest], saysIn, a.Path, p, v)
	name := r.name(p.Key, a.Vector)
	m := r.known.at(name)
	switch {
	case m&markLater == 0:
		if m&markSeen != 0 && m&markRemoved != 0 {
			r.stale.add(a.Path)
		}
		r.live(r.newest, name, p, v, a)
		r.keep(p, v)
	case m&markRemoved != 0 && !r.saidSo(a):
		r.spellings.add(a.Path)
		r.keep(p, v)
	}
	return nil
}

// saidSo tells whether a commit mentions a file spelled in the same way.
func (r *Replay) saidSo(a Add) bool {
	if p := r.Root.Read(a.Path); p.Key == a.Path {
		return r.known.at(r.name(p.Key, a.Vector))&markSpelled != 0
	}
	return r.known.at(r.spelled(a.Path, a.Vector))&markSpelled != 0
}

// CheckpointRemove hears of a file that a checkpoint remembers to be removed.
func (r *Replay) CheckpointRemove(c *Checkpoint, m Remove) error {
	p, v, err := r.read(m.Path, m.Vector)
	if err != nil {
		return err
	}
	at := m.Deleted
	if at.IsZero() {
		at = r.timeOfCheckpoint(c)
	}
	r.Watch.hear(c.Version, at, saysRemembered, m.Path, p, v)
	if c == r.Newest {
		r.removedForSpark(m, p, v)
	}
	switch {
	case !at.Before(r.Cutoff), r.pinned >= 0 && r.pinned < r.Log.Start(), r.awaits:
		r.keep(p, v)
	default:
		r.expire(remembered.at(c.Version), p, v)
	}
	return nil
}

// left notes, of a file that stays, what it left the table by: if it is missing all the same, older versions cannot be
// read. Without a list of all files nobody can tell.
func (r *Replay) left(by departure, p Path, v vectorFile) {
	if r.Expired != nil || by.version() < r.Log.Start() {
		return
	}
	note := func(key string) {
		d := r.of(ofFile, key)
		if _, known := r.by[d]; !known {
			r.by[d] = by
		}
	}
	if p.Inside {
		note(p.Key)
		r.knownAs(p)
	}
	if v.uuid != "" {
		note(v.relative)
	}
	if v.away != nil && v.away.Inside {
		note(v.away.Key)
	}
}

// knownAs notes that a file may be there under other names, which only a list can show.
func (r *Replay) knownAs(p Path) {
	if !p.Inside || r.Expired != nil {
		return
	}
	for _, other := range p.Others {
		r.alternatives = append(r.alternatives, alternative{r.of(ofFile, p.Key), r.of(ofFile, other)})
	}
}

// timeOfCheckpoint is the latest that something in it can have happened.
func (r *Replay) timeOfCheckpoint(c *Checkpoint) time.Time {
	at, known := r.times[c.Version]
	if !known || r.Head.clocked {
		return r.Now
	}
	for _, f := range c.Files {
		if f.Written.After(at) { // the clock of who wrote the version may have been behind
			at = f.Written
		}
	}
	return at
}

// read reads a path and its vector.
func (r *Replay) read(raw string, vector Vector) (Path, vectorFile, error) {
	return readPath(r.Root, raw, vector)
}

func readPath(root Root, raw string, vector Vector) (Path, vectorFile, error) {
	if strings.ContainsRune(raw, utf8.RuneError) || strings.ContainsRune(vector.Path, utf8.RuneError) {
		return Path{}, vectorFile{}, fmt.Errorf("the path %q is not UTF-8, so nobody can say which file it means", raw)
	}
	p := root.Read(raw)
	relative, uuid, uri, err := vector.File()
	if err != nil {
		return Path{}, vectorFile{}, err
	}
	v := vectorFile{relative: relative, uuid: uuid}
	if uri != "" {
		away := root.Read(uri)
		v.away = &away
	}
	return p, v, nil
}

// keep protects a file, and remembers where it is if that is in another folder.
func (r *Replay) keep(p Path, v vectorFile) {
	r.protect(p, v)
	for _, d := range r.facts.abroad(p, v) {
		r.abroad[d] = true
	}
}

// abroad is what is in another folder of a path and its vector.
func (f *facts) abroad(p Path, v vectorFile) []digest {
	var all []digest
	for _, one := range []*Path{&p, v.away} {
		if one == nil || one.Inside {
			continue
		}
		for _, key := range append([]string{one.Key}, one.Others...) {
			all = append(all, f.of(ofFile, key))
		}
		all = append(all, f.of(ofBase, one.Base))
	}
	return all
}

// live counts a live file, and expects it to be listed if it was there by then.
func (r *Replay) live(version int64, name digest, p Path, v vectorFile, a Add) {
	r.set(name, markLive)
	r.keptBySpark(a.Path, p, v)
	r.liveFiles++
	r.liveBytes += a.Size
	if version > r.Listed {
		return
	}
	if p.Inside {
		if a.Vector.Type == "" {
			r.plainBytes += a.Size
		}
		r.expect(r.of(ofFile, p.Key))
		r.knownAs(p)
		if r.some != nil && len(p.Others) == 0 {
			r.some.offer(r.of(ofFile, p.Key), p.Key)
		}
	}
	if v.uuid != "" {
		r.ofUUIDs = true
		r.expect(r.of(ofUUID, v.uuid))
	}
	if v.away != nil && v.away.Inside {
		r.expect(r.of(ofFile, v.away.Key))
	}
}

func (r *Replay) expect(d digest) { r.set(d, markExpected) }

// samples counts things and keeps the first few.
type samples struct {
	n     int
	first []string
}

const samplesKept = 3

func (s *samples) add(text string) {
	if s.n++; len(s.first) < samplesKept {
		s.first = append(s.first, text)
	}
}

// String is "3, such as a and b".
func (s samples) String() string {
	text := fmt.Sprintf("%d, such as %s", s.n, strings.Join(s.first, ", "))
	return text
}
