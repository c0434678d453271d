package compose

import (
	"strconv"

	"github.com/flumendata/flumen-agent/spec"
)

// readWindows reads when changes that interrupt may be made.
func (l *load) readWindows() {
	for i, w := range l.root.Windows {
		at := func(key string) place { return l.rootPlace("windows", strconv.Itoa(i), key) }
		one := spec.Window{Deny: w.Deny != "", Begins: w.Allow + w.Deny, Timezone: w.Timezone, Reason: w.Reason}
		if (w.Allow == "") == (w.Deny == "") {
			l.fault(l.rootPlace("windows", strconv.Itoa(i)), `as in allow: "0 22 * * 1-5"`, "a window either allows or denies, from a beginning that it names")
			continue
		}
		lasts, err := daysOrTime(w.Duration)
		if err != nil {
			l.fault(l.rootPlace("windows", strconv.Itoa(i)), "write duration: 6h, or as in 3d", "the window does not say how long it lasts: %v", err)
			continue
		}
		one.Lasts = lasts
		if l.options.CheckWindow != nil {
			if err := l.options.CheckWindow(one); err != nil {
				l.fault(at(map[bool]string{true: "deny", false: "allow"}[one.Deny]), "", "%v", err)
			}
		}
		l.Desired.Windows = append(l.Desired.Windows, one)
	}
}
