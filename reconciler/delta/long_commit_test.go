package delta

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// TestLongCommitIsToldAsAWholeOne, in parts of which none is long: what it adds first, and the rest of it with each.
func TestLongCommitIsToldAsAWholeOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := drawLongCommit(t)
		want, err := actionsOf(content)
		if err != nil {
			t.Fatal(err)
		}
		store := deltatest.NewStore(sometime)
		store.Put("t/_delta_log/00000000000000000007.json", content, sometime)
		at := &table{store, "t/", "s3://lake/t"}
		file := proof.ReadName("00000000000000000007.json", 0, sometime)
		have, more := proof.Commit{}, true
		err = at.readCommits(t.Context(), []proof.LogFile{file}, func(c proof.Commit) error {
			switch {
			case !more:
				t.Error("it went on after its last part")
			case len(c.Adds)+len(c.Removes)+len(c.Changes) > partOfCommit:
				t.Error("a part is long")
			case len(c.Adds) > 0 && len(have.Removes)+len(have.Changes) > 0:
				t.Error("it adds something after it has removed something")
			case c.Version != 7 || c.Info != want.Info || c.Unreadable != want.Unreadable || !cmp.Equal(c.Protocol, want.Protocol) || !cmp.Equal(c.Metadata, want.Metadata):
				t.Errorf("a part is of %+v", c)
			}
			more = c.More
			have.Adds, have.Removes, have.Changes = append(have.Adds, c.Adds...), append(have.Removes, c.Removes...), append(have.Changes, c.Changes...)
			return nil
		})
		if err != nil || more {
			t.Fatalf("%v, and it goes on: %v", err, more)
		}
		if diff := cmp.Diff([]any{want.Adds, want.Removes, want.Changes}, []any{have.Adds, have.Removes, have.Changes}); diff != "" {
			t.Error(diff)
		}
	})
}

// drawLongCommit draws lines of each kind in any order, some of them many times.
func drawLongCommit(t *rapid.T) string {
	var text strings.Builder
	for i := range rapid.IntRange(0, 6).Draw(t, "runs") {
		line := rapid.SampledFrom([]string{
			`{"add":{"path":"p=%d/é%%20.parquet","size":%[1]d}}`,
			`{"add":{"path":"v-%d","size":1,"deletionVector":{"storageType":"u","pathOrInlineDv":"x\u0000\"<%[1]d","offset":%[1]d}}}`,
			`{"remove":{"path":"r-%d","deletionTimestamp":%[1]d}}`, `{"remove":{"path":"r-%d","deletionTimestamp":9223372036854775807}}`,
			`{"remove":{"path":"u-%d","deletionVector":{"storageType":"i","pathOrInlineDv":"abc"}}}`, `{"cdc":{"path":"c-%d"}}`,
			`{"commitInfo":{"inCommitTimestamp":1234,"operation":"CONVERT %d"}}`, `{"protocol":{"minReaderVersion":1,"minWriterVersion":%d}}`,
			`{"metaData":{"id":"%d"}}`, `{"checkpointMetadata":{"version":%d}}`,
		}).Draw(t, "line")
		for n := range rapid.SampledFrom([]int{1, 3, partOfCommit - 1, partOfCommit, 2*partOfCommit + 1}).Draw(t, "times") {
			fmt.Fprintf(&text, line+"\n", n+1_000_000*i)
		}
	}
	return text.String()
}

// TestLongCommitThatEndsTooSoonIsNotTold in part.
func TestLongCommitThatEndsTooSoonIsNotTold(t *testing.T) {
	store := deltatest.NewStore(sometime)
	store.Put("t/_delta_log/00000000000000000007.json", strings.Repeat(`{"add":{"path":"a","size":1}}`+"\n", 3*partOfCommit)+`{"add":{"pa`, sometime)
	at := &table{store, "t/", "s3://lake/t"}
	err := at.readCommits(t.Context(), []proof.LogFile{proof.ReadName("00000000000000000007.json", 0, sometime)}, func(proof.Commit) error {
		t.Error("it was told")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "line 3073") {
		t.Error(err)
	}
}
