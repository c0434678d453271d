package status

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Tables are what the last look at Delta tables came to.
type Tables struct {
	At     time.Time // of the look
	All    []Table
	Unseen int // places that could not be searched
}

// Table is one of them.
type Table struct {
	Name     string // no other has it
	Standing TableStanding
	Findings map[string]int    // by effect
	Holds    map[string]Amount // by what is done with it
}

// Amount is how much of something there is.
type Amount struct{ Files, Bytes int64 }

// TableStanding is how a table stands, the gravest last.
type TableStanding int

// How tables stand.
const (
	TableInPolicy TableStanding = iota
	TableReclaimable
	TableRefused
	TableCritical
)

func (s TableStanding) String() string {
	return [...]string{"in_policy", "reclaimable", "refused", "critical"}[s]
}

// tablesShown is for how many tables there are metrics of their own: a lakehouse may have thousands.
const tablesShown = 100

var (
	tablesLook     = level("tables_look_timestamp_seconds", "When Delta tables were last looked at. Not there until then, nor are the other metrics of tables.")
	tables         = level("tables", "Delta tables, by how they stood: in_policy, reclaimable, refused (left alone or held), or critical (something of them is lost).", "standing")
	tablesUnseen   = level("tables_unseen_places", "Places that could not be searched for Delta tables.")
	tablesFindings = level("tables_findings", "What was found about Delta tables, by its effect: note, stop, refuse or critical.", "effect")
	tablesBytes    = level("tables_size_bytes", "How much all Delta tables hold: live, can_go, held (could go, and something keeps it), log, or log_expired (a part of log).", "class")
	tablesFiles    = level("tables_files", "How many files that is, by the same classes as flumen_tables_size_bytes.", "class")
	tableStanding  = level("table_standing_info", "How a Delta table stood. At most 100 tables have metrics of their own: the gravest, and among these those of which most can go.", "table", "standing")
	tableBytes     = level("table_size_bytes", "How much of a Delta table is live, can go, is held, or is its log.", "table", "class")
	tableFiles     = level("table_files", "How many files of a Delta table are live, can go, are held, or are its log.", "table", "class")
)

// tables gives what a look at them came to.
func (g gauges) tables(t *Tables) {
	g.time(tablesLook, t.At)
	g.set(tablesUnseen, float64(t.Unseen))
	standings, findings, sums := map[string]int{}, map[string]int{}, map[string]Amount{}
	for s := range TableCritical + 1 {
		standings[s.String()] = 0 // so that an alert sees it come
	}
	for _, one := range t.All {
		standings[one.Standing.String()]++
		for effect, n := range one.Findings {
			findings[effect] += n
		}
		for class, a := range one.Holds {
			sums[class] = Amount{sums[class].Files + a.Files, sums[class].Bytes + a.Bytes}
		}
	}
	for _, s := range slices.Sorted(maps.Keys(standings)) {
		g.set(tables, float64(standings[s]), s)
	}
	for _, effect := range slices.Sorted(maps.Keys(findings)) {
		g.set(tablesFindings, float64(findings[effect]), effect)
	}
	g.amounts(tablesFiles, tablesBytes, sums)
	for _, one := range gravest(t.All) {
		g.set(tableStanding, 1, one.Name, one.Standing.String())
		g.amounts(tableFiles, tableBytes, one.Holds, one.Name)
	}
}

func (g gauges) amounts(files, bytes *prometheus.Desc, of map[string]Amount, labels ...string) {
	for _, class := range slices.Sorted(maps.Keys(of)) {
		with := append(slices.Clone(labels), class)
		g.set(files, float64(of[class].Files), with...)
		g.set(bytes, float64(of[class].Bytes), with...)
	}
}

// gravest are the tables that have metrics of their own. Of two with one name, which would make all
// metrics unreadable, it is one.
func gravest(all []Table) []Table {
	all = slices.SortedFunc(slices.Values(all), func(a, b Table) int {
		return cmp.Or(cmp.Compare(b.Standing, a.Standing), cmp.Compare(b.Holds["can_go"].Bytes, a.Holds["can_go"].Bytes), cmp.Compare(a.Name, b.Name))
	})
	told := map[string]bool{}
	all = slices.DeleteFunc(all, func(t Table) bool {
		again := told[t.Name]
		told[t.Name] = true
		return again
	})
	return all[:min(len(all), tablesShown)]
}
