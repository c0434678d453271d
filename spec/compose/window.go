package compose

import (
	"slices"
	"strconv"

	"github.com/flumendata/flumen-agent/spec"
)

// readWindows reads when changes that interrupt may be made.
func (l *load) readWindows() { l.Desired.Windows = l.readWindowsAt(l.root.Windows, "windows") }

// readWindowsAt reads the windows that stand at a key.
func (l *load) readWindowsAt(list []window, path ...string) (all []spec.Window) {
	for i, w := range list {
		at := func(key ...string) place {
			return l.rootPlace(slices.Concat(path, []string{strconv.Itoa(i)}, key)...)
		}
		one := spec.Window{Deny: w.Deny != "", Begins: w.Allow + w.Deny, Timezone: w.Timezone, Reason: w.Reason}
		if (w.Allow == "") == (w.Deny == "") {
			l.fault(at(), `as in allow: "0 22 * * 1-5"`, "a window either allows or denies, from a beginning that it names")
			continue
		}
		lasts, err := daysOrTime(w.Duration)
		if err != nil {
			l.fault(at(), "write duration: 6h, or as in 3d", "the window does not say how long it lasts: %v", err)
			continue
		}
		one.Lasts = lasts
		if l.options.CheckWindow != nil {
			if err := l.options.CheckWindow(one); err != nil {
				l.fault(at(map[bool]string{true: "deny", false: "allow"}[one.Deny]), "", "%v", err)
			}
		}
		all = append(all, one)
	}
	return all
}
