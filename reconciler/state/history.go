package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// What history may hold: months of runs that did something, or the newest that fit.
const (
	keepRuns  = 1000
	keepBytes = 16 << 20
)

// ErrNoRun says that there is no run of that number.
var ErrNoRun = errors.New("there is no such run in the history")

// Record adds a run to the history, and forgets the oldest that are too many.
func (s *Store) Record(ctx context.Context, rep report.Report) error {
	text, err := json.Marshal(rep)
	if err != nil {
		return fmt.Errorf("record a run: %w", err)
	}
	err = change(ctx, s.db.Load(), func(tx *sql.Tx) error {
		added, err := tx.ExecContext(ctx, "INSERT INTO runs (at, report) VALUES (?, ?)", rep.At.UnixNano(), s.hide(text))
		if err != nil {
			return err
		}
		id, err := added.LastInsertId()
		if err != nil {
			return err
		}
		for _, ref := range rep.Tells() {
			if _, err := tx.ExecContext(ctx, "INSERT INTO acts (run, ref) VALUES (?, ?)", id, ref.String()); err != nil {
				return err
			}
		}
		return forget(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("record a run: %w", err)
	}
	_, err = s.db.Load().ExecContext(ctx, "PRAGMA incremental_vacuum")
	return err
}

// forget removes runs from the oldest on, until the others fit. The newest stays.
func forget(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `
DELETE FROM runs WHERE id < (SELECT max(id) FROM runs) AND id IN (
	SELECT id FROM (
		SELECT id, row_number() OVER newest AS n, sum(length(report)) OVER newest AS bytes
		FROM runs WINDOW newest AS (ORDER BY id DESC)
	) WHERE n > ? OR bytes > ?)`, keepRuns, keepBytes)
	return err
}

// Runs are the newest runs, newest first, at most limit.
func (s *Store) Runs(ctx context.Context, limit int) ([]report.Past, error) {
	return s.runs(ctx, "SELECT id, report FROM runs ORDER BY id DESC LIMIT ?", limit)
}

// RunsOf are the newest runs that did something to ref or left it behind, newest first, at most
// limit.
func (s *Store) RunsOf(ctx context.Context, ref spec.Ref, limit int) ([]report.Past, error) {
	return s.runs(ctx, "SELECT id, report FROM runs WHERE id IN (SELECT run FROM acts WHERE ref = ?) ORDER BY id DESC LIMIT ?", ref.String(), limit)
}

// LastActs are the runs that did the last act on anything, newest first.
func (s *Store) LastActs(ctx context.Context) ([]report.Past, error) {
	return s.runs(ctx, "SELECT id, report FROM runs WHERE id IN (SELECT max(run) FROM acts GROUP BY ref) ORDER BY id DESC")
}

// Run is one run, or ErrNoRun.
func (s *Store) Run(ctx context.Context, id int64) (report.Past, error) {
	runs, err := s.runs(ctx, "SELECT id, report FROM runs WHERE id = ?", id)
	if err == nil && len(runs) == 0 {
		err = ErrNoRun
	}
	if err != nil {
		return report.Past{}, err
	}
	return runs[0], nil
}

func (s *Store) runs(ctx context.Context, query string, args ...any) ([]report.Past, error) {
	rows, err := s.db.Load().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer rows.Close()
	var all []report.Past
	for rows.Next() {
		var one report.Past
		var text []byte
		if err := rows.Scan(&one.ID, &text); err != nil {
			return nil, fmt.Errorf("read the history: %w", err)
		}
		if err := json.Unmarshal(text, &one.Report); err != nil {
			return nil, fmt.Errorf("read run %d of the history: %w", one.ID, err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
