package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Remember writes a value under a name, over what was there.
func (s *Store) Remember(ctx context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	_, err = s.db.Load().ExecContext(ctx, "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, s.hide(text))
	if err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	return nil
}

// Recall reads what was remembered under a name into a value, and leaves the value as it
// is if nothing was.
func (s *Store) Recall(ctx context.Context, name string, into any) error {
	var text []byte
	err := s.db.Load().QueryRowContext(ctx, "SELECT value FROM notes WHERE name = ?", name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("recall %s: %w", name, err)
	}
	return nil
}
