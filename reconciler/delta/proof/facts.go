package proof

import (
	"crypto/sha256"
	"path"
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
	known map[digest]mark
	by    map[digest]int64 // of what was removed before the cutoff: the version that did it
	text  []byte           // a buffer
}

func (f *facts) of(kind byte, text string) digest {
	f.text = append(append(f.text[:0], kind), text...)
	sum := sha256.Sum256(f.text)
	return digest(sum[:16])
}

func (f *facts) set(d digest, m mark) { f.known[d] |= m }

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
		f.set(f.of(ofUUID, v.uuid), markProtected)
		f.set(f.of(ofFile, v.relative), markProtected)
	}
	if v.away != nil {
		f.markAll(*v.away, markProtected)
	}
}

// expire notes that a file was removed long enough ago. What else the path may mean is only
// named by that: it is no proof against a file that is spelled so.
func (f *facts) expire(version int64, p Path, v vectorFile) {
	f.gone(version, p.Key)
	for _, other := range p.Others {
		f.set(f.of(ofFile, other), markNamed)
	}
	if v.uuid != "" {
		f.gone(version, v.relative)
	}
	if v.away != nil && v.away.Inside {
		f.gone(version, v.away.Key)
	}
}

// gone notes which version removed a file; of several the newest is told first.
func (f *facts) gone(version int64, key string) {
	d := f.of(ofFile, key)
	f.set(d, markExpired)
	if _, known := f.by[d]; !known {
		f.by[d] = version
	}
}

// markAll marks all that a path may mean.
func (f *facts) markAll(p Path, m mark) {
	f.set(f.of(ofFile, p.Key), m)
	for _, other := range p.Others {
		f.set(f.of(ofFile, other), m)
	}
	if p.Base != "" {
		f.set(f.of(ofBase, p.Base), m)
	}
}

// at gives what is known of a listed file: by its path, by its name, and by each UUID in its
// name.
func (f *facts) at(key string) (own, byName mark) {
	own = f.known[f.of(ofFile, key)]
	base := path.Base(key)
	byName = f.known[f.of(ofBase, base)]
	for _, one := range uuids(base) {
		byName |= f.known[f.of(ofUUID, one)]
	}
	return own, byName
}

// list notes that a file is there.
func (f *facts) list(key string) {
	for _, d := range append(f.uuidDigests(path.Base(key)), f.of(ofFile, key)) {
		if m, known := f.known[d]; known {
			f.known[d] = m | markListed
		}
	}
}

func (f *facts) uuidDigests(base string) []digest {
	var all []digest
	for _, one := range uuids(base) {
		all = append(all, f.of(ofUUID, one))
	}
	return all
}

// vectorFile is where the deletion vector of a file is kept.
type vectorFile struct {
	relative, uuid string
	away           *Path
}
