package proof

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestListsOfALogDisagree(t *testing.T) {
	commits := func(versions ...int64) (all []LogFile) {
		for _, v := range versions {
			f := ReadName(fmt.Sprintf("%020d.json", v), 100, time.Unix(v, 0))
			f.Tag = "first"
			all = append(all, f)
		}
		return all
	}
	but := func(change func(*LogFile)) []LogFile {
		all := commits(1, 2, 3, 4)
		change(&all[2])
		return all
	}
	const three, four = "00000000000000000003.json", "00000000000000000004.json"
	planned := slices.Concat(commits(4, 2, 1, 3), []LogFile{ReadName("00000000000000000002.checkpoint.parquet", 5, time.Unix(9, 0))})
	for name, c := range map[string]struct {
		later []LogFile
		want  string
	}{
		"the same":                 {commits(1, 2, 3, 4), ""},
		"later ones came":          {commits(1, 2, 3, 4, 5, 6), ""},
		"old ones were cleaned up": {commits(3, 4, 5), ""},
		"all but the newest":       {commits(4), ""},
		"one between is missing":   {commits(1, 2, 4), three},
		"the newest is missing":    {commits(1, 2, 3), four},
		"the newest, beside later": {commits(5, 6), four},
		"nothing is there":         {nil, four},
		"an older one came":        {commits(0, 1, 2, 3, 4), "00000000000000000000.json"},
		"another size":             {but(func(f *LogFile) { f.Size++ }), three},
		"another tag":              {but(func(f *LogFile) { f.Tag = "second" }), three},
		"another time":             {but(func(f *LogFile) { f.Written = time.Unix(7, 0) }), three},
	} {
		if have := Disagree(planned, c.later, 4); have != c.want {
			t.Errorf("%s: %q, want %q", name, have, c.want)
		}
	}
	if have := Disagree(planned, commits(1, 2, 3), 3); have != "" {
		t.Errorf("%s is newer than what was asked for", have)
	}
}
