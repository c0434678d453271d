package delta

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// TestDiskThatKeepsNothingIsNoFaultOfATable: neither is a checkpoint corrupt, nor a commit, nor is a file gone.
func TestDiskThatKeepsNothingIsNoFaultOfATable(t *testing.T) {
	store := deltatest.NewStore(sometime)
	store.Put("t/_delta_log/long", string(bytes.Repeat([]byte{'x'}, inMemory+1)), sometime)
	var commit strings.Builder
	for n := range partOfCommit {
		fmt.Fprintf(&commit, `{"add":{"path":"%d%s","size":1}}`+"\n", n, strings.Repeat("a", spillBuffer/partOfCommit))
	}
	store.Put("t/_delta_log/00000000000000000007.json", commit.String(), sometime)
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

// TestListIsReadBackWhetherItIsInMemoryOrOnDisk, as often as one likes, and after it was forgotten.
func TestListIsReadBackWhetherItIsInMemoryOrOnDisk(t *testing.T) {
	for name, n := range map[string]int{"empty": 0, "memory": 10, "disk": spillBuffer} {
		t.Run(name, func(t *testing.T) {
			s := &spill{}
			defer s.close()
			for range 2 {
				var want []string
				for i := range n {
					f := proof.File{Key: fmt.Sprintf("%d/%d", i%7, i), Size: int64(-i), Written: sometime.Add(time.Duration(i)), Tag: strings.Repeat("t", i%3)}
					want = append(want, fmt.Sprint(f.Key, f.Size, f.Written.UnixMicro(), f.Tag, i))
					if err := s.add(f, i); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					var got []string
					err := s.each(func(f proof.File, tag int) error {
						got = append(got, fmt.Sprint(f.Key, f.Size, f.Written.UnixMicro(), f.Tag, tag))
						return nil
					})
					if err != nil || !slices.Equal(got, want) || s.n != int64(n) {
						t.Fatalf("%v: of %d files %d are read back, and it counts %d", err, n, len(got), s.n)
					}
				}
				if err := s.reset(); err != nil {
					t.Fatal(err)
				}
			}
			if onDisk := s.file != nil; onDisk != (name == "disk") {
				t.Errorf("it is on disk: %t", onDisk)
			}
		})
	}
}
