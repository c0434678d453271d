package delta

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// vacuum has Spark remove what may go from a table, and looks then whether all is there that has to
// be. Spark sets nothing aside and goes by a state of its own: what it takes beyond the plan may
// only be what has grown old enough meanwhile.
func (s *sweep) vacuum(ctx context.Context) {
	folder := s.memory.runFolder(s.run, s.t.memory)
	err := s.begin(folder)
	if s.journal != nil {
		defer s.journal.close()
	}
	if err == nil {
		err = s.vacuumed(ctx, folder)
	}
	why := ""
	if err != nil {
		why = err.Error()
		s.t.find(stoppedBy(err), proof.EffectStop, "%v", err)
	}
	looked := false
	if s.batch > 0 {
		s.t.Removal.Until = s.t.now.Add(s.t.rule.UndoKeep)
		looked = s.verifyVacuum(ctx, folder)
	}
	if s.journal == nil {
		return
	}
	err = s.journal.write(entry{Step: stepEnd, Why: why, Sum: s.t.Removal})
	if err == nil && looked {
		err = forgetInventory(folder)
	}
	if err != nil {
		s.t.find(proof.FoundStopped, proof.EffectStop, "%v", err)
	}
}

// stoppedBy tells a run that could not begin, since somebody else has Spark, from one that had to end.
func stoppedBy(err error) proof.Kind {
	if errors.Is(err, ErrSparkBusy) {
		return proof.FoundBusy
	}
	return proof.FoundStopped
}

// vacuumed has Spark do it, and once nobody else has it do anything to the table, announces everything
// that is planned to go.
func (s *sweep) vacuumed(ctx context.Context, folder string) error {
	if s.options.Spark == nil {
		return errors.New("nothing says how Spark is asked: write retention.spark")
	}
	statements, err := s.vacuumStatements(ctx)
	if err != nil {
		return err
	}
	if err := s.agree(ctx); err != nil {
		return err
	}
	begin := func(ctx context.Context) error {
		if err := s.permit(ctx); err != nil {
			return err
		}
		if err := s.stillDead(ctx); err != nil {
			return err
		}
		if err := s.takeInventory(ctx, folder); err != nil {
			return err
		}
		return s.announce(filepath.Join(folder, manifestName))
	}
	err = s.bySpark(ctx, delegation{s.options.Retention.Spark.Timeout, begin, s.stillDead, statements})
	if err != nil && s.batch > 0 {
		err = fmt.Errorf("Spark did not finish its VACUUM: %w; the next run plans the table anew", err)
	}
	return err
}

// vacuumStatements are the statements with a sum by which Spark knows the table.
func (s *sweep) vacuumStatements(ctx context.Context) ([]string, error) {
	commit, ok := s.t.tail.Planned()
	if !ok {
		return nil, errors.New("its newest version has no commit by which Spark could be seen to know the table")
	}
	sum := sha256.New()
	err := s.at.read(ctx, commit.Name, func(r io.Reader) error {
		_, err := io.Copy(sum, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return proof.VacuumStatements(s.t.root, commit, hex.EncodeToString(sum.Sum(nil))), nil
}

// announce writes down, batch by batch, what may be gone from now on.
func (s *sweep) announce(path string) error {
	return eachBatch(path, "manifest", func(files []manifestFile) error {
		list := make([]journalled, len(files))
		for i, f := range files {
			list[i] = journalled{Key: f.Key, Size: f.Size, Tag: f.Tag}
		}
		return s.announceBatch(list)
	})
}

func (s *sweep) announceBatch(list []journalled) error {
	s.batch++
	return s.journal.write(entry{Step: stepRemove, Batch: s.batch, Since: s.in.Clock().Add(-clockStep), Files: list})
}

// stillDead reads what was committed since the plan. The error says that the plan does not hold any
// more: Spark cannot be told to spare one file.
func (s *sweep) stillDead(ctx context.Context) error {
	if err := s.versioned(ctx); err != nil {
		return err
	}
	if err := s.follow(ctx); err != nil {
		return err
	}
	return s.t.candidates.each(func(f proof.File, _ int) error {
		if s.t.tail.Names(f.Key) || s.clones.Use(s.t.root, f.Key) {
			return fmt.Errorf("%s is used again", f.Key)
		}
		return nil
	})
}
