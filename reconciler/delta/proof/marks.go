package proof

import (
	"encoding/binary"
	"iter"
)

// marks is what is known, by digest. It is a map for what has millions of keys, each of them spread
// evenly already: to ask it is one look into memory, where a map of the language takes several.
type marks struct{ shards []shard }

// shard is those whose digests begin with the same byte, so that to grow takes room for a few of them at a time.
type shard struct {
	slots []slot // a digest is where the rest of it points, or behind; the last is before the first
	used  int
}

// slot is one of them, or free if it has no mark.
type slot struct {
	digest digest
	mark   mark
}

const (
	shardsOfMarks = 256
	fewestSlots   = 8
)

// at is what is known of a digest; 0 if nothing is.
func (m *marks) at(d digest) mark {
	if len(m.shards) == 0 {
		return 0
	}
	if one := m.shards[d[0]].find(d); one != nil {
		return one.mark
	}
	return 0
}

// add adds to what is known of a digest.
func (m *marks) add(d digest, more mark) {
	if more == 0 {
		return
	}
	if len(m.shards) == 0 {
		m.shards = make([]shard, shardsOfMarks)
	}
	s := &m.shards[d[0]]
	one := s.find(d)
	if one == nil || one.mark == 0 && s.full() {
		s.grow()
		one = s.find(d)
	}
	if one.mark == 0 {
		one.digest = d
		s.used++
	}
	one.mark |= more
}

// all gives what is known of each, in no order.
func (m *marks) all() iter.Seq[mark] {
	return func(yield func(mark) bool) {
		for _, s := range m.shards {
			for _, one := range s.slots {
				if one.mark != 0 && !yield(one.mark) {
					return
				}
			}
		}
	}
}

// find gives the slot of a digest, or the free one that it would have; nil where there is none at all.
func (s *shard) find(d digest) *slot {
	n := len(s.slots)
	if n == 0 {
		return nil
	}
	i := int(uint64(binary.BigEndian.Uint32(d[1:])) * uint64(n) >> 32)
	for s.slots[i].mark != 0 && s.slots[i].digest != d {
		if i++; i == n {
			i = 0
		}
	}
	return &s.slots[i]
}

// full tells whether another one would have to be looked for too long.
func (s *shard) full() bool { return s.used >= len(s.slots)*3/4 }

// grow makes room for a quarter more: memory counts for more than the copying, which goes through both in order.
func (s *shard) grow() {
	old := s.slots
	s.slots = make([]slot, max(fewestSlots, len(old)*5/4))
	for _, one := range old {
		if one.mark != 0 {
			*s.find(one.digest) = one
		}
	}
}
