package delta

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// expired says what of the table's log is no longer needed. The checkpoint that would be its
// oldest one then is read whole: nothing is judged by its name.
func (t *table) expired(ctx context.Context, s *proof.State, one *proof.Table) error {
	all, why := s.Boundaries()
	if why != nil {
		one.Findings = append(one.Findings, *why)
	}
	for _, c := range all {
		sound, err := t.sound(ctx, s.Log, c)
		if err != nil {
			return err
		}
		if !sound {
			continue
		}
		hinted, err := t.hint(ctx)
		if err == nil && hinted >= c.Version {
			one.Expired = s.Log.Expired(c)
		}
		return err
	}
	return nil
}

// sound tells whether a checkpoint can be read whole, its commit is there, and it has as many
// files as its .crc says, if there is one.
func (t *table) sound(ctx context.Context, l proof.Log, c proof.Checkpoint) (bool, error) {
	if !slices.ContainsFunc(l.Run, func(f proof.LogFile) bool { return f.Version == c.Version }) {
		return false, nil
	}
	var n int64
	_, err := t.readHead(ctx, c)
	if err == nil {
		err = t.readFiles(ctx, c, files{add: func(proof.Add) error { n++; return nil }, remove: func(proof.Remove) error { return nil }})
	}
	var corrupt *corruptError
	if errors.As(err, &corrupt) {
		return false, nil
	}
	f, summed := l.Sums[c.Version]
	if err != nil || !summed {
		return err == nil, err
	}
	sum, there, err := t.readSum(ctx, f)
	return err == nil && (!there || sum.Files == nil || *sum.Files == n), err
}

// hint is the version that _last_checkpoint names: whoever reads the table begins there. Without
// one they begin with what is listed, and so with the newest.
func (t *table) hint(ctx context.Context) (int64, error) {
	var h struct {
		Version *int64 `json:"version"`
	}
	err := t.read(ctx, "_last_checkpoint", func(r io.Reader) error { return json.NewDecoder(r).Decode(&h) })
	var store *storeError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 1<<63 - 1, nil
	case errors.As(err, &store):
		return 0, err
	case err != nil || h.Version == nil:
		return -1, nil // nobody knows where it leads
	}
	return *h.Version, nil
}
