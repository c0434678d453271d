package delta

import (
	"context"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// Keeping is a Store that tells what it keeps of files that are removed, as Remover does. It may not be let to.
type Keeping interface {
	Versioned(ctx context.Context, folder string) (all, some bool, err error)
}

// Locking is a Keeping store in which files may be locked: whether those of a folder may be, and for how long each is
// that is written there without a word (0: it is not).
type Locking interface {
	Locks(ctx context.Context, folder string) (locks bool, each time.Duration, err error)
}

// foresee says of a finished plan when its room would be free, and how the table has changed since an earlier look. The
// error is that of ctx.
func (p *planning) foresee(ctx context.Context, t *looked) error {
	if point, ok := t.Point(t.now); ok {
		t.Trend = proof.TrendOf(t.before.Points, point)
	}
	store, ok := t.found.Store.(Keeping)
	if !ok || p.watch != nil || t.Goes.Files+t.LogGoes.Files == 0 {
		return nil
	}
	keeps, err := p.keeps(ctx, store, t)
	if err != nil {
		return err
	}
	t.Free(t.rule, keeps)
	return nil
}

// keeps asks a store, once for each bucket of it.
func (p *planning) keeps(ctx context.Context, store Keeping, t *looked) (k proof.Keeping, err error) {
	bucket, _, _ := strings.Cut(t.found.folder, "/")
	of := t.found.Name + "\n" + bucket
	if k, known := p.keeping[of]; known {
		return k, nil
	}
	k.All, k.Some, err = store.Versioned(ctx, t.found.folder)
	if cause := context.Cause(ctx); cause != nil {
		return k, cause
	}
	if err != nil {
		k = proof.Keeping{Why: err.Error()}
	}
	if locking, ok := t.found.Store.(Locking); ok && k.Some {
		// Whether there is a lock is a word more, where it can be had.
		if k.Locks, k.LockedFor, err = locking.Locks(ctx, t.found.folder); err != nil {
			k.Locks, k.LockedFor = false, 0
		}
	}
	if p.keeping == nil {
		p.keeping = map[string]proof.Keeping{}
	}
	p.keeping[of] = k
	return k, nil
}
