package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// logCleanup is what of a log a run removes.
type logCleanup struct {
	log    proof.Log        // of the plan
	oldest proof.Checkpoint // that stays
	files  []proof.LogFile  // in the order in which they go
	keys   map[string]bool  // of the same
	beside sidecars
}

func newLogCleanup(log proof.Log, oldest proof.Checkpoint) *logCleanup {
	c := &logCleanup{log: log, oldest: oldest, keys: map[string]bool{}, beside: sidecars{named: map[string]bool{}}}
	c.add(log.Expired(oldest))
	return c
}

// add has further files go, after the others.
func (c *logCleanup) add(files []proof.LogFile) {
	c.files = append(c.files, files...)
	for _, f := range files {
		c.keys[logFolder+f.Name] = true
	}
}

// expired says what of the table's log is no longer needed. The checkpoint that would be its
// oldest one then is read whole: nothing is judged by its name. Where it goes, that has to be what
// the commits say as well.
func (r reading) expired(ctx context.Context) error {
	t, s, one := r.t, r.one.state, r.one
	goes := one.rule.Mode == spec.ModeEnforce && one.rule.LogCleanup == spec.HandlingEnforce
	all, why := s.Boundaries()
	if why != nil {
		one.Findings = append(one.Findings, *why)
	}
	for _, c := range all {
		sound, err := t.sound(ctx, s.Log, c, one.whole)
		if err == nil && sound && goes {
			if sound, err = r.vouched(ctx, t, s.Terms, c); err == nil && !sound {
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
		if err := r.addSidecars(ctx, cleanup); err != nil {
			return err
		}
		one.CountExpired(cleanup.files, goes)
		if goes && len(cleanup.files) > 0 {
			one.cleanup = cleanup
			s.CleanLog(c.Version)
		}
		return nil
	}
	return nil
}

// vouched tells whether what is older than a checkpoint makes the same table of its version.
func (p *planning) vouched(ctx context.Context, t *table, terms proof.Terms, c proof.Checkpoint) (bool, error) {
	s := snapshot{log: terms.Log.Upto(c)}
	err := t.lookAt(ctx, &s)
	one := &looked{}
	if err == nil {
		reader := &planning{now: p.now, progress: &meter{}}
		var all told
		all, err = reading{planning: reader, t: t, rule: terms.Rule, before: s}.replayOnce(ctx, s, terms.Now)
		one.Findings = all.doubts
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
// files as its .crc says, if there is one. What was read whole already is not read again.
func (t *table) sound(ctx context.Context, l proof.Log, c proof.Checkpoint, whole wholes) (bool, error) {
	if !slices.ContainsFunc(l.Run, func(f proof.LogFile) bool { return f.Version == c.Version }) {
		return false, nil
	}
	n, known := whole[c.String()]
	_, err := t.readHead(ctx, c)
	if err == nil && !known {
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

// names tells whether a checkpoint that was read names a file of the log as its sidecar.
func (c *logCleanup) names(key string) bool {
	name, in := strings.CutPrefix(key, logFolder)
	return c != nil && in && c.beside.named[name]
}

// boundary sees to it, before a batch of the log goes, that the checkpoint which takes its place
// is there as it was; before sidecars go, that it is known what all checkpoints name by now.
func (s *sweep) boundary(ctx context.Context, batch phase) error {
	files, err := s.at.listLog(ctx)
	if err != nil {
		return err
	}
	hinted, err := s.at.hint(ctx)
	if err != nil {
		return err
	}
	if err := s.t.cleanup.log.Holds(s.t.cleanup.oldest, files, hinted); err != nil || batch != phaseSidecars {
		return err
	}
	if err := s.t.cleanup.beside.hear(ctx, s.at, files); err != nil {
		return fmt.Errorf("nobody can tell which sidecars of its checkpoints are in use, so that they stay: %w", err)
	}
	return nil
}

// keepsTimes tells whether copies in a store have the time of what they are copies of.
func keepsTimes(in Remover) bool {
	k, ok := in.(interface{ KeepsTimes() bool })
	return ok && k.KeepsTimes()
}

// spareLog leaves the log alone where it could not be had back as it was: the time of a version is
// that of its file, which a copy does not have everywhere.
func (s *sweep) spareLog() {
	if s.t.cleanup == nil || s.way != spec.UndoQuarantine || keepsTimes(s.in) {
		return
	}
	s.t.cleanup, s.t.LogGoes = nil, proof.Amount{}
	s.t.find(proof.FoundNoUndo, proof.EffectStop, "its log is not cleaned up: a commit that is copied back has another time, so that the store has to keep versions: switch the versioning of its bucket on")
}
