package drift

import (
	"maps"
	"slices"
	"strconv"

	"github.com/flumendata/flumen-agent/spec"
)

// Verdict is in what way a thing differs from what it should be.
type Verdict string

// The verdicts.
const (
	Missing Verdict = "missing" // it should be there
	Changed Verdict = "changed" // its fields differ
	Down    Verdict = "down"    // it is as it should be, but does not run
	Unready Verdict = "unready" // it runs, but is not ready
	Extra   Verdict = "extra"   // it is ours and in no tier
	Foreign Verdict = "foreign" // something that is not ours has its place
	Unseen  Verdict = "unseen"  // it could not be looked at
	Stale   Verdict = "stale"   // an image that is to be asked for again
	// Critical: it is as far as anybody declares as it should be, and data is lost or open to
	// everybody as long as it stays so.
	Critical Verdict = "critical"
	Expired  Verdict = "expired" // files of a Delta table are older than its rule keeps them
	Pending  Verdict = "pending" // it can be looked at when what it lives in is ready: its service, or its store
)

// Field is one attribute that differs. Want or Have is zero where there is none.
// Both are sensitive when one of them is.
type Field struct {
	Name string     `json:"name"`
	Want spec.Value `json:"want"`
	Have spec.Value `json:"have"`
}

// Difference is one way in which reality is not what it should be.
type Difference struct {
	Ref     spec.Ref `json:"ref"`
	Tier    string   `json:"tier,omitempty"` // "" for what is in no tier
	Verdict Verdict  `json:"verdict"`
	Fields  []Field  `json:"fields,omitempty"`
	// Reason says it in words where the verdict and the fields do not.
	Reason string `json:"reason,omitempty"`
	// Critical says by what data is lost or open to everybody as long as it stays so, whatever
	// the verdict; "" if by nothing.
	Critical string `json:"critical,omitempty"`
	// NeededBy are the services that wait for this one, itself or by way of others, if it is one
	// that does not run or is not ready.
	NeededBy []spec.Ref `json:"needed_by,omitempty"`
	// Want is nil for what is extra, Have nil for what is missing or unseen.
	Want spec.Resource `json:"-"`
	Have *Found        `json:"-"`
}

// Drift is all differences: in the order of the tiers, then what is extra.
type Drift []Difference

// InSync tells whether reality is as it should be, seen in full.
func (d Drift) InSync() bool { return len(d) == 0 }

// Of gives the difference of ref, if there is one.
func (d Drift) Of(ref spec.Ref) (Difference, bool) {
	i := slices.IndexFunc(d, func(one Difference) bool { return one.Ref == ref })
	if i < 0 {
		return Difference{}, false
	}
	return d[i], true
}

// Compare holds what was observed against what should be. It gives at most one
// difference for each Ref.
func Compare(want spec.Desired, have Observed) Drift {
	var all Drift
	wanted := map[spec.Ref]bool{}
	for _, tier := range want.Tiers {
		for _, r := range tier.Resources {
			wanted[r.Ref()] = true
			if d, differs := compare(r, have, want.Checks); differs {
				d.Tier, d.Want = tier.Name, r
				if d.Verdict == Down || d.Verdict == Unready {
					d.NeededBy = neededBy(want, d.Ref)
				}
				all = append(all, d)
			}
		}
	}
	for _, ref := range have.Refs() {
		found := have.Found[ref]
		if wanted[ref] || !found.Owned || want.LeavesAlone(ref) {
			continue
		}
		d := Difference{Ref: ref, Verdict: Extra, Have: &found, Reason: "no tier declares it"}
		if reason, unseen := have.Unseen(ref); unseen {
			d.Verdict, d.Reason = Unseen, reason
		}
		if found.Left != "" {
			d.Verdict, d.Reason = Extra, found.Left
		}
		all = append(all, d)
	}
	return all
}

func compare(want spec.Resource, have Observed, checks spec.Checks) (Difference, bool) {
	ref := want.Ref()
	found, ok := have.Found[ref]
	if reason, waits := pending(want, have); waits && !ok {
		return Difference{Ref: ref, Verdict: Pending, Reason: reason}, true
	}
	if reason, unseen := have.Unseen(ref); unseen {
		d := Difference{Ref: ref, Verdict: Unseen, Reason: reason}
		if have.Busy[ref] {
			d.Verdict = Pending
		}
		return d, true
	}
	if !ok {
		return Difference{Ref: ref, Verdict: Missing}, true
	}
	d := Difference{Ref: ref, Have: &found, Reason: found.Note, Critical: found.Critical}
	if external(want) {
		return d, false
	}
	if _, image := want.(*spec.Image); !image && !found.Owned { // an image belongs to nobody
		d.Verdict = Foreign
		return d, true
	}
	d.Fields = slices.DeleteFunc(diff(want.Fields(), found), func(f Field) bool { return checks.Ignores(ref, f.Name) })
	if len(d.Fields) > 0 {
		d.Verdict = Changed
		if found.Critical != "" {
			d.Reason = "critical: " + found.Critical
		}
		return d, true
	}
	if verdict, reason := readiness(want, found); verdict != "" {
		d.Verdict, d.Reason = verdict, joined(reason, found.Note)
		return d, true
	}
	if found.Critical != "" {
		d.Verdict, d.Reason = Critical, found.Critical
		return d, true
	}
	for _, name := range slices.Sorted(maps.Keys(found.Blind)) {
		d.Verdict, d.Reason = Unseen, name+": "+found.Blind[name]
		return d, true
	}
	return Difference{}, false
}

// pending tells whether something lives in a service that is known not to be ready, so
// that nobody can know whether it is there.
func pending(want spec.Resource, have Observed) (reason string, waits bool) {
	if !want.Ref().Kind.Inside() {
		return "", false
	}
	for _, dep := range want.After() {
		if _, unseen := have.Unseen(dep.Ref); unseen {
			continue
		}
		found := have.Found[dep.Ref]
		if at := found.State; !found.Owned || at != Running && at != Healthy {
			return "lives in " + dep.Ref.String() + ", which is not ready", true
		}
	}
	return "", false
}

// external tells whether a resource is somebody else's by the spec's own word:
// that it is there is all that is asked.
func external(r spec.Resource) bool {
	switch r := r.(type) {
	case *spec.Network:
		return r.External
	case *spec.Volume:
		return r.External
	}
	return false
}

// diff lists the fields that differ, by name. Blind fields are left out.
func diff(want spec.Fields, found Found) []Field {
	names := want.Names()
	for name := range found.Fields {
		if _, ok := want[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var fields []Field
	for _, name := range names {
		w, h := want[name], found.Fields[name]
		if _, blind := found.Blind[name]; blind || w.Equal(h) {
			continue
		}
		if w.IsSensitive() || h.IsSensitive() {
			w, h = w.Hide(), h.Hide()
		}
		fields = append(fields, Field{Name: name, Want: w, Have: h})
	}
	return fields
}

// readiness judges the state of a thing whose fields are right.
func readiness(want spec.Resource, found Found) (Verdict, string) {
	service, ok := want.(*spec.Service)
	if !ok {
		return "", ""
	}
	switch found.State {
	case Healthy, Running:
		if service.Job {
			return Unready, "the job still runs"
		}
		return "", ""
	case Done:
		if service.Job {
			return "", ""
		}
		return Down, "exited with code 0"
	case Starting:
		return Unready, "is starting"
	case Unhealthy:
		return Unready, "its health check fails"
	case Restarting:
		return Unready, "exits and is restarted again and again" + exit(found)
	case Created:
		return Down, "was never started"
	case Paused:
		return Down, "is paused"
	case Removing:
		return Down, "is being removed"
	default:
		return Down, "does not run" + exit(found)
	}
}

func joined(reason, note string) string {
	if note == "" {
		return reason
	}
	return reason + ": " + note
}

func exit(found Found) string {
	s := " (exit code " + strconv.Itoa(found.ExitCode)
	if found.OOM {
		s += ", out of memory"
	}
	return s + ")"
}
