package docker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/spec"
)

// What a replacement calls the two containers while it is under way.
const (
	nextSuffix = ".next" // the new one, until the old one has made room
	prevSuffix = ".prev" // the old one, until the new one is ready
)

// sighting is a container of the project, and what it is found as.
type sighting struct {
	ref     spec.Ref
	summary container.Summary
	name    string
	handing bool // a replacement that was broken off had it hand over to another
}

// identify tells what the project's containers are found as. Containers of services
// that are not in the spec and that the agent did not make, and one-off containers, are
// nobody's business.
//
// After a crash in the middle of a replacement there are leftovers:
//
//	X and X.next   X.next was never used: it is an extra
//	X.prev alone   X has not been made yet, or is lost: it is found as X
//	X and X.prev   X may fail yet: X.prev is an extra, removed once X is ready
func identify(want spec.Desired, all []container.Summary) []sighting {
	names := containerNames(want)
	sightings := candidates(want, all)
	slices.SortFunc(sightings, func(a, b sighting) int {
		return cmp.Or(a.ref.Compare(b.ref), cmp.Compare(rank(a, names), rank(b, names)), strings.Compare(a.name, b.name))
	})
	taken := map[spec.Ref]bool{}
	successors, handing := replaced(sightings)
	var found []sighting
	for _, s := range sightings {
		ours, instance := s.summary.Labels[labelProject] == want.Project, s.ref
		suffix := leftover(s, names)
		switch {
		case suffix == nextSuffix && ours:
			s.ref.Name += nextSuffix
		case suffix == prevSuffix && (taken[s.ref] || successors[s.summary.ID]):
			s.ref.Name += prevSuffix
		case taken[s.ref] && !ours:
			continue // a copy that somebody else made
		case taken[s.ref]:
			s.ref.Name = s.name
		default:
			taken[s.ref] = true
			s.handing = suffix == prevSuffix || handing[s.summary.ID]
		}
		if s.ref != instance && want.LeavesAlone(instance) {
			continue
		}
		found = append(found, s)
	}
	return found
}

// extra tells whether another container is the instance's own.
func (s sighting) extra() bool { return s.ref != refOf(s.summary.Labels) }

// candidates are the containers that may be the project's.
func candidates(want spec.Desired, all []container.Summary) []sighting {
	declared := map[string]bool{}
	for _, s := range spec.Resources[*spec.Service](want) {
		declared[s.Name] = true
	}
	var some []sighting
	for _, c := range all {
		ours := c.Labels[labelProject] == want.Project
		adopted := c.Labels[composeProject] == want.Project && declared[c.Labels[composeService]]
		if (ours || adopted) && !strings.EqualFold(c.Labels[composeOneOff], "true") {
			some = append(some, sighting{ref: refOf(c.Labels), summary: c, name: nameOf(c)})
		}
	}
	return some
}

// containerNames gives the wanted name of each instance's container.
func containerNames(want spec.Desired) map[spec.Ref]string {
	names := map[spec.Ref]string{}
	for _, s := range spec.Resources[*spec.Service](want) {
		names[s.Ref()] = s.Container
	}
	return names
}

// leftover gives the suffix of a container that a replacement named, or "".
func leftover(s sighting, names map[spec.Ref]string) string {
	for _, suffix := range []string{nextSuffix, prevSuffix} {
		if strings.HasSuffix(s.name, suffix) && s.name != names[s.ref] {
			return suffix
		}
	}
	return ""
}

// rank orders the containers of one instance: the one that has the name it should have,
// then others, then the leftovers.
func rank(s sighting, names map[spec.Ref]string) int {
	switch {
	case s.name == names[s.ref]:
		return 0
	case leftover(s, names) == "":
		return 1
	default:
		return 2
	}
}

// replaced gives the IDs of the containers that another one has replaced, which has
// got its name already, and of those that another one is yet to replace.
func replaced(all []sighting) (already, yet map[string]bool) {
	already, yet = map[string]bool{}, map[string]bool{}
	for _, s := range all {
		id := s.summary.Labels[labelReplaces]
		switch {
		case id == "":
		case strings.HasSuffix(s.name, nextSuffix):
			yet[id] = true
		default:
			already[id] = true
		}
	}
	return already, yet
}

// looksCopied tells whether a container may be a copy that somebody made by way of
// docker commit, which has taken over our labels from its image: its name is not one
// that we would give it, and it is not of the image its labels speak of.
func looksCopied(c container.Summary, want spec.Desired, names map[spec.Ref]string) bool {
	image := c.Labels[composeImage]
	if c.Labels[labelProject] != want.Project || image == "" || image == c.ImageID {
		return false
	}
	wanted := names[refOf(c.Labels)]
	name := strings.TrimSuffix(strings.TrimSuffix(nameOf(c), nextSuffix), prevSuffix)
	return wanted == "" || name != wanted
}

// nameOf gives a container's own name among those that links give it.
func nameOf(c container.Summary) string {
	for _, name := range c.Names {
		if own := strings.TrimPrefix(name, "/"); !strings.Contains(own, "/") {
			return own
		}
	}
	return ""
}
