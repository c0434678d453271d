package delta

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// RunOptions say how a plan is carried out. Options.Memory has to be there.
type RunOptions struct {
	Options
	// Remover opens the store of a place for removing. The error says why nothing may be removed
	// there.
	Remover func(ctx context.Context, p Place) (Remover, error)
	// Paused gives why nothing is to be removed now, or "". It is asked before each batch; nil:
	// nobody can pause. That nobody can tell is an error, and ends the run.
	Paused func(ctx context.Context) (why string, err error)
	// Answers tells whether the metastore does that Names asks. It is asked before each batch, and an
	// error ends the run; nil: there is none.
	Answers func(ctx context.Context) error
	// Spark does what only Spark may do; nil: nobody said how.
	Spark Spark
	// Tidy ends what Spark is still at for a run that was killed; nil: nobody can.
	Tidy Tidy
	// Quiet tells whether nobody writes tables at a time, and until when; nil: nobody knows.
	Quiet func(now time.Time) (until time.Time, quiet bool)
	// Tables are the names or places of those that are treated; none: all. All are planned.
	Tables []string
	// OnlyVerify verifies what earlier runs left unverified, and removes nothing.
	OnlyVerify bool
	// Batch is how many files go at once; 0: BatchFiles.
	Batch int
}

// Run looks at every table below the places, as Plan does, and removes what may go from those
// whose rule says so. It begins nothing new once ctx has ended or the window is over. The error
// is that of ctx while it plans; what else goes wrong is in the report, table by table.
func Run(ctx context.Context, o RunOptions) (proof.Report, error) {
	if o.Memory == nil {
		return proof.Report{}, errors.New("nothing is removed without a memory of it")
	}
	began := time.Now()
	left, untidy := o.Memory.tidy(ctx, o.Tidy) // before the look: Spark may be removing what it would see
	p := newPlanning(o.Options)
	r, tables, err := p.all(ctx, o.Options)
	defer closeAll(tables)
	r.Notes = append(r.Notes, left...)
	if untidy != nil {
		r.Notes = append(r.Notes, untidy.Error())
	}
	if !o.OnlyVerify {
		r.Run = newRun(r.At)
	}
	if err == nil {
		err = o.unknown(tables)
	}
	if err != nil {
		return r, err
	}
	run := &running{planning: p, options: o, run: r.Run, tables: tables, untidy: untidy}
	if w := o.Retention.Window; w > 0 {
		run.until = began.Add(w)
	}
	others := len(r.Tables) - len(tables) // of the metastore alone, which come first
	for i, t := range tables {
		run.verifyEarlier(ctx, t)
		if t.rule.Mode == spec.ModeEnforce && !t.Excluded && !o.OnlyVerify && o.treats(t) {
			run.treat(ctx, t)
		}
		r.Tables[others+i] = t.Table
	}
	return r, nil
}

// newRun names a run after its time. Chance tells it from one of another agent.
func newRun(at time.Time) string {
	var chance [3]byte
	_, _ = rand.Read(chance[:]) // it never fails
	return at.UTC().Format("20060102-150405") + "-" + hex.EncodeToString(chance[:])
}

func (o RunOptions) treats(t *looked) bool {
	return len(o.Tables) == 0 || slices.Contains(o.Tables, t.Place) || t.Name != "" && slices.Contains(o.Tables, t.Name)
}

// unknown says that a table which is to be treated was not found.
func (o RunOptions) unknown(tables []*looked) error {
	for _, name := range o.Tables {
		one := RunOptions{Tables: []string{name}}
		if !slices.ContainsFunc(tables, one.treats) {
			return fmt.Errorf("no table %s was found", name)
		}
	}
	return nil
}

// running is a run over all tables.
type running struct {
	*planning
	options RunOptions
	run     string
	tables  []*looked
	until   time.Time // the end of the window; zero: there is none
	untidy  error     // Spark may still be at what an earlier run had it do

	clonesAt   time.Time     // when it was last looked for shallow clones
	clonesTook time.Duration // and for how long
}

// treat removes what may go from one table.
func (r *running) treat(ctx context.Context, t *looked) {
	if t.Worst() != proof.EffectNote {
		return
	}
	if _, first := t.Find(proof.FoundFirst); first {
		return
	}
	release, err := t.memory.lease()
	if err != nil {
		t.find(proof.FoundBusy, proof.EffectStop, "%v", err)
		return
	}
	defer release()
	if err := t.alone(); err != nil {
		t.find(proof.FoundBusy, proof.EffectStop, "%v", err)
		return
	}
	s := &sweep{running: r, t: t, at: &table{t.found.Store, t.found.folder, t.root}, pace: newPace()}
	if s.alter(ctx) {
		return // it has to be planned anew
	}
	if t.BySpark && t.Shorter {
		return // its properties come first, when all is quiet
	}
	store, err := r.options.Remover(ctx, t.found.Place)
	if err != nil {
		t.find(proof.FoundNoKey, proof.EffectStop, "%v", err)
		return
	}
	s.in, s.at = store, &table{store, t.found.folder, t.root}
	if err := s.probe(ctx); err != nil {
		t.find(proof.FoundRefused, proof.EffectRefuse, "%v", err)
		return
	}
	if s.way, err = s.undoable(ctx); err != nil {
		t.find(proof.FoundNoUndo, proof.EffectStop, "%v", err)
		return
	}
	t.Removal = &proof.Removal{Run: r.run, Undo: s.way}
	if t.BySpark {
		t.Removal.By = proof.BySpark
	}
	s.settle(ctx)
	s.spareLog()
	switch {
	case t.Goes.Files == 0 && t.cleanup == nil:
	case t.BySpark:
		s.vacuum(ctx)
	default:
		s.all(ctx)
	}
	if t.Goes.Files == 0 && t.cleanup == nil && t.Removal.Purged.Files+t.Removal.Shelved.Files == 0 {
		t.Removal = nil // there was nothing to do
		return
	}
	s.remember()
}

// probe holds the clock that stamps the table's files against this machine's, where only a file that is
// written shows it. Within what they may be apart the slack of the cutoff is more.
func (s *sweep) probe(ctx context.Context) error {
	store, ok := s.in.(Probing)
	if !ok {
		return nil
	}
	at, err := store.Probe(ctx, s.at.folder)
	if err != nil {
		return fmt.Errorf("nobody can tell by which clock its files are stamped: %w", err)
	}
	if _, err := proof.Now(s.now(), at); err != nil {
		return &proof.Refusal{Why: err.Error(), Do: "set both right"}
	}
	return nil
}

// alone sees to it that nobody has treated or locked the table since it was planned.
func (t *looked) alone() error {
	k, err := t.memory.read()
	switch {
	case err != nil:
		return err
	case k.Lock != nil:
		return fmt.Errorf("it was locked meanwhile: %s", k.Lock.Why)
	case k.Last != nil && (t.before.Last == nil || k.Last.Run != t.before.Last.Run):
		return errors.New("another run has treated it since it was planned")
	}
	return nil
}

// undoable is how what is removed from the table can be had back. The error says that it cannot
// be in the way that the rule asks for.
func (s *sweep) undoable(ctx context.Context) (spec.Undo, error) {
	versioned, keeps, err := s.in.Versioned(ctx, s.at.folder)
	if err != nil {
		return "", err
	}
	s.keeps = keeps
	return s.t.UndoBy(s.t.rule.Undo, versioned)
}

// remember notes what the run did.
func (s *sweep) remember() {
	last := Last{At: s.t.now, Removal: *s.t.Removal}
	if f, stopped := s.t.Find(proof.FoundStopped); stopped {
		last.Stopped = f.Says
	}
	if err := s.t.memory.change(func(k *Known) { k.Last = &last }); err != nil {
		s.t.find(proof.FoundStopped, proof.EffectStop, "%v", err)
	}
}
