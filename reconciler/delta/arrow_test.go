package delta

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// arrowVariable names the environment variable with the program that .ci/readers builds.
const arrowVariable = "FLUMEN_TEST_ARROW"

// What Apache Arrow reads of a row.
type (
	arrowRow struct {
		Add      *arrowFile
		Remove   *arrowFile
		Protocol *struct {
			MinReaderVersion, MinWriterVersion int
			ReaderFeatures, WriterFeatures     []string
		}
		MetaData *struct {
			ID, SchemaString string
			PartitionColumns []string
			Configuration    []struct{ Key, Value string }
		}
		Sidecar *struct {
			Path        string
			SizeInBytes int64
		}
	}
	arrowFile struct {
		Path              string
		Size              int64
		DeletionTimestamp *int64
		DeletionVector    *struct {
			StorageType, PathOrInlineDv string
			Offset                      *int64
		}
	}
)

func (f *arrowFile) vector() proof.Vector {
	if f.DeletionVector == nil {
		return proof.Vector{}
	}
	one := proof.Vector{Type: f.DeletionVector.StorageType, Path: f.DeletionVector.PathOrInlineDv}
	if offset := f.DeletionVector.Offset; offset != nil {
		one.Offset, one.HasOffset = *offset, true
	}
	return one
}

// actions are those of a file of a checkpoint that count, in order.
type actions struct {
	Adds     []proof.Add
	Removes  []proof.Remove
	Protocol *proof.Protocol
	Metadata *proof.Metadata
	Sidecars map[string]int64
}

// TestCheckpointsReadAsApacheArrowReadsThem holds every row of every checkpoint that Spark made
// against a reader of other origin.
func TestCheckpointsReadAsApacheArrowReadsThem(t *testing.T) {
	program := os.Getenv(arrowVariable)
	if program == "" {
		enginetest.Lacks(t, "the program that reads as Apache Arrow does, whose path is in "+arrowVariable)
	}
	dir := t.TempDir()
	files := unpackCheckpoints(t, dir)
	theirs := map[string]*actions{}
	for _, name := range files {
		theirs[name] = &actions{Sidecars: map[string]int64{}}
	}
	out, err := exec.CommandContext(t.Context(), program, files...).Output()
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for lines := json.NewDecoder(bytes.NewReader(out)); lines.More(); rows++ {
		var line struct {
			File string
			Row  arrowRow
		}
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		theirs[line.File].take(t, line.Row)
	}
	for _, name := range files {
		if diff := cmp.Diff(theirs[name], ours(t, name), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: -Arrow +ours\n%s", strings.TrimPrefix(name, dir), diff)
		}
	}
	if t.Logf("%d rows of %d files", rows, len(files)); len(files) < 15 || rows < 40 {
		t.Errorf("only %d rows of %d files were compared", rows, len(files))
	}
}

// unpackCheckpoints writes the parquet files of all logs to a folder.
func unpackCheckpoints(t *testing.T, dir string) (files []string) {
	t.Helper()
	packed, err := os.Open("testdata/spark-4.0.1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	for in := tar.NewReader(unzipped); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(files)
			return files
		}
		content, readErr := io.ReadAll(in)
		name := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(h.Name, "./"), "/", "!"))
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.Name, "/_delta_log/") || !strings.HasSuffix(h.Name, ".parquet") {
			continue
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
}

// take adds a row as Arrow reads it.
func (a *actions) take(t *testing.T, row arrowRow) {
	t.Helper()
	if f := row.Add; f != nil {
		a.Adds = append(a.Adds, proof.Add{Path: f.Path, Size: f.Size, Vector: f.vector()})
	}
	if f := row.Remove; f != nil {
		one := proof.Remove{Path: f.Path, Vector: f.vector()}
		if f.DeletionTimestamp != nil {
			one.Deleted = time.UnixMilli(*f.DeletionTimestamp)
		}
		a.Removes = append(a.Removes, one)
	}
	if p := row.Protocol; p != nil {
		a.Protocol = &proof.Protocol{Reader: p.MinReaderVersion, Writer: p.MinWriterVersion, Features: append(p.ReaderFeatures, p.WriterFeatures...)}
	}
	if m := row.MetaData; m != nil {
		one := metadataJSON{ID: m.ID, Schema: m.SchemaString, PartitionColumns: m.PartitionColumns, Configuration: map[string]string{}}
		for _, property := range m.Configuration {
			one.Configuration[property.Key] = property.Value
		}
		value, err := one.value()
		if err != nil {
			t.Fatal(err)
		}
		a.Metadata = value
	}
	if s := row.Sidecar; s != nil {
		a.Sidecars[s.Path] = s.SizeInBytes
	}
}

// ours are the actions of a file as the plan reads them.
func ours(t *testing.T, name string) *actions {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	c, err := openColumns(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	var head checkpointHead
	a, part := &actions{Sidecars: map[string]int64{}}, parquetPart{c}
	sidecars, _, err := part.sidecars()
	err = errors.Join(err, part.head(&head), part.files(files{
		add:    func(one proof.Add) error { a.Adds = append(a.Adds, one); return nil },
		remove: func(one proof.Remove) error { a.Removes = append(a.Removes, one); return nil },
	}))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	a.Protocol, a.Metadata = head.protocol, head.metadata
	for _, s := range sidecars {
		a.Sidecars[s.name] = s.size
	}
	return a
}
