package delta

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// seenMost bounds for how many files it is remembered when a list showed them first: some tens
// of megabytes. Those beyond it are not removed before others are.
const seenMost = 2_000_000

// sighting is when a list of ours first showed a file that the log does not name.
type sighting struct {
	file  [16]byte // a digest of its key, size, time and tag: another file of the same name is another one
	first int64    // seconds
}

// sightings are those of a table, in the order of their digests.
type sightings struct {
	path   string
	before []sighting // of earlier lists
	now    []sighting // of this one
}

const (
	seenFile     = "seen"          // of its data
	seenSidecars = "seen-sidecars" // which lite looks list too
	sightingSize = 24
)

// sightings reads those of a table. A file of them that is broken counts for none.
func (m tableMemory) sightings(name string) (*sightings, error) {
	s := &sightings{path: filepath.Join(m.dir, name)}
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read when files were first seen: %w", err)
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for buffer := make([]byte, sightingSize); ; {
		_, err := io.ReadFull(in, buffer)
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return &sightings{path: s.path}, nil
		case err != nil:
			return nil, fmt.Errorf("read when files were first seen: %w", err)
		}
		s.before = append(s.before, sighting{[16]byte(buffer), int64(binary.BigEndian.Uint64(buffer[16:]))})
	}
}

// sightings are those of a table; nil where nothing is remembered.
func (p *planning) sightings(one *looked, name string) (*sightings, error) {
	if p.memory == nil {
		return nil, nil
	}
	return p.memory.table(one.found.Place, one.root).sightings(name)
}

// longEnough tells whether lists of ours have shown a file for as long as the rule asks: how old
// it is by the store is no proof, since some stores take that from whoever writes.
func (s *sightings) longEnough(f proof.File, t *looked) bool {
	return s == nil || !s.see(f, t.now).After(t.now.Add(-t.rule.MinAge))
}

// see notes that the list shows a file, and gives when one did first.
func (s *sightings) see(f proof.File, now time.Time) time.Time {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %q", f.Key, f.Size, f.Written.UnixMicro(), f.Tag))
	one := sighting{[16]byte(sum[:]), now.Unix()}
	i, known := slices.BinarySearchFunc(s.before, one, sighting.compare)
	if known && s.before[i].first < one.first {
		one.first = s.before[i].first
	}
	if len(s.now) < seenMost {
		s.now = append(s.now, one)
	}
	return time.Unix(one.first, 0)
}

func (s sighting) compare(o sighting) int { return bytes.Compare(s.file[:], o.file[:]) }

// keep writes down what this list has shown. What it did not show is forgotten.
func (s *sightings) keep() error {
	if s == nil {
		return nil
	}
	slices.SortFunc(s.now, sighting.compare)
	return writeWhole(s.path, func(f *os.File) error {
		out := bufio.NewWriter(f)
		for _, one := range s.now {
			if _, err := out.Write(binary.BigEndian.AppendUint64(one.file[:], uint64(one.first))); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}
