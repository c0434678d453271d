package delta

import (
	"context"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// named asks a metastore for the names of the tables that were found, and tells each what it is
// called, which rule counts for it and what is wrong with that. Without a metastore they are
// named after their folders.
func (p *planning) named(ctx context.Context, o Options, all []found) (proof.Report, error) {
	r := proof.Report{At: o.Now(), Tables: []proof.Table{}, Unseen: o.Unseen}
	if o.Names == nil {
		for i, f := range all {
			all[i].rule = p.retention.RuleFor(f.name, string(f.root))
		}
		return r, nil
	}
	p.progress.ask()
	entries, err := o.Names(ctx)
	if cause := context.Cause(ctx); cause != nil {
		return r, cause
	}
	r.Metastore = &proof.Metastore{Tables: len(entries)}
	if err != nil {
		r.Metastore = &proof.Metastore{Why: err.Error()}
		for i, f := range all {
			all[i].name = ""
			all[i].rule, all[i].wrong = proof.Nameless(f.root, p.retention)
		}
		return r, nil
	}
	var roots, searched []proof.Root
	for _, f := range all {
		roots = append(roots, f.root)
	}
	for _, place := range o.Places {
		searched = append(searched, proof.Root(place.URL))
	}
	names := proof.NewNames(entries, roots)
	for i, f := range all {
		all[i].name, all[i].rule, all[i].wrong = names.Of(f.root, f.name, p.retention)
		all[i].known = names.Knows(f.root)
	}
	r.Tables, p.unread = names.Strays(searched, p.retention)
	return r, nil
}
