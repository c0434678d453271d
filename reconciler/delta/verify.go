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
// brought back, and the table is locked.
func (s *sweep) verify(ctx context.Context, folder string) {
	missing, err := s.missing(ctx)
	if err == nil && missing == "" {
		missing, err = s.missingElsewhere(ctx, folder)
	}
	switch {
	case err != nil:
		s.t.find(proof.FoundUnverified, proof.EffectStop, "nobody could look whether all live files are there: %v; the next report will: flumen-agent retention plan", err)
		return
	case missing == "":
		s.t.Removal.Verified = true
		return
	}
	ctx = context.WithoutCancel(ctx)
	says := fmt.Sprintf("after run %s: %s", s.run, missing)
	s.t.Removal.Undone = true
	if p, err := readJournal(folder); err != nil {
		says += fmt.Sprintf("; what it removed could not be brought back: %v", err)
		s.t.Removal.Undone = false
	} else if u := (&undoing{s.in, s.at, p, s.journal, s.pace}).all(ctx); u.Err() != nil {
		says += fmt.Sprintf("; what it removed could not all be brought back: %v; try again with flumen-agent retention undo %s", u.Err(), s.run)
		s.t.Removal.Undone = false
	} else {
		says += "; everything that it removed was brought back"
	}
	s.t.find(proof.FoundLost, proof.EffectCritical, "%s", says)
	s.lock(says)
}

func (s *sweep) lock(why string) {
	if err := s.t.memory.change(func(k *Known) { k.Lock, k.Clean = &Lock{s.t.now, why, s.run}, nil }); err != nil {
		s.t.find(proof.FoundLocked, proof.EffectStop, "it could not be locked: %v", err)
	}
}

// missing says that live files of the table are not there; "" if all are.
func (s *sweep) missing(ctx context.Context) (string, error) {
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
		if f, found := again.Find(kind); found {
			return "", fmt.Errorf("%s: %s", kind, f.Says)
		}
	}
	return "", nil
}
