package sketch

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// At is when everything is observed.
var At = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Observed reads what was observed of a desired state.
func Observed(want spec.Desired, text string) (drift.Observed, error) {
	have := drift.Observed{At: At, Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}, Busy: map[spec.Ref]bool{}}
	for n, line := range lines(text) {
		if err := observe(want, have, words(line)); err != nil {
			return drift.Observed{}, fmt.Errorf("observed line %d: %s: %w", n+1, line, err)
		}
	}
	return have, nil
}

func observe(want spec.Desired, have drift.Observed, w []string) error {
	switch {
	case w[0] == "everything":
		for _, r := range spec.Resources[spec.Resource](want) {
			have.Found[r.Ref()] = asWanted(want, r.Ref())
		}
	case len(w) < 2:
		return fmt.Errorf("too short")
	case w[0] == "blind", w[0] == "busy":
		ref := spec.Ref{}
		if err := ref.UnmarshalText([]byte(w[1])); err != nil {
			return err
		}
		have.Blind[ref] = strings.Join(w[2:], " ")
		if w[0] == "busy" {
			have.Busy[ref] = true
		}
		maps.DeleteFunc(have.Found, func(r spec.Ref, _ drift.Found) bool { _, unseen := have.Unseen(r); return unseen })
	case w[0] == "no" && len(w) == 3:
		delete(have.Found, spec.Ref{Kind: spec.Kind(w[1]), Name: w[2]})
	default:
		return found(want, have, spec.Ref{Kind: spec.Kind(w[0]), Name: w[1]}, w[2:])
	}
	return nil
}

// asWanted is a thing just as it should be, at work. One that no tier declares has only
// what the line says.
func asWanted(want spec.Desired, ref spec.Ref) drift.Found {
	f := drift.Found{Ref: ref, ID: "id-" + ref.Name, Owned: true, State: drift.Present, Fields: spec.Fields{}}
	if ref.Kind == spec.KindService {
		f.State = drift.Healthy
	}
	switch r := want.Find(ref).(type) {
	case nil:
	case *spec.Service:
		f.Fields = r.Fields()
		if r.Job {
			f.State = drift.Done
		}
	case *spec.Network:
		f.Fields, f.Owned = r.Fields(), !r.External
	case *spec.Volume:
		f.Fields, f.Owned = r.Fields(), !r.External
	default:
		f.Fields = r.Fields()
	}
	return f
}

var states = []drift.State{
	drift.Present, drift.Created, drift.Starting, drift.Running, drift.Healthy, drift.Unhealthy,
	drift.Restarting, drift.Paused, drift.Exited, drift.Done, drift.Removing,
}

// found reads how one thing is.
func found(want spec.Desired, have drift.Observed, ref spec.Ref, attributes []string) error {
	f := asWanted(want, ref)
	for _, a := range attributes {
		key, value, isField := strings.Cut(a, "=")
		switch {
		case slices.Contains(states, drift.State(a)):
			f.State = drift.State(a)
		case a == "foreign":
			f.Owned = false
		case a == "adopted":
			f.Adopted = true
		case a == "oom":
			f.OOM = true
		case key == "id":
			f.ID = value
		case key == "made-for":
			f.Tier = value
		case key == "critical":
			f.Critical = value
		case key == "left":
			f.Left, f.State = value, drift.Unknown
		case key == "note":
			f.Note = value
		case key == "holds":
			usage, err := usageOf(value)
			if err != nil {
				return err
			}
			f.Usage = usage
		case key == "exit":
			code, err := strconv.Atoi(value)
			if err != nil {
				return err
			}
			f.ExitCode = code
		case strings.HasPrefix(a, "-"):
			delete(f.Fields, a[1:])
		case strings.HasPrefix(a, "?"):
			if f.Blind == nil {
				f.Blind = map[string]string{}
			}
			f.Blind[key[1:]] = value
		case isField:
			f.Fields[key] = spec.Plain(value)
		default:
			return fmt.Errorf("what is %s?", a)
		}
	}
	have.Found[ref] = f
	return nil
}

// usageOf reads how much a bucket holds, as in OBJECTS/BYTES, counted an hour before
// the look.
func usageOf(text string) (*drift.Usage, error) {
	u := drift.Usage{At: At.Add(-time.Hour)}
	_, err := fmt.Sscanf(text, "%d/%d", &u.Objects, &u.Bytes)
	return &u, err
}
