package delta

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// An inventory is a list of all files of a table, made just before Spark is at it: what of it is gone
// afterwards Spark has removed. It is kept beside the journal of the run until somebody has looked, so
// that a later run can, and looks like a manifest.
const inventoryName = "inventory.jsonl.zst"

// Notes of an inventory: which of its files are planned to go.
const (
	inventoryGoes  = "goes"
	inventoryStays = "stays"
)

// takeInventory writes one.
func (s *sweep) takeInventory(ctx context.Context, folder string) error {
	goes := keySet{}
	err := s.t.candidates.each(func(f proof.File, _ int) error {
		goes.add(f.Key)
		return nil
	})
	if err != nil {
		return err
	}
	head := manifestHead{s.t.Name, s.t.Place, s.t.found.Name, s.t.ID, s.t.Version, s.t.now, s.t.Cutoff, s.t.Keep, policyOf(s.t.rule)}
	return writeManifest(filepath.Join(folder, inventoryName), head, func(m *manifestWriter) error {
		err := s.in.List(ctx, s.at.folder, true, func(path string, size int64, written time.Time, tag string) error {
			f := manifestFile{Key: path[len(s.at.folder):], Size: size, Written: written.UTC(), Tag: tag, Class: inventoryStays}
			if _, log := (proof.File{Key: f.Key}).InLog(); log || f.Key == "" || f.Key[len(f.Key)-1] == '/' {
				return nil
			}
			if goes.has(f.Key) {
				f.Class = inventoryGoes
			}
			return m.add(f)
		})
		if err != nil {
			return fmt.Errorf("list the table: %w", err)
		}
		return nil
	})
}

// keySet holds keys by a digest: there may be millions.
type keySet map[[16]byte]struct{}

func digestOf(key string) [16]byte {
	sum := sha256.Sum256([]byte(key))
	return [16]byte(sum[:16])
}

func (k keySet) add(key string) { k[digestOf(key)] = struct{}{} }

func (k keySet) has(key string) bool {
	_, has := k[digestOf(key)]
	return has
}

// toll is what Spark has removed from a table.
type toll struct {
	removed proof.Removal
	missing string // of it, or of the live files, what should be there; "" if nothing should
}

// takeToll holds a table against the inventory in a folder. All live files have to be there, and
// everything that is gone has to be old enough to go. What was not planned is announced.
func (s *sweep) takeToll(ctx context.Context, folder string, removed proof.Removal, announce func([]journalled) error) (l toll, err error) {
	l.removed = removed
	there := keySet{}
	p := &planning{retention: s.retention, now: s.now, progress: s.progress, lenient: proof.Lenience, saw: there.add}
	t := s.t.found
	t.rule.Vacuum = spec.VacuumFull
	again, err := p.look(ctx, t)
	if err != nil {
		return l, err
	}
	defer closeAll([]*looked{again})
	if l.missing, err = again.wants(phaseData); err != nil {
		return l, err
	}
	var beyond []journalled
	err = eachOfInventory(folder, func(f manifestFile) error {
		if there.has(f.Key) {
			return nil
		}
		l.removed.Add(f.Size, false, s.keeps)
		if f.Class == inventoryGoes {
			return nil
		}
		beyond = append(beyond, journalled{Key: f.Key, Size: f.Size, Tag: f.Tag})
		one := proof.File{Key: f.Key, Size: f.Size, Written: f.Written, Tag: f.Tag}
		if l.missing == "" && !again.state.Goes(again.state.Judge(one)) {
			l.missing = fmt.Sprintf("Spark removed %s, which is to stay", f.Key)
		}
		return nil
	})
	if err == nil && len(beyond) > 0 {
		err = announce(beyond)
	}
	if err == nil && l.missing == "" {
		l.missing, err = s.missingElsewhere(ctx, folder)
	}
	l.removed.Verified = err == nil && l.missing == ""
	return l, err
}

func eachOfInventory(folder string, do func(manifestFile) error) error {
	return eachBatch(filepath.Join(folder, inventoryName), "inventory", func(files []manifestFile) error {
		for _, f := range files {
			if err := do(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// hasInventory tells whether there is one.
func hasInventory(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, inventoryName))
	return err == nil
}

// forgetInventory removes one that is not needed any more, since what came of it is in the journal.
func forgetInventory(folder string) error {
	if err := os.Remove(filepath.Join(folder, inventoryName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// verifyVacuum looks at the table when Spark has ended. If something is missing, what can be had back
// is brought back, and the table is locked. It tells whether anybody could look.
func (s *sweep) verifyVacuum(ctx context.Context, folder string) (looked bool) {
	l, err := s.takeToll(ctx, folder, *s.t.Removal, s.announceBatch)
	if err == nil {
		*s.t.Removal = l.removed
	}
	if !s.nothingLost(l.missing, err) {
		s.t.Removal.Undone = s.makeGood(ctx, folder, s.journal, l.missing)
		return true
	}
	return err == nil
}

// makeGood brings back what Spark has removed, where that can be, and locks the table. It tells whether
// all is there again.
func (s *sweep) makeGood(ctx context.Context, folder string, j *journal, missing string) bool {
	p, err := readJournal(folder)
	switch {
	case err == nil && p.Undo == spec.UndoVersioning:
		return s.bringBack(ctx, p, j, missing)
	case err == nil:
		s.mourn(p.Run, missing+"; what Spark removed cannot be brought back")
	default:
		s.mourn(filepath.Base(filepath.Dir(folder)), fmt.Sprintf("%s; what Spark removed could not be brought back: %v", missing, err))
	}
	return false
}

// lookAfterVacuum does what a run could not do that was killed or ended while Spark was at the table:
// it takes down what Spark has removed, and verifies that.
func (s *sweep) lookAfterVacuum(ctx context.Context, p *past) error {
	if s.untidy != nil {
		return s.untidy // it may go on removing
	}
	j, err := openJournal(p.folder, s.now)
	if err != nil {
		return err
	}
	defer j.close()
	var noKey error
	s.keeps = true // it may, for all that is known
	if s.in, noKey = s.options.Remover(ctx, s.t.found.Place); noKey == nil {
		if _, keeps, err := s.in.Versioned(ctx, s.at.folder); err == nil {
			s.keeps = keeps
		}
	}
	announce := func(files []journalled) error { return p.announceBeyond(j, files) }
	removed := proof.Removal{Run: p.Run, By: p.By, Undo: p.Undo, Until: p.began.Add(p.Keep)}
	l, err := s.takeToll(ctx, p.folder, removed, announce)
	if err != nil {
		return err
	}
	if l.missing != "" && noKey != nil {
		s.mourn(p.Run, l.missing+"; what Spark removed could not be brought back: "+noKey.Error())
		return nil
	}
	if l.missing != "" {
		l.removed.Undone = s.makeGood(ctx, p.folder, j, l.missing)
	}
	return s.tookToll(p, j, l)
}

// announceBeyond writes down what Spark has removed that was not announced: it went no sooner than the rest.
func (p *past) announceBeyond(j *journal, files []journalled) error {
	last := p.batches[len(p.batches)-1]
	return j.write(entry{Step: stepRemove, Batch: last.number + 1, Since: last.since, Files: files})
}

// tookToll remembers what became of a run that did not come to its end.
func (s *sweep) tookToll(p *past, j *journal, l toll) error {
	const why = "it was cut off while Spark was at the table"
	s.t.find(proof.FoundInterrupted, proof.EffectNote, "run %s: %s, which had removed %s of %s by then", p.Run, why, l.removed.Removed, p.removed())
	if err := j.write(entry{Step: stepEnd, Why: why, Sum: &l.removed}); err != nil {
		return err
	}
	last := Last{At: p.began, Removal: l.removed, Stopped: why}
	if err := s.t.memory.change(func(k *Known) { k.Last = &last }); err != nil {
		return err
	}
	s.t.before.Last = &last // which is no run of somebody else meanwhile
	return forgetInventory(p.folder)
}
