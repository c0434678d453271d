package delta

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// logCleanup is what of a log a run removes.
type logCleanup struct {
	log    proof.Log        // of the plan
	oldest proof.Checkpoint // that stays
	files  []proof.LogFile  // in the order in which they go
	keys   map[string]bool  // of the same
}

func newLogCleanup(log proof.Log, oldest proof.Checkpoint) *logCleanup {
	c := &logCleanup{log, oldest, log.Expired(oldest), map[string]bool{}}
	for _, f := range c.files {
		c.keys[logFolder+f.Name] = true
	}
	return c
}

// expired says what of the table's log is no longer needed. The checkpoint that would be its
// oldest one then is read whole: nothing is judged by its name. Where it goes, that has to be what
// the commits say as well.
func (p *planning) expired(ctx context.Context, t *table, s *proof.State, one *looked) error {
	goes := one.rule.Mode == spec.ModeEnforce && one.rule.LogCleanup == spec.HandlingEnforce
	all, why := s.Boundaries()
	if why != nil {
		one.Findings = append(one.Findings, *why)
	}
	for _, c := range all {
		sound, err := t.sound(ctx, s.Log, c)
		if err == nil && sound && goes {
			if sound, err = p.vouched(ctx, t, s.Terms, c); err == nil && !sound {
				one.find(proof.FoundLogKept, proof.EffectNote, "the checkpoint of version %d is not what the log before it says, so that it cannot take its place", c.Version)
			}
		}
		if err != nil {
			return err
		}
		if !sound {
			continue
		}
		hinted, err := t.hint(ctx)
		if err != nil || hinted < c.Version {
			return err
		}
		cleanup := newLogCleanup(s.Log, c)
		one.CountExpired(cleanup.files, goes)
		if goes && len(cleanup.files) > 0 {
			one.cleanup = cleanup
		}
		return nil
	}
	return nil
}

// vouched tells whether what is older than a checkpoint makes the same table of its version.
func (p *planning) vouched(ctx context.Context, t *table, terms proof.Terms, c proof.Checkpoint) (bool, error) {
	s := snapshot{log: terms.Log.Upto(c)}
	err := t.lookAt(ctx, &s)
	one := &looked{rule: terms.Rule}
	if err == nil {
		reader := &planning{now: p.now, progress: &meter{}}
		_, err = reader.replayOnce(ctx, t, terms.Rule, terms.Now, s, s, one, nil)
	}
	var refusal *proof.Refusal
	var corrupt *corruptError
	if errors.As(err, &refusal) || errors.As(err, &corrupt) {
		return false, nil
	}
	_, diverges := one.Find(proof.FoundDivergence)
	return err == nil && !diverges, err
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

// has tells whether a file of the log is one of those that go.
func (c *logCleanup) has(key string) bool {
	return c != nil && c.keys[key]
}

// boundary sees to it, before a batch of the log goes, that the checkpoint which takes its place
// is there as it was.
func (s *sweep) boundary(ctx context.Context) error {
	files, err := s.at.listLog(ctx)
	if err != nil {
		return err
	}
	hinted, err := s.at.hint(ctx)
	if err != nil {
		return err
	}
	return s.t.cleanup.log.Holds(s.t.cleanup.oldest, files, hinted)
}

// timeKeeper is a Remover whose copies may have the time of what they are copies of.
type timeKeeper interface{ KeepsTimes() bool }

// spareLog leaves the log alone where it could not be had back as it was: the time of a version is
// that of its file, which a copy does not have everywhere.
func (s *sweep) spareLog() {
	k, ok := s.in.(timeKeeper)
	if s.t.cleanup == nil || s.way != spec.UndoQuarantine || ok && k.KeepsTimes() {
		return
	}
	s.t.cleanup, s.t.LogGoes = nil, proof.Amount{}
	s.t.find(proof.FoundNoUndo, proof.EffectStop, "its log is not cleaned up: a commit that is copied back has another time, so that the store has to keep versions: switch the versioning of its bucket on")
}
