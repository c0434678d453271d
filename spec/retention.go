package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retention says how long the files of Delta tables are kept, where the tables are, and which
// of them are treated in another way. The zero Retention looks after no table.
type Retention struct {
	Schedule string        // as cron has it; "" means only when asked
	Timezone string        // of the schedule, as in "Europe/Berlin"; "" is UTC
	Window   time.Duration // how long after its beginning a run starts no more work; 0 is without end, which no file says
	Discover []Discovery
	// Metastore names the tables; without one they are named after their folders.
	Metastore Metastore
	Spark     Spark
	Quiet     []Window // when nobody writes tables; none: nobody knows
	Defaults  RetentionRule
	Rules     []RetentionRule // the first that matches is the one
}

// Spark is how Spark is asked to act on a table: in a container that is made for that alone. The
// zero Spark is none.
type Spark struct {
	Service *Service      // what the container is made of; no container of its own runs
	Timeout time.Duration // how long it may take for one table
}

// When is the schedule with its time zone, in one text as cron has it; "" is never.
func (r Retention) When() string {
	if r.Schedule == "" || strings.Contains(r.Schedule, "TZ=") {
		return r.Schedule
	}
	return "CRON_TZ=" + cmp.Or(r.Timezone, "UTC") + " " + r.Schedule
}

// Discovery is a place below which every Delta table is found.
type Discovery struct {
	Store *Store
	// Prefix begins with the bucket, as in "lakehouse/warehouse"; in a folder of tables it is
	// a folder in that, or "" for all of it. It has no slash at either end.
	Prefix string
}

// Stream is where a structured stream of Spark keeps how far it has read: its checkpoint.
type Stream struct {
	Store  *Store
	Folder string // as in a Discovery
}

// String is the place as a URL.
func (s Stream) String() string { return s.Store.Place(s.Folder) }

// Metastore is a Hive Metastore: one that a service of the project serves, or one elsewhere. The
// zero Metastore is none.
type Metastore struct {
	Service string
	Port    uint16 // the container's own
	Address string // of one elsewhere, as host:port
}

// String says where it is.
func (m Metastore) String() string {
	if m.Service == "" {
		return m.Address
	}
	return fmt.Sprintf("port %d of service %s", m.Port, m.Service)
}

// Mode is what is done with files that may go.
type Mode string

// The modes.
const (
	ModeReport  Mode = "report"  // only say so
	ModeEnforce Mode = "enforce" // remove them
)

// Vacuum is how files that may go are looked for.
type Vacuum string

// The ways to look. Lite believes the log alone and finds what the log says was removed; full
// lists all files, and finds orphans too; auto is lite, and full when FullEvery has passed.
const (
	VacuumAuto Vacuum = "auto"
	VacuumLite Vacuum = "lite"
	VacuumFull Vacuum = "full"
)

// Handling is what is done about something that is not as it should be.
type Handling string

// The ways to handle it.
const (
	HandlingOff     Handling = "off"
	HandlingReport  Handling = "report"
	HandlingEnforce Handling = "enforce"
)

// Undo is how removed files can be had back.
type Undo string

// The ways to have them back.
const (
	UndoAuto       Undo = "auto" // versioning where the bucket has it, else quarantine
	UndoVersioning Undo = "versioning"
	UndoQuarantine Undo = "quarantine"
	UndoNone       Undo = "none"
)

// RetentionRule says how long the files of the tables that it matches are kept, and what may be
// done. Every field has its value: the loader fills in what the file leaves out.
type RetentionRule struct {
	Match   []Pattern // none in the defaults
	Exclude bool      // leave these tables alone; nothing else counts then

	Mode Mode
	// Data is how long a file is kept after it left the table, Log how long a version can be
	// read. What the table itself says, and Floor, count if they are longer.
	Data, Log    time.Duration
	Vacuum       Vacuum
	FullEvery    time.Duration
	LogCleanup   Handling
	Properties   Handling // of a table whose own retention differs
	SparkFrom    int64    // a table with so many files or more is vacuumed by Spark; 0: none is
	KeepOrphans  bool     // files that no version names stay, even proven ones
	ForeignFiles bool     // files that no writer of Delta makes may go too
	ChangeData   bool     // old change data may go
	MinAge       time.Duration
	KeepVersions []int64       // these versions stay readable, in order
	KeepTimes    []time.Time   // and those that were the newest at these times, in order
	KeepStreams  []Stream      // what these have not read yet stays
	MaxRatio     float64       // of files and of bytes: a plan that wants more is not carried out
	MaxFiles     int64         // of one table and run
	MaxBytes     int64         // of one table and run
	Undo         Undo          // what makes a removal good again
	UndoKeep     time.Duration // how long
}

// Floor is the least time for which files are kept, whatever a rule or a table says: a writer
// or reader that has run longer is not known to any implementation of Delta.
const Floor = 7 * 24 * time.Hour

// DefaultWindow is how long a run starts more work where the file does not say: a night, so that one that began at three
// leaves the store alone when people come.
const DefaultWindow = 4 * time.Hour

// DefaultRetention is what counts where the file says nothing.
func DefaultRetention() RetentionRule {
	const day = 24 * time.Hour
	return RetentionRule{
		Mode: ModeReport, Data: 30 * day, Log: 30 * day,
		Vacuum: VacuumAuto, FullEvery: 7 * day,
		LogCleanup: HandlingReport, Properties: HandlingReport,
		ChangeData: true, MinAge: day,
		MaxRatio: 0.5, MaxFiles: 500_000, MaxBytes: 1 << 40,
		Undo: UndoAuto, UndoKeep: 7 * day,
	}
}

// RuleFor is the rule of the table with that name ("" if it has none) at that place, as in
// "s3://lakehouse/warehouse/bronze.db/events".
func (r Retention) RuleFor(name, place string) RetentionRule {
	for _, rule := range r.Rules {
		if slices.ContainsFunc(rule.Match, func(p Pattern) bool { return p.Matches(name, place) }) {
			return rule
		}
	}
	return r.Defaults
}

// RuleAt is the rule of a table at that place whose name is not known. sure is false if the rule
// depends on it; what is returned then is the defaults.
func (r Retention) RuleAt(place string) (rule RetentionRule, sure bool) {
	for _, rule := range r.Rules {
		if slices.ContainsFunc(rule.Match, func(p Pattern) bool { return p.Matches("", place) }) {
			return rule, true
		}
		if slices.ContainsFunc(rule.Match, func(p Pattern) bool { _, placed := p.Place(); return !placed }) {
			return r.Defaults, false
		}
	}
	return r.Defaults, true
}

// String says where tables are looked for and by how many rules.
func (r Retention) String() string {
	var places []string
	for _, d := range r.Discover {
		places = append(places, d.String())
	}
	return fmt.Sprintf("tables in %s; by default %s; %d rules", strings.Join(places, ", "), r.Defaults, len(r.Rules))
}

// String is the place as a URL.
func (d Discovery) String() string { return d.Store.Place(d.Prefix) }

// String says the rule as a person would. Two rules that say the same do the same.
func (r RetentionRule) String() string {
	match := ""
	for _, p := range r.Match {
		match += string(p) + " "
	}
	if r.Exclude {
		return match + "left alone"
	}
	return fmt.Sprintf("%s%s: data %s, log %s, %s", match, r.Mode, Span(r.Data), Span(r.Log), strings.Join(r.details(), ", "))
}

func (r RetentionRule) details() []string {
	all := []string{
		fmt.Sprintf("vacuum %s, full every %s", r.Vacuum, Span(r.FullEvery)),
		fmt.Sprintf("log cleanup %s", r.LogCleanup), fmt.Sprintf("properties %s", r.Properties),
		fmt.Sprintf("younger than %s stays", Span(r.MinAge)),
		fmt.Sprintf("at most %g of a table, %d files, %d bytes", r.MaxRatio, r.MaxFiles, r.MaxBytes),
		fmt.Sprintf("undo %s for %s", r.Undo, Span(r.UndoKeep)),
	}
	for _, one := range []struct {
		on   bool
		says string
	}{
		{r.KeepOrphans, "orphans stay"}, {r.ForeignFiles, "foreign files go too"}, {!r.ChangeData, "change data stays"},
		{r.SparkFrom > 0, fmt.Sprintf("by Spark from %s on", Counted(r.SparkFrom, "file"))},
		{len(r.KeepVersions) > 0, fmt.Sprintf("versions %v stay readable", r.KeepVersions)},
		{len(r.KeepTimes) > 0, "the versions of " + times(r.KeepTimes) + " stay readable"},
		{len(r.KeepStreams) > 0, fmt.Sprintf("what the streams %v have not read stays", r.KeepStreams)},
	} {
		if one.on {
			all = append(all, one.says)
		}
	}
	return all
}

func times(all []time.Time) string {
	var text []string
	for _, t := range all {
		text = append(text, t.UTC().Format(time.RFC3339))
	}
	return strings.Join(text, ", ")
}

// Span writes a time span as people do: "30d", "12h", "1d6h".
func Span(d time.Duration) string {
	const day = 24 * time.Hour
	text := ""
	if d >= day {
		text = fmt.Sprintf("%dd", d/day)
		if d %= day; d == 0 {
			return text
		}
	}
	short := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(short, zero) {
			short = short[:len(short)-2]
		}
	}
	return text + short
}
