package state_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/state"
)

// TestReadingWaitsForNobodyWhoWrites: a commit may take long on a slow disk, and people ask meanwhile.
func TestReadingWaitsForNobodyWhoWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for pragma, want := range map[string]string{"auto_vacuum": "2", "journal_mode": "wal"} {
		var have string
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&have); err != nil || have != want {
			t.Errorf("%s is %s, %v, want %s", pragma, have, err, want)
		}
	}
	writes, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	reads, err := state.Read(t.Context(), path)
	if err != nil {
		t.Fatalf("while somebody writes: %v", err)
	}
	if err := reads.Close(); err != nil {
		t.Error(err)
	}
	if err := writes.Rollback(); err != nil {
		t.Error(err)
	}
}
