package drift

import (
	"slices"

	"github.com/flumendata/flumen-agent/spec"
)

// neededBy lists the services that wait for one before they start, themselves or by way of
// another: what it was down for may fail them too. A job that has its turn behind it is not
// one of them, but what waited for it is.
func neededBy(want spec.Desired, ref spec.Ref) []spec.Ref {
	reached := map[spec.Ref]bool{ref: true}
	var all []spec.Ref
	for found := true; found; {
		found = false
		for _, s := range spec.Resources[*spec.Service](want) {
			waits := slices.ContainsFunc(s.After(), func(dep spec.Dep) bool { return reached[dep.Ref] })
			if !waits || reached[s.Ref()] {
				continue
			}
			reached[s.Ref()], found = true, true
			if !s.Job {
				all = append(all, s.Ref())
			}
		}
	}
	slices.SortFunc(all, spec.Ref.Compare)
	return all
}
