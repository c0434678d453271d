package delta_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

var _ delta.Store = (*folder.Store)(nil)

const day = 24 * time.Hour

// clocked is a store whose clock shows another time.
type clocked struct {
	delta.Store
	now time.Time
}

func (c clocked) Clock() time.Time { return c.now }

// Versioned is what a folder says of itself.
func (clocked) Versioned(context.Context, string) (all, some bool, err error) {
	return false, false, nil
}

// sparkTables unpacks the tables that Spark made, and gives the time at which the last of them
// was.
func sparkTables(t *testing.T) (dir string, made time.Time) {
	t.Helper()
	return unpack(t, "testdata/spark-4.0.1.tar.gz")
}

func unpack(t *testing.T, archive string) (dir string, made time.Time) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir, made
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			writeFile(t, filepath.Join(dir, h.Name), in, h.ModTime)
			if h.ModTime.After(made) {
				made = h.ModTime
			}
		}
	}
}

func writeFile(t *testing.T, path string, content io.Reader, written time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.Chtimes(path, written, written)); err != nil {
		t.Fatal(err)
	}
}

// planAt plans all tables of a folder as if it were that time.
func planAt(t *testing.T, dir string, now time.Time, rules ...spec.RetentionRule) proof.Report {
	t.Helper()
	defaults := spec.DefaultRetention()
	defaults.MaxRatio = 1 // the tables are tiny
	r, err := delta.Plan(context.WithoutCancel(t.Context()), delta.Options{
		Places:    []delta.Place{{Store: clocked{folder.New(dir), now}, URL: dir}},
		Retention: spec.Retention{Defaults: defaults, Rules: rules},
		Now:       func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var update = flag.Bool("update", false, "rewrite the wanted texts of testdata")

// TestTablesOfSparkReadLikeThis plans real tables, when everything in them is new and when it is
// old.
func TestTablesOfSparkReadLikeThis(t *testing.T) {
	dir, made := sparkTables(t)
	var b strings.Builder
	for _, later := range []time.Duration{day, 40 * day} {
		fmt.Fprintf(&b, "-- %s later --\n", spec.Span(later))
		planAt(t, dir, made.Add(later)).Text(&b, false)
	}
	have := strings.ReplaceAll(b.String(), dir, "")
	const golden = "testdata/spark-4.0.1.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), have); diff != "" {
		t.Errorf("-want +have (go test ./reconciler/delta -update rewrites):\n%s", diff)
	}
}

// TestFault10LogThatDelta400HasCleanedUpIsReported plans a real one: twelve versions were more than 30 days old, and
// with them went the checkpoint that the seven after them need. Nothing but the newest can be read, nothing is
// lost of that, and the report names the writer.
func TestFault10LogThatDelta400HasCleanedUpIsReported(t *testing.T) {
	dir, made := unpack(t, "testdata/delta-4.0.0.tar.gz")
	for _, later := range []time.Duration{day, 40 * day} {
		r := planAt(t, dir, made.Add(later), enforcing())
		if len(r.Tables) != 1 {
			t.Fatalf("%d tables", len(r.Tables))
		}
		one := r.Tables[0]
		if f, ok := one.Find(proof.FoundWriter); !ok || !strings.Contains(f.Says, "Delta Lake 4.0.0") {
			t.Errorf("the writer is not found: %+v", one.Findings)
		}
		if one.Version != 20 || one.Live.Files != 20 || one.Goes.Files+one.Held.Files > 0 || one.Worst() > proof.EffectNote {
			t.Errorf("%s later: %+v", spec.Span(later), one)
		}
	}
}

// enforcing is a rule by which everything goes that may.
func enforcing() spec.RetentionRule {
	rule := spec.DefaultRetention()
	rule.Match, rule.Mode, rule.LogCleanup, rule.MaxRatio = []spec.Pattern{"*.*"}, spec.ModeEnforce, spec.HandlingEnforce, 1
	return rule
}

// TestEveryVersionOfSparksTablesIsWhatSparkSaysItIs goes back through each table, version by
// version. A state that is not the one in Spark's .crc refuses the table.
func TestEveryVersionOfSparksTablesIsWhatSparkSaysItIs(t *testing.T) {
	dir, made := sparkTables(t)
	versions := 0
	for {
		newest := map[string]string{}
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, _ error) error {
			if strings.HasSuffix(path, ".crc") && filepath.Base(filepath.Dir(path)) == "_delta_log" && filepath.Base(path)[0] != '.' {
				newest[filepath.Dir(path)] = max(newest[filepath.Dir(path)], strings.TrimSuffix(filepath.Base(path), ".crc"))
			}
			return nil
		})
		if len(newest) == 0 {
			break
		}
		for _, table := range planAt(t, dir, made.Add(day)).Tables {
			if f, refused := table.Find(proof.FoundRefused); refused {
				t.Errorf("%s at version %d: %s", filepath.Base(table.Place), table.Version, f.Says)
			}
			versions++
		}
		for log, version := range newest {
			forget(t, log, version)
		}
	}
	if versions < 60 {
		t.Errorf("only %d versions were looked at", versions)
	}
}

// forget removes the newest version from a log, or the whole log with version 0.
func forget(t *testing.T, log, version string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(log, version+".*"))
	if err == nil && strings.Trim(version, "0") == "" {
		all = []string{log}
	}
	for _, path := range all {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		t.Fatal(err)
	}
}
