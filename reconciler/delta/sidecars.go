package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// sidecars are what the checkpoints of a log name, as far as they were read.
type sidecars struct {
	named map[string]bool // as they are called in the log, with their folder
	heard []proof.LogFile // the files of these checkpoints
}

// addSidecars has those sidecars go too that are old and that no checkpoint which stays names. Where
// one of these cannot be read, none goes.
func (r reading) addSidecars(ctx context.Context, c *logCleanup) error {
	t, s, one := r.t, r.one.state, r.one
	files, err := t.listInLog(ctx, sidecarFolder)
	if err != nil || len(s.Unneeded(files, nil)) == 0 {
		return err
	}
	err = c.beside.read(ctx, t, []proof.Checkpoint{c.oldest})
	if err == nil && len(s.Unneeded(files, c.beside.named)) == 0 {
		return nil // mostly: what is old enough is that one's
	}
	if err == nil {
		stay := slices.DeleteFunc(slices.Clone(c.log.All), func(f proof.LogFile) bool { return c.has(logFolder + f.Name) })
		err = c.beside.hear(ctx, t, stay)
	}
	var unclear *unclearError
	if errors.As(err, &unclear) {
		one.find(proof.FoundLogKept, proof.EffectNote, "the sidecars of its checkpoints stay, since nobody can tell which are in use: %v", unclear)
		return nil
	}
	if err != nil {
		return err
	}
	old, err := r.longUnneeded(ctx, c, files)
	c.add(old)
	return err
}

// longUnneeded are those sidecars that a checkpoint names which goes, and those that no checkpoint names
// and that our lists have shown for as long as the rule asks of an orphan: a checkpoint that is being
// written has its sidecars first, and how old these are by the store is no proof.
func (r reading) longUnneeded(ctx context.Context, c *logCleanup, files []proof.LogFile) (old []proof.LogFile, err error) {
	one := r.one
	known, err := c.outlived(ctx, r.t, files)
	if err != nil {
		return nil, err
	}
	seen, err := r.sightings(one, seenSidecars)
	if err != nil {
		return nil, err
	}
	for _, f := range one.state.Unneeded(files, c.beside.named) {
		long := seen.longEnough(proof.File{Key: logFolder + f.Name, Size: f.Size, Written: f.Written, Tag: f.Tag}, one)
		if known[f.Name] || long {
			old = append(old, f)
			continue
		}
		one.CountWaitingSidecar(f.Size)
	}
	if r.watch != nil {
		return old, nil
	}
	return old, seen.keep()
}

// outlived are the sidecars that a checkpoint names which goes. Of one that cannot be read they are
// not known.
func (c *logCleanup) outlived(ctx context.Context, t *table, there []proof.LogFile) (map[string]bool, error) {
	gone := sidecars{named: map[string]bool{}}
	for _, one := range c.log.Checkpoints {
		if !c.has(logFolder + one.Files[0].Name) {
			continue
		}
		var corrupt *corruptError
		if err := gone.take(ctx, t, one, there); err != nil && !errors.As(err, &corrupt) {
			return nil, err
		}
	}
	return gone.named, nil
}

// unclearError says why nobody can tell which sidecars are in use.
type unclearError struct{ cause error }

func (e *unclearError) Error() string { return e.cause.Error() }
func (e *unclearError) Unwrap() error { return e.cause }

// hear reads those checkpoints among the files of a log that were not read yet.
func (b *sidecars) hear(ctx context.Context, t *table, log []proof.LogFile) error {
	all, err := proof.EveryCheckpoint(log)
	if err != nil {
		return &unclearError{err}
	}
	if all = slices.DeleteFunc(all, b.knows); len(all) == 0 {
		return nil
	}
	return b.read(ctx, t, all)
}

// read reads checkpoints.
func (b *sidecars) read(ctx context.Context, t *table, all []proof.Checkpoint) error {
	there, err := t.listInLog(ctx, sidecarFolder)
	if err != nil {
		return err
	}
	for _, c := range all {
		err := b.take(ctx, t, c, there)
		var corrupt *corruptError
		if errors.As(err, &corrupt) {
			return &unclearError{err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// knows tells whether a checkpoint was read, and has not been written again since.
func (b *sidecars) knows(c proof.Checkpoint) bool {
	for _, f := range c.Files {
		if !slices.ContainsFunc(b.heard, f.Same) {
			return false
		}
	}
	return true
}

// take reads one checkpoint. What it names has to be there: a name that is not may be meant in a
// way that nobody here knows.
func (b *sidecars) take(ctx context.Context, t *table, c proof.Checkpoint, there []proof.LogFile) error {
	all, err := t.readTop(ctx, c, files{add: func(proof.Add) error { return nil }, remove: func(proof.Remove) error { return nil }})
	if err != nil {
		return err
	}
	for _, one := range all {
		name := sidecarFolder + one.name
		if !slices.ContainsFunc(there, func(f proof.LogFile) bool { return f.Name == name && (one.size < 0 || one.size == f.Size) }) {
			return &corruptError{c, fmt.Errorf("its sidecar %s is not there as it says", one.name)}
		}
		b.named[name] = true
	}
	b.heard = append(b.heard, c.Files...)
	return nil
}
