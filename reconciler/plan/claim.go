package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// claim is something that only one thing of its kind can have at a time.
type claim struct {
	what  string // "the name", "host port", "the address", "the volume", "the subnet"
	value string
	host  string // of a port: the host's address, "" for all of them
}

func (c claim) String() string {
	if c.host != "" {
		return c.what + " " + c.host + ":" + c.value
	}
	return c.what + " " + c.value
}

// excludes tells whether two claims cannot be met at the same time.
func (c claim) excludes(o claim) bool {
	if c.what != o.what {
		return false
	}
	if c.what == "the subnet" {
		return overlap(c.value, o.value)
	}
	return c.value == o.value && (c.host == o.host || c.host == "" || o.host == "")
}

func overlap(a, b string) bool {
	x, errX := netip.ParsePrefix(a)
	y, errY := netip.ParsePrefix(b)
	return errX == nil && errY == nil && x.Overlaps(y)
}

// contested gives the first of the claims in need that one of those in given excludes.
func contested(need, given []claim) (claim, bool) {
	for _, c := range need {
		if slices.ContainsFunc(given, c.excludes) {
			return c, true
		}
	}
	return claim{}, false
}

// needs are the claims of what a change makes or starts.
func needs(c Change) []claim {
	switch c := c.(type) {
	case Create:
		return claims(c.Want.Ref(), c.Want.Fields())
	case Replace:
		return claims(c.Want.Ref(), c.Want.Fields())
	case Update:
		return claims(c.Want.Ref(), c.Want.Fields())
	case Start:
		return claims(c.Want.Ref(), c.Want.Fields())
	}
	return nil
}

// gives are the claims that a change gives up.
func gives(c Change) []claim {
	switch c := c.(type) {
	case Remove:
		return occupies(c.Have)
	case Replace:
		return less(occupies(c.Have), needs(c))
	case Update:
		return less(occupies(c.Have), needs(c))
	}
	return nil
}

func less(all, kept []claim) []claim {
	return slices.DeleteFunc(all, func(c claim) bool { return slices.Contains(kept, c) })
}

// occupies lists the claims of a thing as it is: a container that does not run holds
// nothing but its name, unless it was stopped for another that is yet to take over.
func occupies(f drift.Found) []claim {
	switch f.State {
	case drift.Created, drift.Exited, drift.Done:
		if f.Handing {
			break
		}
		return claims(f.Ref, spec.Fields{"name": f.Fields["name"]})
	}
	return claims(f.Ref, f.Fields)
}

// claims lists, in order, what a thing of these fields needs for itself alone.
func claims(ref spec.Ref, f spec.Fields) []claim {
	var all []claim
	for _, field := range slices.Sorted(maps.Keys(f)) {
		switch ref.Kind {
		case spec.KindService:
			all = append(all, serviceClaims(field, f)...)
		case spec.KindNetwork:
			if n := strings.TrimPrefix(field, "subnet."); n != field && !strings.Contains(n, ".") {
				all = append(all, claim{what: "the subnet", value: f[field].String()})
			}
		}
	}
	return all
}

func serviceClaims(field string, f spec.Fields) []claim {
	value := f[field].String()
	switch {
	case field == "name":
		return []claim{{what: "the name", value: value}}
	case strings.HasPrefix(field, "port."):
		_, protocol, _ := strings.Cut(field, "/")
		return portClaims(value, protocol)
	case strings.HasPrefix(field, "network.") && (strings.HasSuffix(field, ".ipv4") || strings.HasSuffix(field, ".ipv6")):
		return []claim{{what: "the address", value: value}}
	case strings.HasPrefix(field, "mount.") && value == string(spec.MountVolume):
		source := f[field+".source"]
		if source.IsZero() || !f[field+".read_only"].IsZero() {
			return nil
		}
		return []claim{{what: "the volume", value: source.String()}}
	}
	return nil
}

// portClaims reads the host side of a published port: "127.0.0.1:5432, 5433". Where the
// engine chooses, freely or within a range, it chooses what is free.
func portClaims(value, protocol string) []claim {
	var all []claim
	for _, published := range strings.Split(value, ", ") {
		colon := strings.LastIndex(published, ":")
		host, port := published[:max(colon, 0)], published[colon+1:]
		if port == "any" || strings.Contains(port, "-") {
			continue
		}
		if host == "0.0.0.0" || host == "[::]" {
			host = ""
		}
		all = append(all, claim{"host port", fmt.Sprintf("%s/%s", port, protocol), host})
	}
	return all
}
