package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// askAgain is how often a request is looked at for its answer.
const askAgain = 100 * time.Millisecond

// ErrWithdrawn says that a request is gone: nobody took it up.
var ErrWithdrawn = errors.New("the request was not taken up")

// Request is something that a person asks of the agent which holds the project.
type Request struct {
	ID   int64
	At   time.Time
	Verb string
	Args json.RawMessage
}

// Ask leaves a request for the agent that holds the project, and gives its number.
func (s *Store) Ask(ctx context.Context, verb string, args any) (id int64, err error) {
	text, err := json.Marshal(args)
	if err != nil {
		return 0, fmt.Errorf("ask the agent to %s: %w", verb, err)
	}
	added, err := s.db.Load().ExecContext(ctx, "INSERT INTO requests (at, verb, args) VALUES (?, ?, ?)", time.Now().UnixNano(), verb, s.hide(text))
	if err != nil {
		return 0, fmt.Errorf("ask the agent to %s: %w", verb, err)
	}
	return added.LastInsertId()
}

// Asked are the requests that have no answer, oldest first.
func (s *Store) Asked(ctx context.Context) ([]Request, error) {
	rows, err := s.db.Load().QueryContext(ctx, "SELECT id, at, verb, args FROM requests WHERE answer IS NULL ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("read the requests: %w", err)
	}
	defer rows.Close()
	var all []Request
	for rows.Next() {
		var one Request
		var at int64
		if err := rows.Scan(&one.ID, &at, &one.Verb, &one.Args); err != nil {
			return nil, fmt.Errorf("read the requests: %w", err)
		}
		one.At = time.Unix(0, at)
		all = append(all, one)
	}
	return all, rows.Err()
}

// Answer ends a request.
func (s *Store) Answer(ctx context.Context, id int64, answer any) error {
	text, err := json.Marshal(answer)
	if err == nil {
		_, err = s.db.Load().ExecContext(ctx, "UPDATE requests SET answer = ? WHERE id = ?", s.hide(text), id)
	}
	if err != nil {
		return fmt.Errorf("answer a request: %w", err)
	}
	return nil
}

// Withdraw takes a request away, answered or not.
func (s *Store) Withdraw(ctx context.Context, id int64) error {
	if _, err := s.db.Load().ExecContext(ctx, "DELETE FROM requests WHERE id = ?", id); err != nil {
		return fmt.Errorf("withdraw a request: %w", err)
	}
	return nil
}

// WithdrawAll takes all requests away: those that an agent finds when it starts were
// meant for one that is no more.
func (s *Store) WithdrawAll(ctx context.Context) error {
	if _, err := s.db.Load().ExecContext(ctx, "DELETE FROM requests"); err != nil {
		return fmt.Errorf("withdraw the requests of before: %w", err)
	}
	return nil
}

// Await waits for the answer of a request, reads it, and takes the request away. While it
// waits it asks whether somebody is there to answer; when not, the request is withdrawn
// and the error is ErrWithdrawn.
func (s *Store) Await(ctx context.Context, id int64, answer any, someone func() bool) error {
	tick := time.NewTicker(askAgain)
	defer tick.Stop()
	for {
		text, err := s.answer(ctx, id)
		switch {
		case err != nil:
			return err
		case text != nil:
			return errors.Join(json.Unmarshal(text, answer), s.Withdraw(ctx, id))
		case !someone():
			return errors.Join(ErrWithdrawn, s.Withdraw(ctx, id))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.Withdraw(context.WithoutCancel(ctx), id))
		}
	}
}

func (s *Store) answer(ctx context.Context, id int64) ([]byte, error) {
	rows, err := s.db.Load().QueryContext(ctx, "SELECT answer FROM requests WHERE id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("look for the answer: %w", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, errors.Join(ErrWithdrawn, rows.Err())
	}
	var text []byte
	if err := rows.Scan(&text); err != nil {
		return nil, fmt.Errorf("look for the answer: %w", err)
	}
	return text, nil
}
