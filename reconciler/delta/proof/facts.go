package proof

import (
	"crypto/sha256"
	"path"
	"strings"
)

// digest stands for a path. At 128 bits two different ones do not meet: with fewer a live file
// could be taken for a removed one.
type digest [16]byte

// What a digest is of; the same text is another thing in each.
const (
	ofFile    = 'f' // a file of the table, or one elsewhere
	ofVersion = 'v' // a file with its deletion vector
	ofSpelled = 's' // the same, as it was spelled
	ofBase    = 'b' // a file's name without folders
	ofUUID    = 'u' // that of a deletion vector
)

// mark is what is known about one of them.
type mark uint16

const (
	// Of a file, a base name or a UUID.
	markProtected mark = 1 << iota // it stays
	markExpired                    // it was removed, and before the cutoff
	markAdded                      // an unbroken history says it was added
	markNamed                      // something else says that it was there
	markExpected                   // it is live, and has to be among the listed
	markListed                     // it is among them
	markSpark                      // a VACUUM by Spark keeps it

	// Of a file with its vector.
	markSeen    // the second witness mentions it
	markSpelled // the second witness mentions it, spelled so
	markRemoved // what it says last is that it was removed
	markLater   // it is mentioned after the newest checkpoint
	markWitness // it is live for the second witness
	markLive    // it is live
)

// facts are what is known about files, by digest.
type facts struct {
	known   marks
	by      map[digest]departure // of what was removed, and of change data, as far as it lies in the table
	ofBases bool                 // something is known of a base name
	ofUUIDs bool                 // something is known of a UUID
	text    []byte               // what the last digest is of
	digest  digest

	expired func(key string) // hears once of each file of the table that was removed before the cutoff; nil
	folds   bool             // names that differ in case alone are protected together
}

// of is the digest of a text. Most are asked for several times in a row.
func (f *facts) of(kind byte, text string) digest {
	if len(f.text) == 1+len(text) && f.text[0] == kind && string(f.text[1:]) == text {
		return f.digest
	}
	f.text = append(append(f.text[:0], kind), text...)
	sum := sha256.Sum256(f.text)
	f.digest = digest(sum[:16])
	return f.digest
}

func (f *facts) set(d digest, m mark) { f.known.add(d, m) }

// name is what tells a file with its vector from the same file with another one. Without one it
// is the file itself: what is known of both is kept in one place.
func (f *facts) name(key string, v Vector) digest {
	if v.Type == "" {
		return f.of(ofFile, key)
	}
	return f.of(ofVersion, key+"\x00"+v.ID())
}

// spelled is the same for the path as it is written.
func (f *facts) spelled(raw string, v Vector) digest { return f.of(ofSpelled, raw+"\x00"+v.ID()) }

// protect keeps everything that a path and its vector may mean.
func (f *facts) protect(p Path, v vectorFile) {
	f.markAll(p, markProtected)
	if v.uuid != "" {
		f.ofUUIDs = true
		f.set(f.of(ofUUID, v.uuid), markProtected)
		f.set(f.of(ofFile, v.relative), markProtected)
	}
	if v.away != nil {
		f.markAll(*v.away, markProtected)
	}
	if f.folds {
		f.protectFolded(p, v)
	}
}

// protectFolded keeps what a store would take for the same, that does not tell upper from lower case.
func (f *facts) protectFolded(p Path, v vectorFile) {
	for _, one := range []*Path{&p, {Key: v.relative}, v.away} {
		if one == nil {
			continue
		}
		for _, key := range append([]string{one.Key}, one.Others...) {
			if other := folded(key); other != key {
				f.set(f.of(ofFile, other), markProtected)
			}
		}
		if other := folded(one.Base); other != one.Base { // whose own mark was set before
			f.set(f.of(ofBase, other), markProtected)
		}
	}
}

// folded is a name in the case that stands for all.
func folded(name string) string { return strings.ToLower(name) }

// expire notes that a file was removed long enough ago. What else the path may mean is only
// named by that: it is no proof against a file that is spelled so.
func (f *facts) expire(by departure, p Path, v vectorFile) {
	f.gone(by, p.Key, p.Inside)
	for _, other := range p.Others {
		f.set(f.of(ofFile, other), markNamed)
	}
	if v.uuid != "" {
		f.gone(by, v.relative, true)
	}
	if v.away != nil && v.away.Inside {
		f.gone(by, v.away.Key, true)
	}
}

// gone notes which version removed a file; of several the newest is told first.
func (f *facts) gone(by departure, key string, inside bool) {
	d := f.of(ofFile, key)
	f.set(d, markExpired)
	if _, known := f.by[d]; known || !inside {
		return
	}
	f.by[d] = by
	if f.expired != nil {
		f.expired(key)
	}
}

// departure is the version that removed a file, or that change data is of, and which of these it is.
type departure int64

const (
	departed   departure = iota // a commit removed it
	ofChanges                   // it is change data
	remembered                  // a checkpoint knows that it was removed, in its version or earlier
	departures
)

func (kind departure) at(version int64) departure { return departure(version)*departures + kind }

func (d departure) version() int64 { return int64(d / departures) }

func (d departure) kind() departure { return d % departures }

// markAll marks all that a path may mean.
func (f *facts) markAll(p Path, m mark) {
	f.set(f.of(ofFile, p.Key), m)
	for _, other := range p.Others {
		f.set(f.of(ofFile, other), m)
	}
	if p.Base != "" {
		f.ofBases = true
		f.set(f.of(ofBase, p.Base), m)
	}
}

// at gives what is known of a file: by its path, by its name, and by each UUID in its name.
func (f *facts) at(key string) (own, byName mark) { return f.look(key, 0) }

// list is the same of a file that is listed, and notes that it is there.
func (f *facts) list(key string) (own, byName mark) { return f.look(key, markListed) }

func (f *facts) look(key string, note mark) (own, byName mark) {
	base := path.Base(key)
	if f.ofBases {
		byName = f.known.at(f.of(ofBase, base))
	}
	if f.ofUUIDs {
		for _, one := range uuids(base) {
			byName |= f.noted(f.of(ofUUID, one), note)
		}
	}
	return f.noted(f.of(ofFile, key), note), byName
}

// noted adds to what is known of a digest, if anything is.
func (f *facts) noted(d digest, note mark) mark {
	m := f.known.at(d)
	if m != 0 && m|note != m {
		f.known.add(d, note)
	}
	return m
}

// vectorFile is where the deletion vector of a file is kept.
type vectorFile struct {
	relative, uuid string
	away           *Path
}
