package delta

import (
	"context"
	"os"
	"path/filepath"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// settle ends earlier runs of the table: those that were cut off, now that all live files were
// seen; and those that can no longer be undone, whose copies go for good.
func (s *sweep) settle(ctx context.Context) {
	err := s.memory.pasts("", &s.t.memory, func(p *past) error {
		if p.end == nil {
			if err := s.settleOne(p); err != nil {
				return err
			}
		}
		lapsed := p.began.Add(p.Keep)
		if p.end != nil {
			lapsed = p.end.At.Add(p.Keep)
		}
		switch {
		case !s.now().After(lapsed):
			return nil
		case p.undone:
			return forget(p)
		case p.end == nil:
			return nil // its time runs from now on
		}
		return s.purge(ctx, p)
	})
	if err != nil {
		s.t.find(proof.FoundPurge, proof.EffectNote, "%v", err)
	}
}

// settleOne notes that a run was cut off.
func (s *sweep) settleOne(p *past) error {
	s.t.find(proof.FoundInterrupted, proof.EffectNote, "run %s was cut off when it had removed up to %s; all live files are there; to have the others back: flumen-agent retention undo %s", p.Run, p.removed(), p.Run)
	j, err := openJournal(p.folder, s.now)
	if err != nil {
		return err
	}
	defer j.close()
	return j.write(entry{Step: stepEnd, Why: "it was cut off"})
}

// purge removes for good what a run has set aside.
func (s *sweep) purge(ctx context.Context, p *past) error {
	if err := s.permit(ctx); err != nil {
		return err
	}
	j, err := openJournal(p.folder, s.now)
	if err != nil {
		return err
	}
	defer j.close()
	if err := j.write(entry{Step: stepPurged}); err != nil { // before: half of it cannot be brought back
		return err
	}
	if p.Undo == spec.UndoQuarantine {
		err := p.clear(ctx, s.in, s.pace, func(size int64, mark string) { s.t.Removal.Purge(size, s.keeps || mark != "") })
		if err != nil {
			return err
		}
	}
	return forget(p)
}

// forget removes what is known of a run.
func forget(p *past) error {
	if err := os.RemoveAll(p.folder); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(p.folder)) // which is refused while there is something of other tables in it
	return nil
}
