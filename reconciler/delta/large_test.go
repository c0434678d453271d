package delta_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// What is measured has to be right first: of each of the tables that make bench-delta plans, in small, exactly
// what is dead may go.
func TestPlanOfALargeTableFindsExactlyWhatIsDead(t *testing.T) {
	small := deltatest.Large{Live: 3000, Dead: 300, Orphans: 300, Commits: 60, Checkpoint: 50, Days: 7}
	sidecars, levels, early := small, small, small
	sidecars.Sidecars, sidecars.Vectors = 3, 20
	levels.Hours = 5
	early.Checkpoint = 20 // before anything was removed
	for name, l := range map[string]deltatest.Large{"flat": small, "sidecars and vectors": sidecars, "two levels": levels, "early checkpoint": early} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l.Now = time.Now()
			dir := t.TempDir()
			if err := l.Write(filepath.Join(dir, "lake.db", "large")); err != nil {
				t.Fatal(err)
			}
			r, goes := planLarge(t, folder.New(dir), dir)
			if len(r.Tables) != 1 || len(goes) != l.Dead+l.Orphans {
				t.Fatalf("%d tables, %d files go, want 1 and %d\n%+v", len(r.Tables), len(goes), l.Dead+l.Orphans, r)
			}
			for _, key := range goes {
				if !l.Fate(key).Gone() {
					t.Errorf("%s goes, and is no dead file", key)
				}
			}
			if n := r.Tables[0].Live.Files; n != int64(l.Live+vectorFiles(l)) {
				t.Errorf("%d files are live, want %d", n, l.Live)
			}
			for _, f := range r.Tables[0].Findings {
				if f.Kind != proof.FoundProperty {
					t.Errorf("finding: %+v", f)
				}
			}
		})
	}
}

// planLarge plans all tables of a store by a rule of seven days.
func planLarge(t testing.TB, store delta.Store, url string) (r proof.Report, goes []string) {
	t.Helper()
	rule := spec.DefaultRetention()
	rule.Data = 7 * 24 * time.Hour
	r, err := delta.Plan(t.Context(), delta.Options{
		Places: []delta.Place{{Store: store, URL: url}}, Retention: spec.Retention{Defaults: rule}, Now: time.Now,
		Goes: func(_ proof.Table, f proof.File, _ proof.Class) error { goes = append(goes, f.Key); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, goes
}

// vectorFiles counts the files of deletion vectors.
func vectorFiles(l deltatest.Large) int {
	n := 0
	_ = l.Data(func(key string, _ time.Time) error { // which returns only what this does
		if strings.Contains(key, "deletion_vector_") {
			n++
		}
		return nil
	})
	return n
}
