package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// sweep removes what may go from one table, batch by batch. Between any two of its calls the
// process may be killed: what it was about to do is in the journal by then.
type sweep struct {
	*running
	t       *looked
	in      Remover
	at      *table
	way     spec.Undo
	keeps   bool // the store may keep versions of what is removed
	journal *journal
	batch   int
	phase   phase // of the last batch that was begun
	pace    *pace
}

// HoldFile keeps runs from a table as long as it is in its root.
const HoldFile = "_flumen_hold"

// Before each batch it is looked for shallow clones. To do so means to look into the log of every
// table: where that takes longer than clonesQuick, what it has shown counts for clonesEvery.
const (
	clonesQuick = time.Second
	clonesEvery = time.Minute
)

// all removes everything that the manifest names, looks whether all live files are there
// afterwards, and brings everything back if they are not.
func (s *sweep) all(ctx context.Context) {
	folder := s.memory.runFolder(s.run, s.t.memory)
	err := s.agree(ctx)
	if err == nil {
		err = s.begin(folder)
	}
	if s.journal != nil {
		defer s.journal.close()
	}
	if err == nil {
		err = s.batches(ctx, filepath.Join(folder, manifestName))
	}
	why := ""
	if err != nil {
		why = err.Error()
		s.t.find(proof.FoundStopped, proof.EffectStop, "%v", err)
	}
	if s.t.Removal.All().Files > 0 || s.batch > 0 {
		s.t.Removal.Until = s.t.now.Add(s.t.rule.UndoKeep)
		s.verify(ctx, folder)
	}
	if s.journal == nil {
		return
	}
	if err := s.journal.write(entry{Step: stepEnd, Why: why, Sum: s.t.Removal}); err != nil {
		s.t.find(proof.FoundStopped, proof.EffectStop, "%v", err)
	}
}

// begin writes down what the run is about, and which files go.
func (s *sweep) begin(folder string) (err error) {
	if s.journal, err = openJournal(folder, s.now); err != nil {
		return err
	}
	if err := s.writeManifest(filepath.Join(folder, manifestName), s.t); err != nil {
		return err
	}
	return s.journal.write(entry{Step: stepBegin, Begin: &beginning{
		Run: s.run, Table: s.t.Name, Place: s.t.Place, Store: s.t.found.Name, Folder: s.at.folder, ID: s.t.ID, By: s.t.Removal.By, Undo: s.way, Keep: s.t.rule.UndoKeep,
		Lite: s.t.Vacuum == spec.VacuumLite,
	}})
}

func (s *sweep) batches(ctx context.Context, path string) error {
	m, err := openManifest(path)
	if err != nil {
		return err
	}
	defer m.close()
	most := s.options.Batch
	if most <= 0 || most > BatchFiles {
		most = BatchFiles
	}
	for n := 1; ; n = most { // the first goes alone: it shows whether the store does as it should
		files, err := m.next(n)
		if err != nil {
			return fmt.Errorf("read the manifest: %w", err)
		}
		if len(files) == 0 {
			return nil
		}
		for len(files) > 0 {
			some := files
			if i := slices.IndexFunc(files, func(f manifestFile) bool { return phaseOf(f.Key) != phaseOf(files[0].Key) }); i >= 0 {
				some = files[:i]
			}
			files = files[len(some):]
			if err := s.permit(ctx); err != nil {
				return err
			}
			if err := s.remove(ctx, some); err != nil {
				return err
			}
		}
	}
}

// phase is what a batch is of: nothing of one phase goes before all of the one before has gone.
type phase int

const (
	phaseData     phase = iota
	phaseLog            // which proves that the data may go
	phaseSidecars       // which checkpoints of the log need as long as they are there
)

func phaseOf(key string) phase {
	switch {
	case strings.HasPrefix(key, logFolder+sidecarFolder):
		return phaseSidecars
	case strings.HasPrefix(key, logFolder):
		return phaseLog
	}
	return phaseData
}

// permit gives why nothing more is to be removed, or nil.
func (s *sweep) permit(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("it was ended before all had gone: %w", err)
	}
	if !s.until.IsZero() && !time.Now().Before(s.until) {
		return fmt.Errorf("the window of %s is over: the rest goes next time; with a longer retention.window more goes at once", spec.Span(s.options.Retention.Window))
	}
	if s.options.Paused != nil {
		switch why, err := s.options.Paused(ctx); {
		case err != nil:
			return fmt.Errorf("nobody can tell whether the agent is paused: %w", err)
		case why != "":
			return errors.New(why)
		}
	}
	if s.options.Answers != nil {
		if err := s.options.Answers(ctx); err != nil {
			return fmt.Errorf("the metastore, which may know of shallow clones, cannot be asked: %w", err)
		}
	}
	return s.held(ctx)
}

// held looks for the file that keeps runs from a table.
func (s *sweep) held(ctx context.Context) error {
	r, err := s.at.store.Get(ctx, s.at.folder+HoldFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("nobody can tell whether %s is in the table: %w", HoldFile, err)
	}
	_ = r.Close() // nothing of it is wanted
	return fmt.Errorf("%s is in the table: remove it to let runs go on", HoldFile)
}

// remove removes one batch. Files that the store is too busy to remove are tried again.
func (s *sweep) remove(ctx context.Context, files []manifestFile) error {
	s.batch++
	list := make([]journalled, len(files))
	for i, f := range files {
		list[i] = journalled{Key: f.Key, Size: f.Size, Tag: f.Tag}
	}
	if s.way == spec.UndoQuarantine {
		var err error
		if list, err = s.setAside(ctx, list); err != nil {
			return err
		}
	}
	for {
		if err := s.permit(ctx); err != nil {
			return err
		}
		if err := s.versioned(ctx); err != nil {
			return err
		}
		if err := s.follow(ctx); err != nil {
			return err
		}
		if batch := phaseOf(files[0].Key); batch != phaseData {
			if err := s.boundary(ctx, batch); err != nil {
				return err
			}
		}
		if list = s.spare(list); len(list) == 0 {
			return nil
		}
		rest, err := s.take(ctx, list)
		if err != nil || len(rest) == 0 {
			return err
		}
		if err := s.pace.busy(ctx); err != nil {
			return err
		}
		list = rest
	}
}

// versioned sees to it that the store still keeps versions, if they are what brings files back.
func (s *sweep) versioned(ctx context.Context) error {
	if s.way != spec.UndoVersioning {
		return nil
	}
	on, _, err := s.in.Versioned(ctx, s.at.folder)
	if err == nil && !on {
		err = errors.New("the store does not keep versions any more: nothing more is removed")
	}
	return err
}

// follow reads what was committed since the plan; what takes long before what has to be known at
// the last moment. The error says that the plan does not hold any more.
func (s *sweep) follow(ctx context.Context) error {
	if began := time.Now(); s.clonesAt.IsZero() || s.clonesTook <= clonesQuick || began.Sub(s.clonesAt) >= clonesEvery {
		if err := s.lookForClones(ctx); err != nil {
			return err
		}
		s.clonesAt, s.clonesTook = began, time.Since(began)
	}
	if err := s.at.follow(ctx, s.t.tail, s.t.tail.Hear); err != nil {
		return fmt.Errorf("the table changed, so that it has to be planned again: %w", err)
	}
	return nil
}

// follow reads the commits that a tail does not know.
func (t *table) follow(ctx context.Context, tail *proof.Tail, hear func(proof.Commit) error) error {
	files, err := t.listTail(ctx, tail.After())
	if err != nil {
		return err
	}
	next, err := tail.Next(files)
	if err != nil {
		return err
	}
	return t.readCommits(ctx, next, hear)
}

// spare takes out of a batch what is in use after all.
func (s *sweep) spare(list []journalled) []journalled {
	var rest []journalled
	for _, f := range list {
		if s.t.tail.Names(f.Key) || s.clones.Use(s.t.root, f.Key) || s.t.cleanup.names(f.Key) {
			s.t.Removal.Spared++
			continue
		}
		rest = append(rest, f)
	}
	return rest
}

// take removes files, and gives those that the store was too busy for. Nothing interrupts it:
// what was begun is accounted for.
func (s *sweep) take(ctx context.Context, list []journalled) (rest []journalled, err error) {
	byPath := map[string]journalled{}
	paths := make([]string, len(list))
	for i, f := range list {
		if phaseOf(f.Key) != phaseData && !s.t.cleanup.has(f.Key) || strings.HasPrefix(f.Key, quarantineFolder) || f.Key == "" {
			return nil, fmt.Errorf("%q may not be removed: nothing is, and this is a fault of flumen-agent", f.Key)
		}
		paths[i] = s.at.folder + f.Key
		byPath[paths[i]] = f
	}
	s.phase = phaseOf(list[0].Key)
	since := s.in.Clock().Add(-clockStep)
	if err := s.journal.write(entry{Step: stepRemove, Batch: s.batch, Since: since, Files: list}); err != nil {
		return nil, err
	}
	var done []journalled
	var first error
	s.in.Remove(context.WithoutCancel(ctx), paths, func(path, mark string, err error) {
		f, asked := byPath[path]
		if !asked {
			return
		}
		switch {
		case err == nil:
			delete(byPath, path)
			f.Mark = mark
			done = append(done, f)
			s.t.Removal.Add(f.Size, s.phase != phaseData, s.keeps || mark != "")
			if mark == "" && s.way == spec.UndoVersioning {
				first = fmt.Errorf("the store kept no version of %s: nothing more is removed", f.Key)
			}
		case !isPassing(err):
			delete(byPath, path)
			s.t.Removal.Failed++
			if first == nil {
				first = fmt.Errorf("remove %s: %w", f.Key, err)
			}
		}
	})
	if err := s.journal.write(entry{Step: stepDone, Batch: s.batch, Files: done}); err != nil {
		return nil, err
	}
	if s.batch == 1 && first == nil {
		first = s.gone(context.WithoutCancel(ctx), done)
	}
	for _, path := range paths {
		if f, left := byPath[path]; left {
			rest = append(rest, f)
		}
	}
	if len(rest) == 0 {
		s.pace.calm()
	}
	return rest, first
}

// gone sees to it that files are not there which the store says it has removed.
func (s *sweep) gone(ctx context.Context, files []journalled) error {
	for _, f := range files {
		r, err := s.in.Get(ctx, s.at.folder+f.Key)
		switch {
		case err == nil:
			_ = r.Close() // nothing of it is wanted
			return fmt.Errorf("the store says that %s was removed, and it is still there: nothing more is removed", f.Key)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("nobody can tell whether %s was removed: %w", f.Key, err)
		}
	}
	return nil
}

// clockStep is the resolution of a store's clock, and more: what a removal leaves is not older
// than the time before it less this.
const clockStep = 2 * time.Second

func isPassing(err error) bool {
	var p passing
	return errors.As(err, &p) && p.Passing()
}
