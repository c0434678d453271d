package delta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// jitter is any time up to one.
func jitter(most time.Duration) time.Duration { return rand.N(most) + 1 }

// verify looks at the table again. If a live file is missing, everything that this run removed is
// brought back, and the table is locked. What nobody could look at is due: the next run does.
func (s *sweep) verify(ctx context.Context, folder string) {
	missing, err := s.lost(ctx, folder, s.t.Removal.Log.Files > 0)
	switch {
	case err != nil:
		s.t.find(proof.FoundUnverified, proof.EffectStop, "nobody could look whether all live files are there: %v; the next run will look before anything else", err)
		return
	case missing == "":
		s.t.Removal.Verified = true
		return
	}
	p, err := readJournal(folder)
	if err != nil {
		s.mourn(s.run, fmt.Sprintf("%s; what it removed could not be brought back: %v", missing, err))
		return
	}
	s.t.Removal.Undone = s.bringBack(ctx, p, s.journal, missing)
}

// lost says what is missing that a run may have removed; "" if nothing is.
func (s *sweep) lost(ctx context.Context, folder string, cleaned bool) (string, error) {
	missing, err := s.missing(ctx, cleaned)
	if err == nil && missing == "" {
		missing, err = s.missingElsewhere(ctx, folder)
	}
	return missing, err
}

// bringBack undoes a run after which something is missing, and locks the table. It tells whether
// all that the run removed is there again.
func (s *sweep) bringBack(ctx context.Context, p *past, j *journal, missing string) bool {
	u := (&undoing{s.in, s.at, p, j, s.pace}).all(context.WithoutCancel(ctx))
	if err := u.Err(); err != nil {
		s.mourn(p.Run, fmt.Sprintf("%s; what it removed could not all be brought back: %v; try again with flumen-agent retention undo %s", missing, err, p.Run))
		return false
	}
	s.mourn(p.Run, missing+"; everything that it removed was brought back")
	return true
}

// mourn says that something is missing after a run, and locks the table.
func (s *sweep) mourn(run, what string) {
	says := fmt.Sprintf("after run %s: %s", run, what)
	s.t.find(proof.FoundLost, proof.EffectCritical, "%s", says)
	s.lock(run, says)
}

func (s *sweep) lock(run, why string) {
	if err := s.t.memory.change(func(k *Known) { k.Lock, k.Clean = &Lock{s.t.now, why, run}, nil }); err != nil {
		s.t.find(proof.FoundLocked, proof.EffectStop, "it could not be locked: %v", err)
	}
}

// missing says that live files of the table are not there; "" if all are. cleaned: a run has taken
// files from its log.
func (s *sweep) missing(ctx context.Context, cleaned bool) (string, error) {
	p := &planning{retention: s.retention, now: s.now, progress: s.progress}
	again, err := p.look(ctx, s.t.found)
	if err != nil {
		return "", err
	}
	defer closeAll([]*looked{again})
	if f, hollow := again.Find(proof.FoundHollow); hollow {
		return f.Says, nil
	}
	for _, kind := range []proof.Kind{proof.FoundRefused, proof.FoundUnseen} {
		f, found := again.Find(kind)
		if found && kind == proof.FoundRefused && cleaned {
			return "it can no longer be read: " + f.Says, nil
		}
		if found {
			return "", fmt.Errorf("%s: %s", kind, f.Says)
		}
	}
	return "", nil
}
