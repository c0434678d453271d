package delta

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// Versioned is a Store that may keep what is written again or removed.
type Versioned interface {
	// Versions gives all versions of the files directly in a folder to each: the path, a tag of
	// the content, and whether it marks that the file was removed; those of one file newest
	// first. Where nothing is kept every file has one. not says why the store does not let
	// them be listed, or "".
	Versions(ctx context.Context, folder string, each func(path, tag string, marker bool)) (not string, err error)
}

// overwritten looks for commits that were written over, where the store keeps those.
func (p *planning) overwritten(ctx context.Context, t *table, one *looked) error {
	store, ok := t.store.(Versioned)
	if !ok {
		return nil // what is written again is gone without a trace
	}
	var all []proof.LogVersion
	folder := t.folder + logFolder
	not, err := store.Versions(ctx, folder, func(path, tag string, marker bool) {
		all = append(all, proof.LogVersion{Name: strings.TrimPrefix(path, folder), Tag: tag, Marker: marker})
	})
	if err != nil {
		return &storeError{cause: fmt.Errorf("list the versions of its log: %w", err)}
	}
	if note := "Commits that were written over were not looked for: " + not; not != "" && !slices.Contains(p.notes, note) {
		p.notes = append(p.notes, note)
	}
	if f := proof.Overwritten(all); f != nil {
		one.Findings = append(one.Findings, *f)
	}
	return nil
}
