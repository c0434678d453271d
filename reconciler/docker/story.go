package docker

import (
	"strings"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// together is within what time events of one thing belong to one another: what is
	// removed by force ends first, and what ends is disconnected from its networks.
	together = 2 * time.Second
	// mostParts bounds how much of that is told: the last of it.
	mostParts = 3
	// mostStories bounds of how many things something is remembered.
	mostStories = 1000

	outOfMemory = ", out of memory"
)

// story puts what the engine tells of a thing in several events into words: "exited with
// code 137, then was removed". It belongs to one goroutine.
type story map[spec.Ref]chapter

// chapter is what has happened to one thing within a short time.
type chapter struct {
	parts []string
	last  events.Action
	oom   bool // and its end is not told yet
	at    time.Time
}

// tell adds an event about a thing, and gives all that belongs together with it.
func (s story) tell(ref spec.Ref, m events.Message, at time.Time) string {
	c := s[ref]
	if at.Sub(c.at) > together {
		c = chapter{}
	}
	c.add(m)
	c.at = at
	if len(s) >= mostStories {
		clear(s)
	}
	s[ref] = c
	return strings.Join(c.parts, ", then ")
}

// goesOn tells whether an event is the end of which a part was told before.
func (s story) goesOn(ref spec.Ref, m events.Message, at time.Time) bool {
	c := s[ref]
	return m.Action == events.ActionDie && c.passing() && at.Sub(c.at) <= together
}

// passing tells whether the last part is but a part of what comes after it.
func (c *chapter) passing() bool {
	return c.last == events.ActionDisconnect || c.last == events.ActionOOM
}

// add adds a part. Engines tell of a disconnection before the end of a container or after
// it, and so of a want of memory.
func (c *chapter) add(m events.Message) {
	what, n := tale(m), len(c.parts)
	if c.oom && m.Action == events.ActionDie {
		what += outOfMemory
	}
	switch ended := c.last == events.ActionDie; {
	case ended && m.Action == events.ActionDisconnect:
		return
	case ended && m.Action == events.ActionOOM:
		c.parts = append(c.parts[:n-1:n-1], c.parts[n-1]+outOfMemory)
		return
	case n > 0 && c.passing():
		c.parts = append(c.parts[:n-1:n-1], what)
	case n == 0 || c.parts[n-1] != what:
		c.parts = append(c.parts[max(0, n-mostParts+1):n:n], what)
	}
	c.oom = m.Action == events.ActionOOM || c.oom && m.Action == events.ActionDisconnect
	c.last = m.Action
}

// tale says in a few words what an event is about.
func tale(m events.Message) string {
	switch m.Action {
	case events.ActionStart:
		return "was started"
	case events.ActionDie:
		return "exited with code " + m.Actor.Attributes["exitCode"]
	case events.ActionOOM:
		return "ran out of memory"
	case events.ActionDestroy:
		return "was removed"
	case events.ActionPause:
		return "was paused"
	case events.ActionUnPause:
		return "was unpaused"
	case events.ActionRename:
		return "was renamed"
	case events.ActionUpdate:
		return "was updated"
	case events.ActionConnect, events.ActionDisconnect:
		return "was " + string(m.Action) + "ed" + nameOfNetwork(m)
	}
	if health, ok := strings.CutPrefix(string(m.Action), string(events.ActionHealthStatus)+": "); ok {
		return "became " + health
	}
	return string(m.Action)
}

func nameOfNetwork(m events.Message) string {
	if m.Action == events.ActionConnect {
		return " to network " + m.Actor.Attributes["name"]
	}
	return " from network " + m.Actor.Attributes["name"]
}
