package spec

import "fmt"

// Lock keeps the versions of a bucket's objects from being removed. It cannot be taken off.
type Lock struct {
	On bool
	// Mode is that of the objects of which nobody says it: "governance", which some may
	// override, or "compliance", which nobody may; "" leaves it as it is.
	Mode        string
	Days, Years int // for how long; one of the two
}

// Retention is for how long objects are locked of which nobody says it, "" for no time.
func (l Lock) Retention() string {
	switch {
	case l.Mode == "":
		return ""
	case l.Years > 0:
		return fmt.Sprintf("%s, years %d", l.Mode, l.Years)
	}
	return fmt.Sprintf("%s, days %d", l.Mode, l.Days)
}
