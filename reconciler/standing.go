package reconciler

import (
	"maps"
	"slices"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	// keepGood is how many revisions that became ready are remembered: as far back as
	// a person goes.
	keepGood = 20
	// keepQuarantined bounds how many that failed are.
	keepQuarantined = 50
	// keepImages is of how many revisions that became ready the images stay: the current
	// one and the one before it.
	keepImages = 2
	// keepTiers bounds of how many services the tier is remembered that are in no spec any
	// more.
	keepTiers = 1000
)

// Standing is what an agent knows of the revisions of its project, and what people have
// told it. It outlives the agent on disk. It is a value: its methods give a new one.
type Standing struct {
	// Wanted is the newest revision that loaded, Enforced the one that is kept up. Why
	// says why they differ.
	Wanted   spec.Revision `json:"wanted"`
	Enforced spec.Revision `json:"enforced"`
	Why      string        `json:"why,omitempty"`
	// Trouble is why the source's newest state cannot be had: it cannot be reached, or what
	// it gives does not load.
	Trouble      string    `json:"trouble,omitempty"`
	TroubleSince time.Time `json:"trouble_since,omitzero"` // whatever the reason was at first
	// Good are the revisions that became ready, the latest first.
	Good        []spec.Revision `json:"good"`
	Quarantined []Quarantine    `json:"quarantined"`
	// Kept are the images of the latest of Good, in the same order.
	Kept []Kept `json:"kept,omitempty"`
	// Tiers are those that services were in when a revision became ready, the latest that
	// had the service.
	Tiers map[string]string `json:"tiers,omitempty"`
	// Stores are those that have been in force, by place, until a run has said that they left.
	Stores  map[string]Served `json:"stores,omitempty"`
	Pin     *Pin              `json:"pin,omitempty"`
	Pause   *Pause            `json:"pause,omitempty"`
	Retries []Retry           `json:"retries,omitempty"`
	Looked  Looked            `json:"looked"`
}

// Quarantine is a revision that failed, and is not tried again by itself.
type Quarantine struct {
	Revision spec.Revision `json:"revision"`
	At       time.Time     `json:"at"`
	Reason   string        `json:"reason"`
}

// Kept are the images of a revision that may be gone back to.
type Kept struct {
	Revision string          `json:"revision"` // its ID
	Images   []spec.ImageKey `json:"images"`
}

// Pin keeps an earlier revision in force until another one than Instead is wanted.
type Pin struct {
	Revision spec.Revision `json:"revision"`
	Instead  spec.Revision `json:"instead"`
	At       time.Time     `json:"at"`
	By       string        `json:"by,omitempty"` // who has asked for it, if that is known
}

// Pause keeps the agent from changing anything. A zero Until has no end.
type Pause struct {
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"`
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"` // who has asked for it, if that is known
}

// Looked is what the last look has shown.
type Looked struct {
	At          time.Time `json:"at"`
	InSync      bool      `json:"in_sync"`
	Differences int       `json:"differences"`
}

// want takes note of the revision that the source gives. A pin that was set against
// another one has had its day.
func (s Standing) want(wanted spec.Revision) Standing {
	if s.Pin != nil && s.Pin.Instead.ID != wanted.ID {
		s.Pin = nil
	}
	s.Wanted = wanted
	return s
}

// inTrouble takes note of why the source's newest state cannot be had, or that it can.
func (s Standing) inTrouble(why string, now time.Time) Standing {
	switch {
	case why == "":
		s.TroubleSince = time.Time{}
	case s.TroubleSince.IsZero():
		s.TroubleSince = now.Round(0)
	}
	s.Trouble = why
	return s
}

// choose gives the revision that is to be kept up, and why it is not the wanted one.
func (s Standing) choose() (rev spec.Revision, why string) {
	if s.Pin != nil {
		return s.Pin.Revision, "a person went back to it with flumen-agent rollback"
	}
	q, failed := s.quarantined(s.Wanted)
	if !failed {
		return s.Wanted, ""
	}
	good, ok := s.LastGood()
	if !ok {
		return s.Wanted, ""
	}
	return good, "revision " + s.Wanted.Short() + " failed: " + q.Reason
}

// LastGood is the latest revision that became ready and has not failed since.
func (s Standing) LastGood() (spec.Revision, bool) {
	for _, rev := range s.Good {
		if _, failed := s.quarantined(rev); !failed {
			return rev, true
		}
	}
	return spec.Revision{}, false
}

// good tells whether a revision has become ready before.
func (s Standing) good(rev spec.Revision) bool {
	return slices.ContainsFunc(s.Good, func(one spec.Revision) bool { return one.ID == rev.ID })
}

func (s Standing) quarantined(rev spec.Revision) (Quarantine, bool) {
	for _, q := range s.Quarantined {
		if q.Revision.ID == rev.ID {
			return q, true
		}
	}
	return Quarantine{}, false
}

// becameReady puts a revision before all that became ready earlier.
func (s Standing) becameReady(rev spec.Revision) Standing {
	if len(s.Good) > 0 && s.Good[0] == rev {
		return s
	}
	earlier := slices.DeleteFunc(slices.Clone(s.Good), func(one spec.Revision) bool { return one.ID == rev.ID })
	s.Good = append([]spec.Revision{rev}, earlier[:min(len(earlier), keepGood-1)]...)
	return s
}

// quarantine keeps a revision from being tried again, if there is one to go back to.
func (s Standing) quarantine(rev spec.Revision, at time.Time, reason string) (next Standing, done bool) {
	next = s.release(rev)
	next.Quarantined = append(next.Quarantined, Quarantine{rev, at, reason})
	if _, ok := next.LastGood(); !ok {
		return s, false
	}
	next.Quarantined = next.Quarantined[max(0, len(next.Quarantined)-keepQuarantined):]
	return next, true
}

// after takes in what a run shows: what the last look found, and whether the revision has
// become ready.
func (s Standing) after(rep report.Report) Standing {
	if rep.Fault != "" {
		return s // nothing was seen
	}
	s.Looked = Looked{At: rep.At.Add(rep.Took), InSync: rep.Ready && rep.After.InSync(), Differences: len(rep.After)}
	if rep.Ready && complete(rep) {
		s = s.release(rep.Revision).becameReady(rep.Revision)
	}
	return s
}

// keeping has the images of a revision that has just become ready stay, and its tiers be
// remembered. It tells whether that was news.
func (s Standing) keeping(want spec.Desired) (next Standing, news bool) {
	id := want.Revision.ID
	if len(s.Good) == 0 || s.Good[0].ID != id || len(s.Kept) > 0 && s.Kept[0].Revision == id {
		return s, false
	}
	earlier := slices.DeleteFunc(slices.Clone(s.Kept), func(k Kept) bool { return k.Revision == id })
	s.Kept = append([]Kept{{id, want.ImageKeys()}}, earlier[:min(len(earlier), keepImages-1)]...)
	s.Tiers = tiersOf(want, s.Tiers)
	return s, true
}

// tiersOf gives the tiers of the services that are wanted, and, as they were, of those that
// no longer are: some may be held and still there.
func tiersOf(want spec.Desired, earlier map[string]string) map[string]string {
	tiers := map[string]string{}
	if len(earlier) <= keepTiers {
		maps.Copy(tiers, earlier)
	}
	for _, s := range spec.Resources[*spec.Service](want) {
		tiers[s.Name] = want.TierOf(s.Ref())
	}
	return tiers
}

// release lets a revision be tried again.
func (s Standing) release(rev spec.Revision) Standing {
	s.Quarantined = slices.DeleteFunc(slices.Clone(s.Quarantined), func(q Quarantine) bool { return q.Revision.ID == rev.ID })
	return s
}

// resume ends pause and pin.
func (s Standing) resume() Standing {
	s.Pause, s.Pin = nil, nil
	return s
}

// Paused tells whether a pause is in force.
func (s Standing) Paused(now time.Time) bool {
	return s.Pause != nil && (s.Pause.Until.IsZero() || now.Before(s.Pause.Until))
}
