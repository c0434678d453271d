package proof

import "time"

// Report is what a look at all tables came to.
type Report struct {
	At     time.Time `json:"at"`
	Run    string    `json:"run,omitempty"` // that was to remove what can go; "" for a report
	Tables []Table   `json:"tables"`
	Unseen []Unseen  `json:"unseen,omitempty"`
	Goes   Amount    `json:"goes"` // of all tables
	// Notes are what was left out of the look, and why.
	Notes []string `json:"notes,omitempty"`
	// Metastore is what became of asking for the tables' names; nil: none is declared.
	Metastore *Metastore `json:"metastore,omitempty"`
}

// Unseen is a place that could not be searched for tables.
type Unseen struct {
	Place string `json:"place"`
	Why   string `json:"why"`
}

// Status is what a report comes to.
type Status int

// The statuses, the gravest last.
const (
	StatusInPolicy Status = iota
	StatusReclaimable
	StatusRefused  // a table was refused, or a guard stopped its plan
	StatusCritical // a live file is missing, or a commit
)

// Status is that of the gravest table.
func (r Report) Status() Status {
	worst := StatusInPolicy
	for _, t := range r.Tables {
		worst = max(worst, t.Status())
	}
	return worst
}

// Status is how the table stands.
func (t *Table) Status() Status {
	_, differs := t.Find(FoundProperty)
	switch worst := t.Worst(); {
	case worst == EffectCritical:
		return StatusCritical
	case worst != EffectNote:
		return StatusRefused
	case t.Goes.Files > 0 && (t.Removal == nil || !t.Removal.Verified) || differs:
		return StatusReclaimable
	}
	return StatusInPolicy
}

// Blind tells whether something could not be looked at: the report says less than there may be.
func (r Report) Blind() bool {
	return len(r.Unseen) > 0 || r.Metastore != nil && r.Metastore.Why != ""
}
