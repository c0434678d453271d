package plan

import (
	"fmt"
	"time"
)

// Window says whether changes that interrupt may be made now. The zero value is open, and
// has no end.
type Window struct {
	Closed bool   `json:"closed"`
	Reason string `json:"reason,omitempty"` // that of the window which denies, in words of who wrote it
	// Until is when that changes; zero: there is no end that can be foreseen.
	Until time.Time `json:"until,omitzero"`
}

func (w Window) String() string {
	text := "open"
	if w.Closed {
		text = "closed"
	}
	if !w.Until.IsZero() {
		text += w.Until.Format(" until 2006-01-02 15:04 MST")
	}
	if w.Reason != "" {
		text += " (" + w.Reason + ")"
	}
	return text
}

// KeepForWindow holds what interrupts while the window is closed: replacing what is there,
// and removing it. What is missing or does not run is brought back at all times.
func KeepForWindow(w Window) Rule {
	return Rule{RuleWindow, func(s Step) string {
		switch s.Change.(type) {
		case Replace, Remove:
			if w.Closed {
				return fmt.Sprintf("the window for changes that interrupt is %s", w)
			}
		}
		return ""
	}}
}
