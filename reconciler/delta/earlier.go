package delta

import (
	"context"
	"errors"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// due tells whether nobody has looked, since a run, whether all live files are there: it was
// killed, or ended by a signal. What cannot be undone any more needs no look.
func (p *past) due(now time.Time) bool {
	return !p.seen && !p.undone && !p.purged && p.removed().Files > 0 && !now.After(p.began.Add(p.Keep))
}

// phase is the last of which a run has removed files, or may have.
func (p *past) phase() (last phase) {
	for _, b := range p.batches {
		for _, f := range b.files {
			if f.tries > 0 {
				last = max(last, phaseOf(f.Key))
			}
		}
	}
	return last
}

// Due tells whether a run has removed files of any table and nobody has looked since whether all
// live files are there.
func (m *Memory) Due(now time.Time) (bool, error) {
	found := false
	err := m.pasts("", nil, func(p *past) error {
		found = found || p.due(now)
		return nil
	})
	return found, err
}

// verifyEarlier looks, for earlier runs of a table that nobody has verified, whether all live
// files are there. If one is missing, what they removed is brought back, and the table is locked.
func (r *running) verifyEarlier(ctx context.Context, t *looked) {
	if t.memory == (tableMemory{}) || t.before.Lock != nil {
		return // nothing is known of it, or a person sees to it
	}
	due := false
	err := r.memory.pasts("", &t.memory, func(p *past) error {
		due = due || p.due(r.now())
		return nil
	})
	if err == nil && due {
		err = r.lookAfter(ctx, t)
	}
	if err != nil && !errors.Is(err, errBusy) { // whoever has it verifies it
		t.find(proof.FoundUnverified, proof.EffectStop, "nobody could look whether all live files are there after an earlier run: %v", err)
	}
}

// lookAfter does that, with the table for itself. The plan may be older than what a run has done.
func (r *running) lookAfter(ctx context.Context, t *looked) error {
	release, err := t.memory.lease()
	if err != nil {
		return err
	}
	defer release()
	s := &sweep{running: r, t: t, at: &table{t.found.Store, t.found.folder, t.root}, pace: newPace()}
	return r.memory.pasts("", &t.memory, func(p *past) error {
		if !p.due(r.now()) {
			return nil
		}
		if p.By == proof.BySpark && hasInventory(p.folder) {
			return s.lookAfterVacuum(ctx, p)
		}
		missing, err := s.lost(ctx, p.folder, p.Lite, p.phase())
		if err != nil {
			return err
		}
		j, err := openJournal(p.folder, r.now)
		if err != nil {
			return err
		}
		defer j.close()
		if missing == "" {
			return j.write(entry{Step: stepVerified})
		}
		if s.in, err = r.options.Remover(ctx, t.found.Place); err != nil {
			s.mourn(p.Run, missing+"; what it removed could not be brought back: "+err.Error())
			return nil
		}
		s.bringBack(ctx, p, j, missing)
		return nil
	})
}
