package delta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// jitter is any time up to one.
func jitter(most time.Duration) time.Duration { return rand.N(most) + 1 }

// verify looks at the table again. If a live file is missing, everything that this run removed is
// brought back, and the table is locked. What nobody could look at is due: the next run does.
func (s *sweep) verify(ctx context.Context, folder string) {
	missing, err := s.lost(ctx, folder, s.t.Vacuum == spec.VacuumLite, s.phase)
	if s.nothingLost(missing, err) {
		return
	}
	p, err := readJournal(folder)
	if err != nil {
		s.mourn(s.run, fmt.Sprintf("%s; what it removed could not be brought back: %v", missing, err))
		return
	}
	s.t.Removal.Undone = s.bringBack(ctx, p, s.journal, missing)
}

// nothingLost takes down what came of a look at the table after a run. It is false where something is
// known to be missing, and true too where nobody could look.
func (s *sweep) nothingLost(missing string, err error) bool {
	if err != nil {
		s.t.find(proof.FoundUnverified, proof.EffectStop, "nobody could look whether all live files are there: %v; the next run will look before anything else", err)
		return true
	}
	s.t.Removal.Verified = missing == ""
	return missing == ""
}

// lost says what is missing that a run may have removed that came to a phase; "" if nothing is. After
// a lite run nothing is listed: a removed file is missing if its table, read anew, needs it.
func (s *sweep) lost(ctx context.Context, folder string, lite bool, upto phase) (string, error) {
	missing, err := s.missing(ctx, folder, lite, upto)
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

// missing says that live files of the table are not there, or that its log cannot be read as before;
// "" if all is well.
func (s *sweep) missing(ctx context.Context, folder string, lite bool, upto phase) (string, error) {
	old, err := oldFor(folder)
	if err != nil {
		return "", err
	}
	p := &planning{retention: s.retention, now: s.now, progress: s.progress, old: old}
	t := s.t.found
	t.rule.KeepStreams = nil                              // they are no reason for a live file to be there
	t.rule.Vacuum, t.rule.Exclude = spec.VacuumFull, lite // of an excluded table the log alone is read
	again, err := p.look(ctx, t)
	if err != nil {
		return "", err
	}
	defer closeAll([]*looked{again})
	if missing, err := again.wants(upto); err != nil || missing != "" || !lite {
		return missing, err
	}
	return s.needed(ctx, folder, again.state)
}

// oldFor is how long ago a file had to leave the table to go in a run. The run is held to that alone: what the
// table or its rule have come to ask for since, they ask of the next plan.
func oldFor(folder string) (time.Duration, error) {
	m, err := openManifest(filepath.Join(folder, manifestName))
	if err != nil {
		return 0, err
	}
	defer m.close()
	return m.head.At.Sub(m.head.Cutoff), nil
}

// wants says what is missing of a table that was looked at, after a run that came to a phase; "" if nothing is.
func (t *looked) wants(upto phase) (string, error) {
	if f, hollow := t.Find(proof.FoundHollow); hollow {
		return f.Says, nil
	}
	for _, kind := range []proof.Kind{proof.FoundRefused, proof.FoundUnseen} {
		f, found := t.Find(kind)
		if found && kind == proof.FoundRefused && upto >= phaseLog {
			return "it can no longer be read: " + f.Says, nil
		}
		if found {
			return "", fmt.Errorf("%s: %s", kind, f.Says)
		}
	}
	// No sidecar goes before every checkpoint could be read: one that cannot be now could be then.
	if f, broken := t.Find(proof.FoundCheckpointCorrupt); broken && upto == phaseSidecars {
		return f.Says, nil
	}
	return "", nil
}

// needed says that the table needs a file which a run has removed; "" if it needs none.
func (s *sweep) needed(ctx context.Context, folder string, state *proof.State) (string, error) {
	p, err := readJournal(folder)
	if err != nil {
		return "", err
	}
	var keys []string
	for _, b := range p.batches {
		for _, f := range b.files {
			if f.tries > 0 && phaseOf(f.Key) == phaseData && state.Needs(f.Key) {
				keys = append(keys, f.Key)
			}
		}
	}
	there, err := s.at.stat(ctx, keys) // which was spared, or written again
	if err != nil {
		return "", err
	}
	for i, key := range keys {
		if there[i] == nil {
			return fmt.Sprintf("a version that stays readable has %s, or may have it, and it is not there", key), nil
		}
	}
	return "", nil
}
