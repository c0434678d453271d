package delta_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/folder"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

var _ delta.Remover = (*folder.Store)(nil)

// aged is a folder whose clock shows another time.
type aged struct {
	*folder.Store
	now   time.Time
	apart time.Duration // by which its files are stamped later than that
}

func (a aged) Clock() time.Time { return a.now }

// Probe shows that time too, or another one that somebody has put in its place.
func (a aged) Probe(ctx context.Context, path string) (time.Time, error) {
	_, err := a.Store.Probe(ctx, path)
	return a.now.Add(a.apart), err
}

// warehouse are Spark's tables in a folder, some time after they were made.
type warehouse struct {
	*testing.T
	dir, memory string
	made        time.Time
	rule        spec.RetentionRule
	apart       time.Duration // see aged
}

func newWarehouse(t *testing.T) *warehouse {
	w := &warehouse{T: t, memory: t.TempDir(), rule: spec.DefaultRetention()}
	w.dir, w.made = sparkTables(t)
	w.rule.Mode, w.rule.MaxRatio, w.rule.Properties = spec.ModeEnforce, 1, spec.HandlingOff
	return w
}

func (w *warehouse) run(later time.Duration) proof.Report {
	w.Helper()
	now := w.made.Add(later)
	store := aged{folder.New(w.dir), now, w.apart}
	r, err := delta.Run(w.Context(), delta.RunOptions{
		Options: delta.Options{
			Places:    []delta.Place{{Store: store, URL: w.dir, Name: "local"}},
			Retention: spec.Retention{Defaults: w.rule}, Now: func() time.Time { return now }, Memory: delta.NewMemory(w.memory),
		},
		Remover: func(context.Context, delta.Place) (delta.Remover, error) { return store, nil },
	})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// files are the digests and times of all files but those that were set aside.
func (w *warehouse) files() map[string]string {
	w.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/_flumen_quarantine/") {
			return err
		}
		content, err := os.ReadFile(path)
		info, errInfo := d.Info()
		if err := errors.Join(err, errInfo); err != nil {
			return err
		}
		all[strings.TrimPrefix(path, w.dir+"/")] = fmt.Sprintf("%x %s", sha256.Sum256(content), info.ModTime())
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return all
}

func TestTablesOfSparkAreSweptInAFolderAndBroughtBack(t *testing.T) {
	for logs, least := range map[spec.Handling]int64{spec.HandlingReport: 0, spec.HandlingEnforce: 10} {
		t.Run("log cleanup "+string(logs), func(t *testing.T) { sweepAll(t, logs, least) })
	}
}

// sweepAll expects that many files at least to go from logs; 0: none.
func sweepAll(t *testing.T, logs spec.Handling, least int64) {
	w := newWarehouse(t)
	w.rule.LogCleanup = logs
	w.run(38 * day)
	before := w.files()
	r := w.run(40 * day)
	gone := len(before) - len(w.files())
	var swept, removed, cleaned int64
	for _, table := range r.Tables {
		if m := table.Removal; m != nil {
			swept++
			removed += m.Removed.Files
			cleaned += m.Log.Files
			if !m.Verified || m.Log != table.LogGoes || m.Undo != spec.UndoQuarantine || m.Removed.Files != table.Goes.Files || m.Failed+m.Spared != 0 {
				t.Errorf("%s: %+v of %+v", table.Place, m, table.Goes)
			}
		}
	}
	if swept < 10 || removed < 20 || cleaned < least || least == 0 && cleaned > 0 || int64(gone) != removed+cleaned {
		t.Errorf("%d tables were swept, %d files removed and %d of logs, %d are gone", swept, removed, cleaned, gone)
	}
	// Every table is read again: nothing is missing, and nothing more goes.
	for _, table := range w.run(40 * day).Tables {
		if table.Worst() == proof.EffectCritical || table.Goes.Files > 0 || table.LogGoes.Files > 0 {
			t.Errorf("%s: %+v", table.Place, table)
		}
	}
	u, err := delta.Undo(t.Context(), delta.UndoOptions{
		Memory: delta.NewMemory(w.memory), Run: r.Run, Now: time.Now,
		Remover: func(context.Context, string) (delta.Remover, error) { return folder.New(w.dir), nil },
	})
	if err := errors.Join(err, u.Err()); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, w.files()); diff != "" {
		t.Error(diff)
	}
}

// TestNothingGoesFromAFolderWhoseFilesAreStampedByAnotherClock: the folder may be another machine's.
func TestNothingGoesFromAFolderWhoseFilesAreStampedByAnotherClock(t *testing.T) {
	w := newWarehouse(t)
	w.run(38 * day)
	before := w.files()
	for _, apart := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		w.apart = apart
		refused := 0
		for _, table := range w.run(40 * day).Tables {
			if f, found := table.Find(proof.FoundRefused); found && strings.Contains(f.Says, "6m0s apart; set both right") {
				refused++
			}
		}
		if diff := cmp.Diff(before, w.files()); refused < 10 || diff != "" {
			t.Errorf("%d tables were refused: %s", refused, diff)
		}
	}
}

func TestFolderShowsByWhichClockItsFilesAreStamped(t *testing.T) {
	dir := t.TempDir()
	stamped := filepath.Join(dir, "t", ".flumen_clock")
	if err := os.Mkdir(filepath.Join(dir, "t"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, left := range []bool{false, true} { // by one that was killed
		if left {
			if err := errors.Join(os.WriteFile(stamped, nil, 0o600), os.Chtimes(stamped, time.Time{}, time.Now().Add(-day))); err != nil {
				t.Fatal(err)
			}
		}
		at, err := folder.New(dir).Probe(t.Context(), "t/")
		if err != nil || time.Since(at).Abs() > time.Hour {
			t.Errorf("%s: %v", at, err)
		}
		if _, err := os.Lstat(stamped); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it is still there: %v", err)
		}
	}
	if _, err := folder.New(dir).Probe(t.Context(), "none/"); err == nil {
		t.Error("a folder that is not there has a clock")
	}
}

func TestFolderRemovesNothingOutsideItAndOverwritesNothing(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path, content string) {
		t.Helper()
		writeFile(t, path, strings.NewReader(content), ago(1))
	}
	write(filepath.Join(dir, "a"), "a")
	write(filepath.Join(dir, "b"), "b")
	write(filepath.Join(outside, "x"), "x")
	if err := errors.Join(os.Symlink(outside, filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "empty"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s := folder.New(dir)
	results := map[string]error{}
	s.Remove(t.Context(), []string{"link/x", "../" + filepath.Base(outside) + "/x", "empty", "none", "a"}, func(path, mark string, err error) { results[path] = err })
	if _, err := os.Stat(filepath.Join(outside, "x")); err != nil {
		t.Error(err)
	}
	if results["link/x"] == nil || results["empty"] == nil || results["none"] != nil || results["a"] != nil || len(results) != 5 {
		t.Errorf("%v", results)
	}
	tag := ""
	if err := s.List(t.Context(), "", false, func(path string, _ int64, _ time.Time, its string) error {
		if path == "b" {
			tag = its
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Copy(t.Context(), "b", "q/1/b", 1, tag); err != nil {
		t.Error(err)
	}
	if err := s.Copy(t.Context(), "b", "q/1/b", 1, tag); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if err := s.Copy(t.Context(), "none", "q/1/c", 1, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := s.Copy(t.Context(), "link/x", "q/1/x", 1, ""); err == nil {
		t.Error("copied from outside")
	}
	write(filepath.Join(dir, "b"), "another b")
	if err := s.Copy(t.Context(), "b", "q/2/b", 1, tag); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}
