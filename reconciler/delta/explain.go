package delta

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// watch follows one file through a plan.
type watch struct {
	file  string // its place
	table *proof.Watch

	found *proof.File // as it was listed
	class proof.Class
	why   string
	mayGo bool // by its class and the rule
	goes  bool
}

// Explain plans everything and says what becomes of one file, and why. The file is a place, as
// in "s3://bucket/table/part-1.parquet". It is the plan's own answer: nothing is decided here.
func Explain(ctx context.Context, o Options, file string) (proof.Explanation, error) {
	w := &watch{file: proof.FileOf(file)}
	o.watch = w
	o.Goes = func(t proof.Table, f proof.File, _ proof.Class) error {
		w.goes = w.goes || t.Place+"/"+f.Key == w.file
		return nil
	}
	r, err := Plan(ctx, o)
	if err != nil {
		return proof.Explanation{}, err
	}
	return w.explain(r), nil
}

// in gives the watch of a table's replay: nil for a table that the file is not in.
func (w *watch) in(root proof.Root) *proof.Watch {
	if w == nil {
		return nil
	}
	key, below := strings.CutPrefix(w.file, string(root)+"/")
	if !below {
		return nil
	}
	w.table = &proof.Watch{Key: key} // what was heard before a checkpoint turned out to be corrupt does not count
	return w.table
}

// judged hears of each file that is judged.
func (w *watch) judged(root proof.Root, s *proof.State, f proof.File, c proof.Class, goes bool) {
	if w == nil || string(root)+"/"+f.Key != w.file {
		return
	}
	w.found, w.class, w.why, w.mayGo = &f, c, s.Explain(c), goes
}

func (w *watch) explain(r proof.Report) proof.Explanation {
	e := proof.Explanation{File: w.file, Version: -1}
	of := slices.IndexFunc(r.Tables, func(t proof.Table) bool { return strings.HasPrefix(w.file, t.Place+"/") })
	if of < 0 {
		e.Why = "no table that was found has it"
		if r.Blind() {
			e.Why += ", and not everything could be looked at"
		}
		return e
	}
	t := r.Tables[of]
	e.Table, e.Place, e.Version, e.Policy, e.Keep, e.Cutoff = t.Name, t.Place, t.Version, t.Policy, t.Keep, t.Cutoff
	if w.table != nil {
		e.History = slices.Clone(w.table.Mentions)
		slices.SortStableFunc(e.History, func(a, b proof.Mention) int { return cmp.Compare(a.Version, b.Version) })
	}
	name, inLog := proof.File{Key: strings.TrimPrefix(w.file, t.Place+"/")}.InLog()
	switch {
	case w.found != nil:
		e.Listed, e.Size, e.Written = true, w.found.Size, w.found.Written
		e.Judged(t, w.class, w.why, w.goes, w.mayGo)
		return e
	case inLog:
		e.Why = "it is of the table's log, as " + name + ": log and log_cleanup decide about that, and not the retention of data"
	case t.Excluded:
		e.Why = "a rule leaves its table alone"
	case t.Worst() == proof.EffectRefuse:
		e.Why = "its table is refused"
	default:
		e.Why = "it is not there"
	}
	for _, f := range t.Findings {
		if f.Effect != proof.EffectNote {
			e.Findings = append(e.Findings, f)
		}
	}
	return e
}
