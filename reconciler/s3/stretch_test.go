package s3

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestStretchesHaveEveryKeyOfTheirFoldersOnce, whatever the names and wherever a page ends.
func TestStretchesHaveEveryKeyOfTheirFoldersOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Names that sort around the slash, and folders of some files.
		keys := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c][-./0]?[a-c]?/?[ab]?`), 0, 60, rapid.ID[string]).Draw(t, "keys")
		for n := range rapid.IntRange(0, 3*mostStretches).Draw(t, "folders") {
			name := "a" + strings.Repeat("b", n%7) + string(rune('0'+n))
			keys = append(keys, name+"/f", name+"-/f")
		}
		for i := range keys {
			keys[i] = "t/" + keys[i]
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		pageSize := rapid.IntRange(1, 50).Draw(t, "page")

		var want, have, folders []string
		for _, key := range keys {
			if name, _, deeper := strings.Cut(strings.TrimPrefix(key, "t/"), "/"); deeper {
				want = append(want, key)
				folders = append(folders, "t/"+name+"/")
			}
		}
		folders = slices.Compact(folders)
		all := stretches("t/", folders)
		if len(all) > mostStretches {
			t.Errorf("%d stretches", len(all))
		}
		for _, in := range all {
			have = append(have, keysOf(in, keys, pageSize)...)
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Error(diff)
		}
	})
}

// keysOf lists a stretch as a store does: by what begins with its prefix and comes after its begin.
func keysOf(in stretch, keys []string, pageSize int) (have []string) {
	var matching []listed
	for _, key := range keys {
		if strings.HasPrefix(key, in.prefix) && key > in.after {
			matching = append(matching, listed{key: key})
		}
	}
	for some := range slices.Chunk(matching, pageSize) {
		p := listPage{objects: slices.Clone(some)}
		over := in.cut(&p)
		for _, o := range p.objects {
			have = append(have, o.key)
		}
		if over {
			break
		}
	}
	return have
}

func TestFoldersOfAYearAreListedOneByOne(t *testing.T) {
	t.Parallel()
	var folders []string
	var want []stretch
	for day := range 366 {
		folders = append(folders, fmt.Sprintf("t/day=%03d/", day))
		want = append(want, stretch{prefix: folders[day]})
	}
	if diff := cmp.Diff(want, stretches("t/", folders), cmp.AllowUnexported(stretch{})); diff != "" {
		t.Errorf("-want +have\n%s", diff)
	}
}
