package reconciler

import (
	"fmt"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

// Served is what a spec has in one store.
type Served struct {
	Store string     `json:"store"` // its name
	Holds []spec.Ref `json:"holds"` // its buckets and users
}

// servedBy gives what a spec has in its stores, by the place where each is, whatever it is
// called.
func servedBy(want spec.Desired) map[string]Served {
	all := map[string]Served{}
	hold := func(s *spec.Store, ref spec.Ref) {
		all[placeOf(s)] = Served{s.Name, append(all[placeOf(s)].Holds, ref)}
	}
	for _, b := range spec.Resources[*spec.Bucket](want) {
		hold(b.Store, b.Ref())
	}
	for _, a := range spec.Resources[*spec.Access](want) {
		hold(a.Store, a.Ref())
	}
	return all
}

func placeOf(s *spec.Store) string {
	if s.Service != "" {
		return spec.Ref{Kind: spec.KindService, Name: s.Service}.String()
	}
	return s.Endpoint
}

// leftBehind gives what is in stores that a spec had and has no more: with their places and
// keys gone from the spec, nobody can look at it.
func leftBehind(want spec.Desired, earlier map[string]Served) map[spec.Ref]drift.Found {
	left := map[spec.Ref]drift.Found{}
	for place, served := range earlier {
		if slices.ContainsFunc(want.Stores, func(s *spec.Store) bool { return placeOf(s) == place }) {
			continue
		}
		for _, ref := range served.Holds {
			if want.Find(ref) != nil { // there is one in another store
				ref.Name = served.Store + "/" + ref.Name
			}
			left[ref] = drift.Found{Ref: ref, Owned: true, State: drift.Unknown,
				Left: fmt.Sprintf("its store %s (%s) left the spec: it stays there as it is, and is not looked at any more", served.Store, place)}
		}
	}
	return left
}

// serving takes in what the spec of a run has in stores. What is in stores that left it is
// remembered until a run has said so and its revision is in force.
func (s Standing) serving(want spec.Desired, rep report.Report) Standing {
	stores := servedBy(want)
	if !rep.Ready || waits(rep.Held) {
		for place, served := range s.Stores {
			if _, there := stores[place]; !there {
				stores[place] = served
			}
		}
	}
	s.Stores = stores
	return s
}

// worthKeeping tells whether a run belongs into the history: it did something, or is the last
// one that speaks of what was left behind.
func worthKeeping(rep report.Report) bool {
	return len(rep.Steps) > 0 || rep.Ready && !waits(rep.Held) && len(rep.Left()) > 0
}
