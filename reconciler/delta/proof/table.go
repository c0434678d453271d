package proof

import (
	"fmt"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// Amount is how much of something there is.
type Amount struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

func (a *Amount) add(size int64) {
	a.Files++
	a.Bytes += size
}

// Table is what would be done to one table, and what was found about it.
type Table struct {
	Name     string    `json:"name"` // "" if its folder gives it none
	Place    string    `json:"place"`
	ID       string    `json:"id,omitempty"` // its metadata's
	Version  int64     `json:"version"`
	Features []string  `json:"features,omitempty"`
	Policy   string    `json:"policy"`
	Excluded bool      `json:"excluded,omitempty"`
	Keep     string    `json:"keep,omitempty"` // what is kept for how long: the longest of rule, table and floor
	Cutoff   time.Time `json:"cutoff,omitzero"`
	Files    int64     `json:"files"` // of the newest version, wherever they are

	// Vacuum is how its files were looked for, lite or full; "" where nobody did. Because is why so, "" where
	// the rule says full. Of a lite look Live is what the log says, Listed that and what was asked for, and
	// what only a list can show is zero.
	Vacuum  spec.Vacuum `json:"vacuum,omitempty"`
	Because string      `json:"because,omitempty"`
	Gone    int64       `json:"gone_already,omitempty"` // of a lite look: what was asked for and is not there

	Live     Amount `json:"live"`
	Window   Amount `json:"in_window"` // left the newest version, and stay
	Young    Amount `json:"young"`
	Dead     Amount `json:"dead"`
	Orphans  Amount `json:"orphans"`
	Waiting  Amount `json:"waiting"` // orphans that our lists have not shown for as long as min_age
	Changes  Amount `json:"change_data"`
	Unproven Amount `json:"unproven"`
	Foreign  Amount `json:"foreign"`
	Others   Amount `json:"left_alone"` // hidden, of other tables, empty keys
	Log      Amount `json:"log"`
	Expired  Amount `json:"log_expired"`               // of the log: what is older than the oldest checkpoint that has to stay
	Beside   Amount `json:"sidecars_waiting,omitzero"` // of the log: sidecars that no checkpoint names, and that our lists have not shown for as long as min_age
	Listed   Amount `json:"listed"`
	Aside    Amount `json:"set_aside"` // by earlier runs: none of the above
	// Vectors are the files of deletion vectors among what was listed, or asked for, and is counted above; VectorsGo
	// those of them that go.
	Vectors   Amount `json:"deletion_vectors,omitzero"`
	VectorsGo Amount `json:"deletion_vectors_go,omitzero"`

	// BySpark: it is Spark that removes what may go. Against is what a VACUUM of it would remove that
	// stays, Shorter whether it would go by less time than the rule says, and Choice whether it may begin
	// with another checkpoint than the plan.
	BySpark bool   `json:"by_spark,omitempty"`
	Against Amount `json:"against_spark,omitzero"`
	Shorter bool   `json:"-"`
	Choice  bool   `json:"-"`

	// Goes is what may go, Held what could but for a finding.
	Goes     Amount   `json:"goes"`
	LogGoes  Amount   `json:"log_goes,omitzero"` // of the log, beside
	Held     Amount   `json:"held"`
	Readable *Version `json:"oldest_readable,omitempty"` // afterwards
	// ReadableNow is the oldest version that can be read as it is; nil where not all files were listed, or live ones
	// are missing. ChangesFrom is the version from which on change data can be read afterwards; nil: it keeps none.
	ReadableNow *Version `json:"oldest_readable_now,omitempty"`
	ChangesFrom *Version `json:"change_data_from,omitempty"`
	// Frees is when the store has the room back of what goes; nil: nothing does.
	Frees *Frees `json:"frees,omitempty"`
	// Trend is how it has changed since an earlier look; nil: there is none to be held against.
	Trend *Trend `json:"trend,omitempty"`

	Findings []Finding `json:"findings,omitempty"`
	// Properties are those of the table that bear on retention and are not as its rule has them.
	Properties []PropertyDifference `json:"properties,omitempty"`
	// Alter is the statement of Spark's SQL that makes them so, as far as that is to be done.
	Alter   string   `json:"alter,omitempty"`
	Altered bool     `json:"altered,omitempty"` // a run has had it done
	Removal *Removal `json:"removal,omitempty"` // what a run did
}

// Overdue is what is older than the rule keeps it, whether it may go by now or not. After a run it
// is what that has left.
func (t *Table) Overdue() Amount {
	if r := t.Removal; r != nil && !r.Undone {
		return Amount{t.Goes.Files - r.Removed.Files - r.Spared, max(0, t.Goes.Bytes-r.Removed.Bytes)}
	}
	return Amount{t.Goes.Files + t.Held.Files, t.Goes.Bytes + t.Held.Bytes}
}

// Count adds a judged file. goes tells whether the rule lets it go.
func (t *Table) Count(f File, c Class, goes bool) {
	t.Listed.add(f.Size)
	t.of(c).add(f.Size)
	if goes {
		t.Goes.add(f.Size)
	}
	if ofVectors(f.Key) {
		t.Vectors.add(f.Size)
		if goes {
			t.VectorsGo.add(f.Size)
		}
	}
}

// CountLive adds live files that nobody has looked at.
func (t *Table) CountLive(all Amount) {
	t.Listed.plus(all)
	t.Live.plus(all)
}

func (t *Table) of(c Class) *Amount {
	switch c {
	case Live:
		return &t.Live
	case Window:
		return &t.Window
	case Young:
		return &t.Young
	case Dead:
		return &t.Dead
	case Orphan:
		return &t.Orphans
	case Change:
		return &t.Changes
	case Unproven, Anomaly:
		return &t.Unproven
	case Foreign:
		return &t.Foreign
	case Waiting:
		return &t.Waiting
	case Hidden, Nested, Marker:
		return &t.Others
	}
	panic(fmt.Sprintf("class %d", c))
}

// CountLog adds a file of the log.
func (t *Table) CountLog(size int64) { t.Log.add(size) }

// CountWaitingSidecar adds a sidecar that no checkpoint names and that was seen too lately.
func (t *Table) CountWaitingSidecar(size int64) { t.Beside.add(size) }

// CountAside adds a file that an earlier run has set aside.
func (t *Table) CountAside(size int64) { t.Aside.add(size) }

// Spare takes a file back that something else turned out to use.
func (t *Table) Spare(f File, c Class) {
	from := []*Amount{&t.Goes, t.of(c)}
	if ofVectors(f.Key) {
		from = append(from, &t.VectorsGo)
	}
	for _, a := range from {
		a.Files--
		a.Bytes -= f.Size
	}
	t.Window.add(f.Size)
}

// Guard holds the plan against what the rule allows at most, and stops it when anything that was
// found says so.
func (t *Table) Guard(rule spec.RetentionRule) {
	t.Findings = append(t.Findings, t.excess(rule)...)
	if t.Worst() != EffectNote {
		t.Held, t.Goes, t.LogGoes, t.VectorsGo, t.Readable = t.Goes, Amount{}, Amount{}, Amount{}, nil
	}
}

// Exceeds tells whether the plan wants more than the rule allows at most.
func (t *Table) Exceeds(rule spec.RetentionRule) bool { return len(t.excess(rule)) > 0 }

func (t *Table) excess(rule spec.RetentionRule) []Finding {
	var all []Finding
	files, bytes := part(t.Goes.Files, t.Listed.Files), part(t.Goes.Bytes, t.Listed.Bytes)
	if t.Files == 0 && t.Goes.Files > 0 {
		all = append(all, stop(FoundGuard, "the table has no live file, and %d others: it may be another table than it was; if it is right that it is empty, let Spark clean it up", t.Listed.Files))
	}
	if most := max(files, bytes); most > rule.MaxRatio {
		all = append(all, stop(FoundGuard, "%.0f %% of the table would go, and max_delete_ratio allows %.0f %%; "+orMore, 100*most, 100*rule.MaxRatio))
	}
	if t.Goes.Files > rule.MaxFiles {
		all = append(all, stop(FoundGuard, "%d files would go, and max_delete_files allows %d; "+orMore, t.Goes.Files, rule.MaxFiles))
	}
	if t.LogGoes.Files > rule.MaxFiles || t.LogGoes.Bytes > rule.MaxBytes {
		all = append(all, stop(FoundGuard, "%s of its log would go, and max_delete_files and max_delete_bytes allow less; "+orMore, t.LogGoes))
	}
	if t.Goes.Bytes > rule.MaxBytes {
		all = append(all, stop(FoundGuard, "%d bytes would go, and max_delete_bytes allows %d; "+orMore, t.Goes.Bytes, rule.MaxBytes))
	}
	return all
}

// orMore is what to do about a plan that wants more than the rule allows.
const orMore = "see whether that can be right, and write a rule for the table that allows it"

func part(some, all int64) float64 {
	if all == 0 {
		return 0
	}
	return float64(some) / float64(all)
}

// Worst is the effect of the gravest finding.
func (t *Table) Worst() Effect {
	order := []Effect{EffectNote, EffectStop, EffectRefuse, EffectCritical}
	worst := 0
	for _, f := range t.Findings {
		for i, e := range order {
			if f.Effect == e {
				worst = max(worst, i)
			}
		}
	}
	return order[worst]
}

// Find tells whether something of a kind was found.
func (t *Table) Find(k Kind) (Finding, bool) {
	for _, f := range t.Findings {
		if f.Kind == k {
			return f, true
		}
	}
	return Finding{}, false
}

// NameOf names a table after its folder, as the warehouse of a Hive Metastore is laid out:
// "bronze.events" for bronze.db/events, "default.events" for one directly in the place that was
// searched.
func NameOf(searched, root string) string {
	rest, below := strings.CutPrefix(root, searched+"/")
	if !below {
		return ""
	}
	parts := strings.Split(rest, "/")
	database := "default"
	if n := len(parts); n > 1 {
		database = strings.TrimSuffix(parts[n-2], ".db")
	}
	return database + "." + parts[len(parts)-1]
}
