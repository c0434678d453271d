package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// What a replacement calls the two containers while it is under way.
const (
	nextSuffix = ".next" // the new one, until the old one has made room
	prevSuffix = ".prev" // the old one, until the new one is ready
)

// Observe looks at everything the spec names or the project owns.
func (t *Target) Observe(ctx context.Context, want spec.Desired) (drift.Observed, error) {
	if err := ctx.Err(); err != nil {
		return drift.Observed{}, err
	}
	e := t.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.faults.down != nil {
		return drift.Observed{}, e.faults.down
	}
	seen := drift.Observed{At: e.now, Found: map[spec.Ref]drift.Found{}, Blind: map[spec.Ref]string{}}
	t.observeImages(want, seen)
	t.observeNetworks(want, seen)
	t.observeVolumes(want, seen)
	t.observeServices(want, seen)
	t.observeBuckets(want, seen)
	t.observeUsers(want, seen)
	for ref, reason := range e.faults.blind {
		seen.Blind[ref] = reason
	}
	for ref := range seen.Found {
		if _, unseen := seen.Unseen(ref); unseen {
			delete(seen.Found, ref)
		}
	}
	return seen, nil
}

// observeImages finds the images that the spec names, and those that the project
// built.
func (t *Target) observeImages(want spec.Desired, seen drift.Observed) {
	for reference, i := range t.engine.images {
		ref := spec.Ref{Kind: spec.KindImage, Name: reference}
		if want.Find(ref) == nil && i.project != t.project {
			continue
		}
		f := drift.Found{Ref: ref, ID: i.id, Owned: true, State: drift.Present, Fields: spec.Fields{}}
		if i.digest != "" {
			f.Fields["build"] = spec.Plain(i.digest)
		}
		seen.Found[ref] = f
	}
}

func (t *Target) observeNetworks(want spec.Desired, seen drift.Observed) {
	wanted := map[string]spec.Ref{}
	for _, n := range spec.Resources[*spec.Network](want) {
		wanted[n.Name] = n.Ref()
	}
	for _, n := range t.engine.networks {
		if ref, ok := t.refOf(spec.KindNetwork, wanted, n.name, n.project); ok {
			seen.Found[ref] = drift.Found{Ref: ref, ID: n.id, Owned: n.project == t.project, State: drift.Present, Fields: n.fields}
		}
	}
}

func (t *Target) observeVolumes(want spec.Desired, seen drift.Observed) {
	wanted := map[string]spec.Ref{}
	for _, v := range spec.Resources[*spec.Volume](want) {
		wanted[v.Name] = v.Ref()
	}
	for _, v := range t.engine.volumes {
		if ref, ok := t.refOf(spec.KindVolume, wanted, v.name, v.project); ok {
			seen.Found[ref] = drift.Found{Ref: ref, ID: v.name, Owned: v.project == t.project, State: drift.Present, Fields: v.fields}
		}
	}
}

// refOf tells what a network or volume is found as, if anything: what has a wanted
// name, or else is the project's.
func (t *Target) refOf(kind spec.Kind, wanted map[string]spec.Ref, name, project string) (spec.Ref, bool) {
	if ref, ok := wanted[name]; ok {
		return ref, true
	}
	return spec.Ref{Kind: kind, Name: name}, project == t.project
}

// observeServices finds the project's containers, and foreign ones that have the name
// of one that is missing.
func (t *Target) observeServices(want spec.Desired, seen drift.Observed) {
	for ref, c := range t.identify(want) {
		seen.Found[ref] = t.found(ref, c, want)
	}
	for _, s := range spec.Resources[*spec.Service](want) {
		if _, there := seen.Found[s.Ref()]; there {
			continue
		}
		if c := t.engine.byName(s.Container); c != nil && c.project != t.project {
			seen.Found[s.Ref()] = drift.Found{Ref: s.Ref(), ID: c.id, State: c.state}
		}
	}
}

// identify tells what the project's containers are found as. After a crash in the
// middle of a replacement there are leftovers:
//
//	X and X.next   X.next was never used: it is an extra
//	X.prev alone   X is lost, or not made yet: it is found as X
//	X and X.prev   X may fail yet: X.prev is an extra
func (t *Target) identify(want spec.Desired) map[spec.Ref]*container {
	all := slices.DeleteFunc(t.engine.ordered(), func(c *container) bool { return c.project != t.project })
	replaced := map[string]bool{}
	for _, c := range all {
		replaced[c.replaces] = replaced[c.replaces] || suffixOf(c) != nextSuffix
	}
	slices.SortStableFunc(all, func(a, b *container) int { return cmp.Compare(rank(a, want), rank(b, want)) })
	found := map[spec.Ref]*container{}
	for _, c := range all {
		ref, suffix := c.ref(), suffixOf(c)
		_, taken := found[ref]
		switch {
		case suffix == nextSuffix:
			ref.Name += nextSuffix
		case suffix == prevSuffix && (taken || replaced[c.id]):
			ref.Name += prevSuffix
		case taken:
			ref.Name = c.name
		}
		found[ref] = c
	}
	return found
}

// rank orders the containers of one instance: the one that has the name it should
// have, then others, then leftovers.
func rank(c *container, want spec.Desired) int {
	s, ok := want.Find(c.ref()).(*spec.Service)
	switch {
	case ok && s.Container == c.name:
		return 0
	case suffixOf(c) == "":
		return 1
	}
	return 2
}

// suffixOf gives the suffix of a container that a replacement named, or "".
func suffixOf(c *container) string {
	for _, suffix := range []string{nextSuffix, prevSuffix} {
		if strings.HasSuffix(c.name, suffix) {
			return suffix
		}
	}
	return ""
}

// found describes a container as it is now.
func (t *Target) found(ref spec.Ref, c *container, want spec.Desired) drift.Found {
	now := c.spec
	now.Container = c.name
	f := drift.Found{Ref: ref, ID: c.id, Owned: true, State: c.state, Fields: now.Fields(), Image: c.image, Since: c.since, ExitCode: c.exitCode}
	if i := t.engine.images[c.spec.Image]; i != nil && i.id != c.image {
		f.Fields["image"] = spec.Plain(c.spec.Image + " (" + c.image + ")")
	}
	for name, id := range c.attached {
		if t.engine.networks[id] == nil {
			f.Fields["network."+name] = spec.Plain("a network that is gone") // it would not start
		}
	}
	for attribute, in := range c.inside {
		host := t.engine.containers[in.id]
		if host == nil || suffixOf(host) != "" || c.starts > 0 && host.starts != in.starts {
			f.Fields[attribute] = spec.Plain("container:" + in.id)
		}
	}
	if s, ok := want.Find(ref).(*spec.Service); ok && s.Job && c.state == drift.Exited && c.exitCode == 0 {
		f.State = drift.Done
	}
	if suffixOf(c) == prevSuffix && f.State == drift.Done {
		f.State = drift.Exited // the job it was is to be done anew
	}
	return f
}
