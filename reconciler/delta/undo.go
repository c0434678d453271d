package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// UndoOptions say which run is undone.
type UndoOptions struct {
	Memory *Memory
	Now    func() time.Time // the agent's clock
	Run    string
	// Remover opens a store by its name in the spec.
	Remover func(ctx context.Context, store string) (Remover, error)
	// Tidy ends what Spark is still at for a run that was killed; nil: nobody can.
	Tidy   Tidy
	Tables []string // names or places of those that are brought back; none: all
}

// Undo brings back what a run has removed, table by table, looks whether it is there, and locks
// the tables: the next run would remove the same files again. It may be repeated, also after it
// was cut off.
func Undo(ctx context.Context, o UndoOptions) (proof.Undoing, error) {
	r := proof.Undoing{Run: o.Run}
	if !isRun(o.Run) {
		return r, fmt.Errorf("%q is not the name of a run, which is as in 20261127-030000-1f2e3d: see flumen-agent retention status", o.Run)
	}
	err := o.Memory.pasts(o.Run, nil, func(p *past) error {
		if len(o.Tables) > 0 && !slices.Contains(o.Tables, p.Place) && (p.Table == "" || !slices.Contains(o.Tables, p.Table)) {
			return nil
		}
		r.Tables = append(r.Tables, o.table(ctx, p))
		return context.Cause(ctx)
	})
	if err == nil && len(r.Tables) == 0 {
		err = fmt.Errorf("nothing is known of a run %s of these tables on this machine: see flumen-agent retention status", o.Run)
	}
	return r, err
}

// isRun tells whether a text can be the name of a run: it becomes part of a path.
func isRun(text string) bool {
	return len(text) == len("20060102-150405-000000") && strings.Trim(text, "0123456789abcdef-") == ""
}

// table brings back one table.
func (o UndoOptions) table(ctx context.Context, p *past) proof.UndoneTable {
	one := proof.UndoneTable{Name: p.Table, Place: p.Place}
	memory := o.Memory.table(Place{Name: p.Store}, proof.Root(p.Place))
	release, err := memory.lease()
	if err != nil {
		one.Why = err.Error()
		return one
	}
	defer release()
	if err := p.undoable(); err != nil {
		one.Why = err.Error()
		return one
	}
	in, err := o.Remover(ctx, p.Store)
	if err != nil {
		one.Why = err.Error()
		return one
	}
	j, err := openJournal(p.folder, o.Now)
	if err != nil {
		one.Why = err.Error()
		return one
	}
	defer j.close()
	why := fmt.Sprintf("run %s was undone", p.Run)
	err = memory.change(func(k *Known) {
		k.Name, k.Place, k.Store = p.Table, p.Place, p.Store
		k.Lock, k.Clean = &Lock{o.Now(), why, p.Run}, nil
	})
	if err != nil {
		one.Why = err.Error()
		return one
	}
	if p.By == proof.BySpark {
		if p, err = o.afterSpark(ctx, in, p, j); err != nil {
			one.Why = err.Error()
			return one
		}
	}
	one = (&undoing{in, &table{in, p.Folder, proof.Root(p.Place)}, p, j, newPace()}).all(ctx)
	if one.Verified {
		_ = forgetInventory(p.folder) // it goes with the journal at the latest
	}
	return one
}

// afterSpark sees to it that Spark does not go on with what is undone. Where no run has looked yet what it
// has removed, the journal tells all of that afterwards.
func (o UndoOptions) afterSpark(ctx context.Context, in Remover, p *past, j *journal) (*past, error) {
	if _, err := o.Memory.tidy(ctx, o.Tidy); err != nil {
		return p, err
	}
	if len(p.batches) == 0 || !hasInventory(p.folder) {
		return p, nil
	}
	there := keySet{}
	err := in.List(ctx, p.Folder, true, func(path string, _ int64, _ time.Time, _ string) error {
		there.add(path[len(p.Folder):])
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("look what Spark has removed: %w", err)
	}
	var beyond []journalled
	err = eachOfInventory(p.folder, func(f manifestFile) error {
		if f.Class != inventoryGoes && !there.has(f.Key) {
			beyond = append(beyond, journalled{Key: f.Key, Size: f.Size, Tag: f.Tag})
		}
		return nil
	})
	if err == nil && len(beyond) > 0 {
		err = p.announceBeyond(j, beyond)
	}
	if err != nil {
		return p, err
	}
	return readJournal(p.folder)
}

// undoable says why a run cannot be undone.
func (p *past) undoable() error {
	switch {
	case p.Undo == spec.UndoNone && p.removed().Files > 0:
		return errors.New("its rule said undo: none, so that nothing was kept for that")
	case p.purged:
		return fmt.Errorf("it was removed for good: undo_keep was %s", spec.Span(p.Keep))
	}
	return nil
}

// undoing brings back what a run has removed from one table.
type undoing struct {
	in      Remover
	at      *table
	past    *past
	journal *journal
	pace    *pace
}

// all brings back every file that was removed or may have been, the last first.
func (u *undoing) all(ctx context.Context) proof.UndoneTable {
	one := proof.UndoneTable{Name: u.past.Table, Place: u.past.Place}
	var failed error
	for _, b := range slices.Backward(u.past.batches) {
		if err := u.batch(ctx, b, &one); err != nil {
			failed = cmp.Or(failed, err)
		}
	}
	if failed == nil {
		failed = u.check(ctx, &one)
	}
	if failed == nil && one.Missing == 0 {
		failed = u.clear(ctx)
	}
	if failed == nil && one.Missing == 0 {
		one.Verified, one.Renewed = true, one.Restored.Files > 0 && u.past.Undo == spec.UndoQuarantine && !keepsTimes(u.in)
		failed = u.journal.write(entry{Step: stepUndone})
	}
	if failed != nil {
		one.Why = failed.Error()
	}
	return one
}

// batch brings back the files of one batch.
func (u *undoing) batch(ctx context.Context, b pastBatch, one *proof.UndoneTable) error {
	var files []journalled
	for _, f := range b.files {
		if f.tries > 0 {
			files = append(files, f)
		}
	}
	errs := u.pace.each(ctx, len(files), func(i int) error { return u.file(ctx, b, files[i]) })
	var failed error
	for i, f := range files {
		switch err := errs[i]; {
		case err == nil:
			one.Restored.Files++
			one.Restored.Bytes += f.Size
		case errors.Is(err, fs.ErrExist):
			one.There++
		case errors.Is(err, fs.ErrNotExist): // what is missing is counted in the end
		case failed == nil:
			failed = fmt.Errorf("bring back %s: %w", f.Key, err)
		}
	}
	return failed
}

// file brings back one file. The error is fs.ErrExist if it was there, and fs.ErrNotExist if
// nothing is left of it.
func (u *undoing) file(ctx context.Context, b pastBatch, f journalled) error {
	if u.past.Undo == spec.UndoVersioning {
		return u.in.Recover(ctx, u.at.folder+f.Key, f.mark(), f.Tag, b.since)
	}
	return u.in.Copy(ctx, u.past.quarantine(b.number)+aside(f.Key), u.at.folder+f.Key, f.Size, "")
}

// check lists the table, and counts the files that are not there.
func (u *undoing) check(ctx context.Context, one *proof.UndoneTable) error {
	want := map[string]int64{}
	for _, b := range u.past.batches {
		for _, f := range b.files {
			if f.tries > 0 {
				want[f.Key] = f.Size
			}
		}
	}
	err := u.in.List(ctx, u.at.folder, true, func(path string, size int64, _ time.Time, _ string) error {
		if key := path[len(u.at.folder):]; want[key] == size {
			delete(want, key)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look whether all is there: %w", err)
	}
	one.Missing = int64(len(want))
	for key := range want {
		one.Examples = append(one.Examples, key)
	}
	slices.Sort(one.Examples)
	one.Examples = one.Examples[:min(len(one.Examples), 3)]
	return nil
}

// clear removes the copies of a quarantine, once all files were seen in their place.
func (u *undoing) clear(ctx context.Context) error {
	if u.past.Undo != spec.UndoQuarantine {
		return nil
	}
	return u.past.clear(ctx, u.in, u.pace, func(int64, string) {})
}

// clear removes what a run has set aside: exactly the files that its journal names. gone hears of each,
// with the mark that the store left in its place.
func (p *past) clear(ctx context.Context, in Remover, pace *pace, gone func(size int64, mark string)) error {
	for _, b := range p.batches {
		left := map[string]int64{}
		for _, f := range b.files {
			left[p.quarantine(b.number)+aside(f.Key)] = f.Size
		}
		for len(left) > 0 {
			var failed error
			in.Remove(ctx, sortedKeys(left), func(path, mark string, err error) {
				size, asked := left[path]
				switch {
				case !asked:
				case err == nil:
					gone(size, mark)
					delete(left, path)
				case !isPassing(err):
					failed = fmt.Errorf("remove what was set aside: %s: %w", path, err)
				}
			})
			if failed != nil {
				return failed
			}
			if len(left) > 0 {
				if err := pace.busy(ctx); err != nil {
					return err
				}
			}
		}
	}
	pace.calm()
	return nil
}

func sortedKeys(m map[string]int64) []string {
	var all []string
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}
