package delta

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// TestDiskThatKeepsNothingIsNoFaultOfATable: neither is a checkpoint corrupt, nor a commit, nor is a file gone.
func TestDiskThatKeepsNothingIsNoFaultOfATable(t *testing.T) {
	store := deltatest.NewStore(sometime)
	store.Put("t/_delta_log/long", string(bytes.Repeat([]byte{'x'}, inMemory+1)), sometime)
	store.Put("t/_delta_log/00000000000000000007.json", strings.Repeat(`{"add":{"path":"a","size":1}}`+"\n", partOfCommit), sometime)
	at := &table{store, "t/", "s3://lake/t"}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	for name, err := range map[string]error{
		"checkpoint": at.spool(t.Context(), "long", func(io.ReaderAt, int64) error { return nil }),
		"commit": at.readCommits(t.Context(), []proof.LogFile{proof.ReadName("00000000000000000007.json", 0, sometime)}, func(proof.Commit) error {
			return nil
		}),
	} {
		var store *storeError
		if !errors.As(err, &store) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFullDiskIsNoFaultOfATable, when it is full in the middle.
func TestFullDiskIsNoFaultOfATable(t *testing.T) {
	f, err := scratch("flumen-test-")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close() // what is closed takes nothing more, as a full disk
	var store *storeError
	if _, err := io.Copy(scratchWriter{f}, strings.NewReader("a")); !errors.As(err, &store) {
		t.Error(err)
	}
}
