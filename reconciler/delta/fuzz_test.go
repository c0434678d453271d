package delta

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

var sometime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// FuzzCommit: whatever a version of the log says, it is read or refused, and adding a line that
// removes nothing never hides what it adds.
func FuzzCommit(f *testing.F) {
	for _, seed := range []string{
		`{"add":{"path":"a","size":1,"deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1}}}`,
		`{"remove":{"path":"a","deletionTimestamp":1}}` + "\r\n" + `{"cdc":{"path":"b"}}`,
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"]}}`,
		`{"metaData":{"id":"i","schemaString":"{}","partitionColumns":["p"],"configuration":{"a":"b"}}}`,
		`{"commitInfo":{"inCommitTimestamp":1}}`, `{"checkpointMetadata":{}}`, `{"add":null}`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		one, err := actionsOf(string(content))
		if err != nil {
			return
		}
		more, err := actionsOf(string(content) + "\n" + `{"txn":{"appId":"a"}}`)
		if err != nil {
			t.Fatalf("with a line more: %v", err)
		}
		if len(one.Adds) != len(more.Adds) || len(one.Removes) != len(more.Removes) || one.Unreadable != more.Unreadable {
			t.Fatalf("%+v is not %+v", one, more)
		}
	})
}

// actionsOf reads a commit as a whole.
func actionsOf(content string) (c proof.Commit, err error) {
	err = readLines(strings.NewReader(content), func(name string, body []byte) error { return readNamed(name, body, &c) })
	return c, err
}

// FuzzCheckpoint: whatever a parquet file holds, it is read or refused.
func FuzzCheckpoint(f *testing.F) {
	store := deltatest.NewStore(sometime)
	table := store.Table("t")
	table.Commit(sometime, deltatest.Add("a"), deltatest.Add("b"))
	table.Checkpoint(deltatest.Checkpoint{})
	for _, p := range store.Paths() {
		if strings.HasSuffix(p, ".parquet") && strings.Contains(p, "checkpoint") {
			f.Add([]byte(store.Read(p)))
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := openColumns(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		var h checkpointHead
		part := parquetPart{c}
		_ = part.head(&h)
		_ = part.files(files{add: func(proof.Add) error { return nil }, remove: func(proof.Remove) error { return nil }})
		_, _, _ = part.sidecars()
	})
}
