package proof

import (
	"fmt"
	"io"
	"strings"

	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// Text writes the report for people: a line for each table, and below it what is not usual.
func (r Report) Text(w io.Writer, paint plan.Paint) {
	for _, u := range r.Unseen {
		fmt.Fprintf(w, "%s: %s\n", u.Place, paint.On(plan.Red, "could not be searched for tables: "+u.Why))
	}
	if m := r.Metastore; m != nil && m.Why != "" {
		fmt.Fprintf(w, "%s\n", paint.On(plan.Red, "the metastore could not be asked for the tables' names: "+m.Why))
	}
	for _, t := range r.Tables {
		t.text(w, paint)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, paint.On(plan.Yellow, n))
	}
	switch n := len(r.Tables); {
	case n == 0 && len(r.Unseen) == 0:
		fmt.Fprintln(w, "No Delta tables were found.")
	case n > 0 && r.Run != "":
		r.sums(w)
	case n > 0:
		fmt.Fprintf(w, "%s: %s can go. Nothing was removed.\n", spec.Counted(int64(n), "table"), r.Goes)
	}
}

// sums says what a run did.
func (r Report) sums(w io.Writer) {
	var freed Amount
	for _, t := range r.Tables {
		if t.Removal == nil {
			continue
		}
		freed.plus(t.Removal.Purged)
		if !t.Removal.Undone {
			freed.plus(t.Removal.Freed)
		}
	}
	fmt.Fprintf(w, "Run %s, %s: removed %s; freed now: %s.\n", r.Run, spec.Counted(int64(len(r.Tables)), "table"), r.Removed(), spec.RoughSize(freed.Bytes))
}

// Summary says in a line what a look came to, or what a run did.
func (r Report) Summary() string {
	removed, stopped, lost := r.Removed(), int64(0), int64(0)
	for _, t := range r.Tables {
		switch t.status() {
		case StatusCritical:
			lost++
		case StatusRefused:
			stopped++
		}
	}
	text := spec.Counted(int64(len(r.Tables)), "table")
	if removed.Files > 0 {
		text += ": removed " + removed.String()
	} else {
		text += ": " + r.Goes.String() + " can go"
	}
	for _, one := range []struct {
		n    int64
		says string
	}{{stopped, "refused, held or not finished"}, {lost, "with a live file or a commit missing"}} {
		if one.n > 0 {
			text += fmt.Sprintf("; %s %s", spec.Counted(one.n, "table"), one.says)
		}
	}
	if n := len(r.Unseen); n > 0 {
		text += fmt.Sprintf("; %s could not be searched", spec.Counted(int64(n), "place"))
	}
	return text
}

// Removed is what a run has removed, and not brought back itself.
func (r Report) Removed() (removed Amount) {
	for _, t := range r.Tables {
		if t.Removal != nil && !t.Removal.Undone {
			removed.plus(t.Removal.All())
		}
	}
	return removed
}

func (a *Amount) plus(b Amount) {
	a.Files += b.Files
	a.Bytes += b.Bytes
}

// text writes one table.
func (t *Table) text(w io.Writer, paint plan.Paint) {
	fmt.Fprintf(w, "%s: %s\n", paint.On(plan.Bold, t.Called()), t.outcome())
	if line := t.amounts(); line != "" {
		fmt.Fprintf(w, "    %s\n", paint.On(plan.Dim, line))
	}
	if r := t.Removal; r != nil && r.Purged.Files > 0 {
		fmt.Fprintf(w, "    removed for good what earlier runs had set aside: %s\n", r.Purged)
	}
	if r := t.Removal; r != nil && r.All().Files > 0 && !r.Undone && r.Undo != spec.UndoNone {
		fmt.Fprintf(w, "    until %s this can be undone: flumen-agent retention undo %s\n", r.Until.UTC().Format("2006-01-02"), r.Run)
	}
	for _, f := range t.Findings {
		fmt.Fprintf(w, "    %s: %s\n", paint.On(f.Effect.colour(), string(f.Kind)), f.Says)
	}
}

func (e Effect) colour() string {
	switch e {
	case EffectStop, EffectRefuse:
		return plan.Yellow
	case EffectCritical:
		return plan.Red
	}
	return plan.Blue
}

// Called is the table's name, or its place if it has none.
func (t *Table) Called() string {
	if t.Name == "" {
		return t.Place
	}
	return t.Name
}

// outcome is what may go, and what can be read afterwards.
func (t *Table) outcome() string {
	switch {
	case t.Excluded:
		return "left alone, as a rule says"
	case t.Removal != nil && t.Removal.All().Files > 0:
		return t.Removal.String()
	case t.Worst() == EffectRefuse:
		return "refused"
	case t.Held.Files > 0:
		return fmt.Sprintf("nothing goes: %s are held by what was found", t.Held)
	case t.Goes.Files == 0 && t.LogGoes.Files == 0:
		return "nothing to remove"
	}
	text := t.Goes.String() + " can go"
	if t.LogGoes.Files > 0 {
		text += ", and of its log " + t.LogGoes.String()
	}
	if v := t.Readable; v != nil {
		text += "; oldest version you can read afterwards: " + v.String()
	}
	return text
}

// amounts lists what there is.
func (t *Table) amounts() string {
	var parts []string
	for _, one := range []struct {
		name string
		Amount
	}{
		{"live", t.Live}, {"kept for older versions", t.Window}, {"written lately", t.Young}, {"removed long ago", t.Dead},
		{"orphans", t.Orphans}, {"orphans seen too lately", t.Waiting}, {"old change data", t.Changes}, {"unproven", t.Unproven}, {"foreign", t.Foreign}, {"left alone", t.Others}, {"set aside", t.Aside}, {"log", t.Log}, {"of it expired", t.Expired},
	} {
		if one.Files > 0 {
			parts = append(parts, one.name+" "+one.Amount.String())
		}
	}
	return strings.Join(parts, " · ")
}

// String is "1,204 files, 88.0 GiB".
func (a Amount) String() string {
	return spec.Counted(a.Files, "file") + ", " + spec.RoughSize(a.Bytes)
}

// String is "412, 2026-10-23".
func (v Version) String() string {
	if v.At.IsZero() {
		return fmt.Sprint(v.Version)
	}
	return fmt.Sprintf("%d, %s", v.Version, v.At.UTC().Format("2006-01-02"))
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
