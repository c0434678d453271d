package delta

import (
	"context"
	"fmt"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// lookForClones looks whether a table has come to use files of another one since the plan: a
// shallow clone may be made of any version that can be read.
func (r *running) lookForClones(ctx context.Context) error {
	if err := r.hearOthers(ctx); err != nil {
		return err
	}
	if err := r.hearMetastore(ctx); err != nil {
		return err
	}
	all, err := r.newTables(ctx)
	if err == nil && len(all) > 0 {
		err = fmt.Errorf("the table %s is new, and may be a shallow clone: it has to be planned again", all[0].root)
	}
	return err
}

// hearMetastore hears of tables that were made where nobody looks.
func (r *running) hearMetastore(ctx context.Context) error {
	if r.options.Names == nil {
		return nil
	}
	entries, err := r.options.Names(ctx)
	if err != nil {
		return fmt.Errorf("the metastore, which may know of shallow clones, cannot be asked: %w", err)
	}
	var roots, searched []proof.Root
	for _, t := range r.tables {
		roots = append(roots, t.root)
	}
	for _, place := range r.options.Places {
		searched = append(searched, proof.Root(place.URL))
	}
	if _, unread := proof.NewNames(entries, roots).Strays(searched, r.retention); unread != "" {
		return fmt.Errorf("the metastore has a table at %s by now, which is in no place that is searched, and may be a shallow clone: it has to be planned again", unread)
	}
	return nil
}

// hearOthers hears of what was committed to any table since the plan.
func (r *running) hearOthers(ctx context.Context) error {
	for _, t := range r.tables {
		if t.clones == nil {
			return fmt.Errorf("%s could not be read and may be a shallow clone", t.Place)
		}
		at := &table{t.found.Store, t.found.folder, t.root}
		err := at.follow(ctx, t.clones, func(c proof.Commit) error {
			if err := r.clones.Hear(t.root, c); err != nil {
				return err
			}
			return t.clones.Pass(c)
		})
		if err != nil {
			return fmt.Errorf("look for shallow clones: %s: %w", t.Place, err)
		}
	}
	return nil
}

// newTables finds those that were not there when it was planned.
func (r *running) newTables(ctx context.Context) (all []found, err error) {
	known := map[proof.Root]bool{}
	for _, t := range r.tables {
		known[t.root] = true
	}
	for _, place := range r.options.Places {
		some, err := (&planning{progress: &meter{}}).below(ctx, place, "") // or it would have no tables
		if err != nil {
			return nil, fmt.Errorf("look for shallow clones: %w", err)
		}
		for _, f := range some {
			if !known[f.root] {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// missingElsewhere says that another table has come to use a file that was removed; "" if none
// has.
func (s *sweep) missingElsewhere(ctx context.Context, folder string) (string, error) {
	keys, err := triedIn(folder)
	if err != nil || len(keys) == 0 {
		return "", err
	}
	if err := s.hearOthers(ctx); err != nil {
		return "", err
	}
	if err := s.hearMetastore(ctx); err != nil {
		return "", err
	}
	all, err := s.newTables(ctx)
	if err != nil {
		return "", err
	}
	reader := &planning{now: s.now, progress: &meter{}}
	for _, f := range all {
		f.rule = spec.RetentionRule{Exclude: true}
		one, err := reader.look(ctx, f)
		if err != nil {
			return "", err
		}
		if one.state == nil {
			return "", fmt.Errorf("the table %s is new, may be a shallow clone, and cannot be read", f.root)
		}
		s.clones.Add(one.state)
	}
	for _, key := range keys {
		if s.clones.Use(s.t.root, key) {
			return fmt.Sprintf("a shallow clone that was made meanwhile uses %s", key), nil
		}
	}
	return "", nil
}

// triedIn are the files that a run may have removed.
func triedIn(folder string) (keys []string, err error) {
	p, err := readJournal(folder)
	if err != nil {
		return nil, err
	}
	for _, b := range p.batches {
		for _, f := range b.files {
			if f.tries > 0 {
				keys = append(keys, f.Key)
			}
		}
	}
	return keys, nil
}
