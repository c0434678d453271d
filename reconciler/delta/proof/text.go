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
		fmt.Fprintf(w, "%s: %s can go%s. Nothing was removed.\n", spec.Counted(int64(n), "table"), r.Goes, r.atOnce())
	}
}

// atOnce says how much of what can go a run frees at once, where that is known of all tables.
func (r Report) atOnce() string {
	var now Amount
	known := false
	for _, t := range r.Tables {
		if t.Frees == nil {
			continue
		}
		if t.Frees.Why != "" {
			return ""
		}
		known = true
		now.plus(t.Frees.Now)
	}
	if !known {
		return ""
	}
	return fmt.Sprintf(", of which a run frees %s at once", spec.RoughSize(now.Bytes))
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
		switch t.Status() {
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
	text += r.bySpark()
	if n := r.altered(); n > 0 {
		text += fmt.Sprintf("; properties of %s set", spec.Counted(n, "table"))
	}
	if n := len(r.Unseen); n > 0 {
		text += fmt.Sprintf("; %s could not be searched", spec.Counted(int64(n), "place"))
	}
	return text
}

// bySpark says of how many tables Spark has removed files, and that nobody has kept those.
func (r Report) bySpark() (text string) {
	n, lost := int64(0), false
	for _, t := range r.Tables {
		if m := t.Removal; m != nil && m.By == BySpark && !m.Undone && m.All().Files > 0 {
			n, lost = n+1, lost || m.Undo == spec.UndoNone
		}
	}
	if n > 0 {
		text = fmt.Sprintf("; from %s by Spark", spec.Counted(n, "table"))
	}
	if lost {
		text += ", which cannot be undone"
	}
	return text
}

// altered counts the tables whose properties a run has set.
func (r Report) altered() (n int64) {
	for _, t := range r.Tables {
		if t.Altered {
			n++
		}
	}
	return n
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
	for _, line := range []string{t.reads(), t.frees(), t.trend(), t.lookedAt()} {
		if line != "" {
			fmt.Fprintf(w, "    %s\n", paint.On(plan.Dim, line))
		}
	}
	if r := t.Removal; r != nil && r.Purged.Files > 0 {
		fmt.Fprintf(w, "    removed for good what earlier runs had set aside: %s\n", r.Purged)
	}
	if r := t.Removal; r != nil && r.Shelved.Files > 0 {
		fmt.Fprintf(w, "    removed what earlier runs had set aside: %s; freed %s\n", r.Shelved, whenUnversioned)
	}
	if r := t.Removal; r != nil && r.All().Files > 0 && !r.Undone && r.Undo != spec.UndoNone {
		fmt.Fprintf(w, "    until %s this can be undone: flumen-agent retention undo %s\n", r.Until.UTC().Format("2006-01-02"), r.Run)
	}
	if r := t.Removal; r != nil && r.By == BySpark && r.All().Files > 0 && r.Undo == spec.UndoNone {
		fmt.Fprintln(w, "    this cannot be undone: the bucket keeps no versions")
	}
	for _, f := range t.Findings {
		fmt.Fprintf(w, "    %s: %s\n", paint.On(f.Effect.colour(), string(f.Kind)), f.Says)
	}
	switch {
	case t.Altered:
		fmt.Fprintf(w, "    its properties were set; the next run goes by them: %s\n", t.Alter)
	case t.Alter != "":
		fmt.Fprintf(w, "    to set its properties, while nobody writes to it: %s\n", t.Alter)
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

// lookedAt says what was looked at, where the rule leaves that open or is content with less than all.
func (t *Table) lookedAt() string {
	switch {
	case t.Vacuum == spec.VacuumLite:
		text := "lite: by the log alone; orphans, foreign files, tables in its folders and missing live files are not looked for: " + t.Because
		if t.Gone > 0 {
			text += fmt.Sprintf("; %s gone already", spec.Counted(t.Gone, "file"))
		}
		return text
	case t.Vacuum == spec.VacuumFull && t.Because != "":
		return "full: all files were listed: " + t.Because
	}
	return ""
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
	case t.removed():
		return t.Removal.String()
	case t.Worst() == EffectRefuse:
		return "refused"
	case t.Held.Files > 0:
		return fmt.Sprintf("nothing goes: %s are held by what was found", t.Held)
	case t.Goes.Files == 0 && t.LogGoes.Files == 0:
		return "nothing to remove"
	}
	text := t.Goes.String() + " can go"
	if t.BySpark {
		text += ", by a VACUUM of Spark"
	}
	if t.LogGoes.Files > 0 {
		text += ", and of its log " + t.LogGoes.String()
	}
	if v := t.Readable; v != nil {
		text += "; oldest version you can read afterwards: " + v.String()
	}
	return text
}

// reads says what of the past can be read, beyond what outcome does.
func (t *Table) reads() string {
	if t.Readable == nil || t.removed() || t.Goes.Files+t.LogGoes.Files == 0 {
		return ""
	}
	var parts []string
	if now := t.ReadableNow; now != nil && now.Version < t.Readable.Version {
		parts = append(parts, "oldest version you can read now: "+now.String())
	}
	if from := t.ChangesFrom; from != nil {
		at := from.String()
		if from.Version > t.Version {
			at = "the next version"
		}
		parts = append(parts, "change data can be read afterwards from "+at+" on")
	}
	return strings.Join(parts, " · ")
}

func (t *Table) removed() bool { return t.Removal != nil && t.Removal.All().Files > 0 }

func (t *Table) frees() string {
	if t.Frees == nil || t.removed() {
		return ""
	}
	return t.Frees.String()
}

func (t *Table) trend() string {
	if t.Trend == nil {
		return ""
	}
	return t.Trend.String()
}

// amounts lists what there is.
func (t *Table) amounts() string {
	var parts []string
	for _, one := range []struct {
		name string
		Amount
	}{
		{"live", t.Live}, {"kept for older versions", t.Window}, {"written lately", t.Young}, {"removed long ago", t.Dead},
		{"orphans", t.Orphans}, {"orphans seen too lately", t.Waiting}, {"old change data", t.Changes}, {"unproven", t.Unproven}, {"foreign", t.Foreign}, {"left alone", t.Others}, {"set aside", t.Aside},
		{"deletion vectors among these", t.Vectors}, {"of them can go", t.VectorsGo}, {"log", t.Log}, {"of it expired", t.Expired}, {"sidecars seen too lately", t.Beside},
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
