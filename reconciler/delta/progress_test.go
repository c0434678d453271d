package delta_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta"
)

func TestProgressOfALookEndsWithWhatThePlanHas(t *testing.T) {
	l := newLake(t)
	l.usual("a")
	l.usual("b")
	var all []delta.Progress
	o := l.options()
	o.Progress = func(p delta.Progress) { all = append(all, p) }
	report, err := delta.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	for i, p := range all {
		if i > 0 && (p.Done < all[i-1].Done || p.Files < all[i-1].Files || p.Listed < all[i-1].Listed || p.Goes.Files < all[i-1].Goes.Files) {
			t.Errorf("%+v after %+v", p, all[i-1])
		}
		if p.Read > p.Commits {
			t.Errorf("%+v", p)
		}
		if p.Commits > 0 && p.Read == p.Commits {
			versions[p.Table] = p.Commits
		}
	}
	last := all[len(all)-1]
	if versions["s3://lake/wh/a"] != 4 || versions["s3://lake/wh/b"] != 4 || last.Tables != 2 || last.Done != 1 || last.Files != 6 || last.Goes.Files >= report.Goes.Files {
		t.Errorf("%+v, %v; the plan: %s", last, versions, report.Goes)
	}
}
