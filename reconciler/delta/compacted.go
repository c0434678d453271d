package delta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// compacted holds the files of several commits in one against the commits, which the replay has heard.
func (t *table) compacted(ctx context.Context, l proof.Log, r *proof.Replay) (all []proof.Finding, err error) {
	for _, f := range l.Compacted() {
		held := r.Against(f)
		err := t.read(ctx, f.Name, func(in io.Reader) error {
			return readLines(in, func(name string, body []byte) error {
				var some proof.Commit
				if err := readNamed(name, body, &some); err != nil {
					return err
				}
				return held.Hear(some)
			})
		})
		var store *storeError
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it was cleaned up meanwhile
		case errors.As(err, &store), context.Cause(ctx) != nil:
			return nil, fmt.Errorf("hold its log against %s: %w", f.Name, err)
		case err != nil:
			all = append(all, held.Unreadable(err))
			continue
		}
		if f := held.Finding(); f != nil {
			all = append(all, *f)
		}
	}
	return all, nil
}
