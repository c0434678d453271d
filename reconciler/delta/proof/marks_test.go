package proof

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMarksAreKeptAsAMapKeepsThem draws digests that are near each other, so that they are in each other's way.
func TestMarksAreKeptAsAMapKeepsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digests := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) (d digest) {
			for _, i := range []int{0, 1, 4, 15} { // the shard, the place in it, a place nearby, and what tells them apart
				d[i] = byte(rapid.SampledFrom([]int{0, 1, 2, 254, 255}).Draw(t, "byte"))
			}
			return d
		}), 1, 300).Draw(t, "digests")
		var have marks
		want := map[digest]mark{}
		for _, d := range digests {
			more := mark(rapid.Uint16().Draw(t, "mark"))
			have.add(d, more)
			if more != 0 {
				want[d] |= more
			}
			if have.at(d) != want[d] {
				t.Fatalf("%x has %b, want %b", d, have.at(d), want[d])
			}
		}
		for _, d := range append(digests, digest{7}, digest{255, 255, 255, 255, 255}) {
			if have.at(d) != want[d] {
				t.Fatalf("in the end %x has %b, want %b", d, have.at(d), want[d])
			}
		}
		if all, wanted := slices.Sorted(have.all()), slices.Sorted(maps.Values(want)); !slices.Equal(all, wanted) {
			t.Fatalf("it has %v, want %v", all, wanted)
		}
	})
}
