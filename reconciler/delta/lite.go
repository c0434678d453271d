package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// Full is the last look at all files of a table.
type Full struct {
	At time.Time `json:"at"`
	ID string    `json:"id"` // of the table
	// Found is what it found and no lite look can, if that keeps all files of the table.
	Found *proof.Finding `json:"found,omitempty"`
}

// fullEarly is how much earlier than full_every says all files may be listed: looks at the same time of the
// day are not apart to the second.
const fullEarly = time.Hour

// lists tells whether all files of a table are listed, and why, if that needs a word.
func (p *planning) lists(one *looked, id string) (why string, full bool) {
	rule := one.rule
	switch {
	case p.watch != nil:
		return "that is how one of them is explained", true
	case p.full:
		return "that was asked for", true
	case rule.Vacuum == spec.VacuumFull:
		return "", true
	case rule.SparkFrom > 0:
		return "Spark is only asked when it is known what else it would remove", true
	case rule.Vacuum == spec.VacuumLite:
		return "the rule says vacuum: lite", false
	case p.memory == nil:
		return "", true
	}
	known, err := p.memory.table(one.found.Place, one.root).read()
	last, now := known.Full, p.now()
	switch {
	case err != nil:
		return err.Error(), true
	case last == nil:
		return "they were not before", true
	case last.ID != id:
		return "the table is another one than it was the last time", true
	case last.Found != nil:
		return "the last time, " + last.Found.Says, true
	case last.At.After(now.Add(fullEarly)):
		return "the last time is in the future, by the clock of this machine", true
	case now.Sub(last.At) >= rule.FullEvery-min(fullEarly, rule.FullEvery/10):
		return fmt.Sprintf("every %s, and the last time was %s", spec.Span(rule.FullEvery), stamp(last.At)), true
	}
	return fmt.Sprintf("every %s all files are listed, the last time %s", spec.Span(rule.FullEvery), stamp(last.At)), false
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// listed is what is remembered of a look at all files.
func (t *looked) listed() *Full {
	f := &Full{At: t.now, ID: t.ID}
	for _, kind := range []proof.Kind{proof.FoundHollow, proof.FoundAnomaly} {
		if one, ok := t.Find(kind); ok {
			f.Found = &one
		}
	}
	return f
}

const (
	// liteLeast and litePart are how much a lite look may ask for before a list is the better way: so many files
	// and folders, or one for so many of the table's files. MinIO takes as long for a page of a thousand files of one folder as
	// for two hundred that are asked for by name, so that there a list is cheaper from one in five on.
	liteLeast, litePart = 1000, 10
)

// lite reads the log, and asks the store for what that says was removed before the cutoff. Where
// the rule leaves that open, doubts say why all files have to be listed after all. why: it need not be.
func (r reading) lite(ctx context.Context, why string) (doubts string, err error) {
	removed := &spill{}
	defer removed.close()
	r.removed = removed
	if err := r.state(ctx); err != nil {
		return "", err
	}
	one, open := r.one, r.one.rule.Vacuum == spec.VacuumAuto
	if doubts = one.state.Doubts(removed.n); doubts != "" && open {
		return doubts, nil
	}
	if removed.n > 0 && !one.state.Covered() {
		one.find(proof.FoundUnproven, proof.EffectNote, "its log says that %s removed before the cutoff, and does not reach back to it: nothing is proven", spec.Counted(removed.n, "file"))
	}
	wanted, folders, err := wantedOf(one.state, removed)
	if err != nil {
		return "", err
	}
	defer wanted.close()
	if n := wanted.n + markersOfTables*int64(len(folders)); open && n > max(liteLeast, one.state.LiveFiles()/litePart) {
		return fmt.Sprintf("that costs less than to ask for %s that were removed", spec.Counted(wanted.n, "file")), nil
	}
	nested, err := r.t.nested(ctx, folders)
	if err != nil {
		return "", err
	}
	if err := one.state.LeaveAlone(nested); err != nil {
		one.state = nil
		return "", err
	}
	for _, f := range r.before.log.All {
		one.CountLog(f.Size)
	}
	if err := r.expired(ctx); err != nil {
		return "", err
	}
	one.Vacuum, one.Because = spec.VacuumLite, why
	if err := r.judge(func(do func(proof.File) error) error { return r.ask(ctx, wanted, do) }, nil, one); err != nil {
		return "", err
	}
	return r.probe(ctx, open)
}

// probe asks for some of the live files, if any are to go: a table that has lost its files is best left as it is.
func (r reading) probe(ctx context.Context, open bool) (doubts string, err error) {
	one := r.one
	if one.Goes.Files == 0 {
		return "", nil
	}
	if open && one.Exceeds(one.rule) {
		return "what is to go is much of what the log says there is", nil
	}
	some := one.state.Some()
	there, err := r.t.stat(ctx, some)
	if err != nil {
		return "", err
	}
	var missing []string
	for i, key := range some {
		if there[i] == nil {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	f := proof.Absent(missing, len(some))
	if open {
		return f.Says, nil
	}
	one.Findings = append(one.Findings, f)
	return "", nil
}

// wantedOf are the files that are asked for, and the folders that they lie in.
func wantedOf(s *proof.State, removed *spill) (wanted *spill, folders map[string]bool, err error) {
	wanted, folders = &spill{}, map[string]bool{}
	err = removed.each(func(f proof.File, _ int) error {
		if !s.Wants(f.Key) {
			return nil
		}
		for i, c := range []byte(f.Key) {
			if c == '/' {
				folders[f.Key[:i+1]] = true
			}
		}
		folders[""] = true
		return wanted.add(f, 0)
	})
	if err != nil {
		return nil, nil, errors.Join(err, wanted.close())
	}
	return wanted, folders, nil
}

// markersOfTables is how many names show that a folder is that of a table: of Delta, Hudi and Iceberg.
const markersOfTables = 3

// nested finds out which of the folders are those of other tables.
func (t *table) nested(ctx context.Context, folders map[string]bool) (all []string, err error) {
	type place struct{ folder, marker string }
	var places []place
	for folder := range folders {
		for _, marker := range []string{logFolder, ".hoodie/", "metadata/"} {
			if folder+marker != logFolder { // which is the table's own
				places = append(places, place{folder, marker})
			}
		}
	}
	found := make([]bool, len(places))
	err = sideBySide(ctx, len(places), func(ctx context.Context, i int) error {
		there := errors.New("it is there")
		err := t.store.List(ctx, t.folder+places[i].folder+places[i].marker, false, func(path string, _ int64, _ time.Time, _ string) error {
			if _, nested := (proof.File{Key: path[len(t.folder):]}).Nested(); nested {
				return there
			}
			return nil
		})
		if found[i] = errors.Is(err, there); found[i] || err == nil {
			return nil
		}
		return &storeError{cause: fmt.Errorf("look for other tables in %s: %w", places[i].folder, err)}
	})
	for i, p := range places {
		if found[i] {
			all = append(all, p.folder)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// ask asks the store for files by their names, and gives those that are there to do.
func (r reading) ask(ctx context.Context, wanted *spill, do func(proof.File) error) error {
	var keys []string
	some := func() error {
		files, err := r.t.stat(ctx, keys)
		keys = keys[:0]
		if err != nil {
			return err
		}
		for _, f := range files {
			if f == nil {
				r.one.Gone++
				continue
			}
			r.progress.listed(f.Size)
			if err := do(*f); err != nil {
				return err
			}
		}
		return nil
	}
	err := wanted.each(func(f proof.File, _ int) error {
		if keys = append(keys, f.Key); len(keys) < BatchFiles {
			return nil
		}
		return some()
	})
	return cmp.Or(err, some())
}

// stat looks for files by their names, some at a time; nil for one that is not there.
func (t *table) stat(ctx context.Context, keys []string) ([]*proof.File, error) {
	files := make([]*proof.File, len(keys))
	err := sideBySide(ctx, len(keys), func(ctx context.Context, i int) error {
		size, written, tag, err := t.store.Stat(ctx, t.folder+keys[i])
		switch {
		case err == nil:
			files[i] = &proof.File{Key: keys[i], Size: size, Written: written, Tag: tag}
		case !errors.Is(err, fs.ErrNotExist):
			return &storeError{cause: err}
		}
		return nil
	})
	return files, err
}

// sideBySide does n things, some at a time, until one fails.
func sideBySide(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(commitsAtOnce)
	for i := range n {
		g.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return do(ctx, i)
		})
	}
	return g.Wait()
}
