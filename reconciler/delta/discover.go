package delta

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// Place is one below which tables are.
type Place struct {
	Store  Store
	Folder string // in the store: "" or without a slash at its end
	URL    string // as people and logs write it
	Table  bool   // it may be a table itself, whose files are then all that is looked at
	Name   string // of the store, in the spec
}

// found is a table that was found in a place.
type found struct {
	Place
	folder string // with a slash at its end, or ""
	root   proof.Root
	name   string // "" if nobody knows
	known  bool   // a metastore has it by that name
	why    error  // that it cannot be one; nil

	rule  spec.RetentionRule
	wrong *proof.Finding // about its name
}

// discover finds every folder with a log below a place. It does not look into tables: what lies
// in one is that table's.
func (p *planning) discover(ctx context.Context, place Place) ([]found, error) {
	outer, err := enclosing(ctx, place)
	if err != nil {
		return nil, err
	}
	return p.below(ctx, place, outer)
}

// below is discover in a place of which it is known which table it lies in, "" for none.
func (p *planning) below(ctx context.Context, place Place, outer string) (all []found, err error) {
	start := place.Folder
	if start != "" {
		start += "/"
	}
	for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
		folder := queue[0]
		below, isTable, err := look(ctx, place.Store, folder)
		if err != nil {
			return all, err
		}
		if !isTable {
			queue = append(queue, below...)
			continue
		}
		one := place.table(folder)
		one.why = refuseRoot(one, folder == start, outer)
		all = append(all, one)
		p.progress.found(len(all))
	}
	return all, nil
}

// look lists the folders in one, and tells whether it is that of a table.
func look(ctx context.Context, s Store, folder string) (below []string, isTable bool, err error) {
	err = s.List(ctx, folder, false, func(path string, _ int64, _ time.Time, _ string) error {
		switch {
		case path == folder+logFolder:
			isTable = true
		case strings.HasSuffix(path, "/") && path != folder:
			below = append(below, path)
		}
		return nil
	})
	slices.Sort(below) // so that reports have the same order every time
	return below, isTable, err
}

// enclosing finds the table that a place lies in, if it does.
func enclosing(ctx context.Context, place Place) (outer string, err error) {
	parts := strings.Split(place.Folder, "/")
	for n := range parts {
		if n == 0 && strings.HasPrefix(place.URL, "s3://") {
			continue // a bucket is no folder of another one
		}
		folder := strings.Join(parts[:n], "/")
		if folder != "" {
			folder += "/"
		}
		there := errors.New("something is there")
		err := place.Store.List(ctx, folder+logFolder, false, func(string, int64, time.Time, string) error { return there })
		switch {
		case errors.Is(err, there):
			return folder, nil
		case err != nil:
			return "", err
		}
	}
	return "", nil
}

// table is one in a folder of the place.
func (place Place) table(folder string) found {
	root := place.URL
	if rest := strings.Trim(strings.TrimPrefix(folder, place.Folder), "/"); rest != "" {
		root += "/" + rest
	}
	return found{Place: place, folder: folder, root: proof.Root(root), name: proof.NameOf(place.URL, root)}
}

// refuseRoot says why a folder with a log cannot be the root of a table. whole: it is the place
// itself.
func refuseRoot(f found, whole bool, outer string) error {
	key, bucket := strings.CutPrefix(string(f.root), "s3://")
	switch {
	case outer != "":
		return &proof.Refusal{Why: "it lies inside another table, " + outer, Do: "move it into a folder of its own"}
	case bucket && !strings.Contains(key, "/"):
		return &proof.Refusal{Why: "its root is a whole bucket, in which files of others may lie", Do: "move it into a folder of the bucket"}
	case whole && !f.Table:
		return &proof.Refusal{Why: "its root is the place that is searched for tables", Do: "search the folder above it"}
	}
	return nil
}
