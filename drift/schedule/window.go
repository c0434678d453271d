package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// longest and shortest are how long a window may last.
	longest, shortest = 31 * 24 * time.Hour, time.Minute
	// mostEdges is how many beginnings and ends are looked at for one that opens or closes.
	mostEdges = 1000
)

// Window is a time that begins at each time of a schedule and lasts a while.
type Window struct {
	begins Schedule
	lasts  time.Duration
	zone   *time.Location
	deny   bool
}

// ParseWindow reads a window. Its beginning has five fields, in a time zone as in
// "Europe/Berlin"; "" is UTC.
func ParseWindow(begins, zone string, lasts time.Duration, deny bool) (Window, error) {
	if strings.Contains(begins, "@every") || strings.Contains(begins, "TZ=") {
		return Window{}, fmt.Errorf("%q is no beginning of a window: write minute, hour, day, month and weekday, as in \"0 22 * * 1-5\", and timezone beside it", begins)
	}
	in, err := time.LoadLocation(zone)
	if err != nil {
		return Window{}, fmt.Errorf("%q is not a time zone: write it as in Europe/Berlin", zone)
	}
	if lasts < shortest || lasts > longest {
		return Window{}, fmt.Errorf("a window of %s: it lasts between a minute and 31 days", lasts)
	}
	if strings.TrimSpace(begins) == "" {
		return Window{}, errors.New("a window does not say when it begins")
	}
	if _, err := Parse(begins); err != nil {
		return Window{}, err
	}
	s, err := Parse("CRON_TZ=" + in.String() + " " + begins)
	if err != nil {
		return Window{}, err
	}
	return Window{begins: s, lasts: lasts, zone: in, deny: deny}, nil
}

// at tells whether the window is on at a time, and when that may change.
func (w Window) at(t time.Time) (on bool, edge time.Time) {
	begin, ok := w.begins.Next(t.Add(-w.lasts))
	switch {
	case !ok:
		return false, time.Time{}
	case begin.After(t):
		return false, begin.In(w.zone)
	}
	return true, begin.Add(w.lasts).In(w.zone)
}

// Windows are those of a spec, in its order.
type Windows []Window

// Opening is how windows stand at one time.
type Opening struct {
	Closed bool
	// By is the window that denies, by its place; -1: none that allows is on.
	By int
	// Until is when that ends, in the time zone of the window that ends it. Zero: it has no
	// end that can be foreseen.
	Until time.Time
}

// At tells how the windows stand at a time. Without any they are open for ever.
func (ws Windows) At(t time.Time) Opening {
	o, edge := ws.at(t)
	for range mostEdges {
		if edge.IsZero() {
			return o
		}
		then, next := ws.at(edge)
		if then.Closed != o.Closed {
			o.Until = edge
			return o
		}
		edge = next
	}
	return o
}

// at tells whether they are closed at a time, and when that may change.
func (ws Windows) at(t time.Time) (o Opening, edge time.Time) {
	allowed, anyAllows, denied := false, false, -1
	for i, w := range ws {
		on, next := w.at(t)
		if !next.IsZero() && (edge.IsZero() || next.Before(edge)) {
			edge = next
		}
		switch {
		case !w.deny:
			allowed, anyAllows = allowed || on, true
		case on && denied < 0:
			denied = i
		}
	}
	return Opening{Closed: denied >= 0 || anyAllows && !allowed, By: denied}, edge
}
