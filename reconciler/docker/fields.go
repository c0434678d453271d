package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/flumendata/flumen-agent/spec"
)

// knowledge is what one look at the engine learns besides the containers.
type knowledge struct {
	engine     facts
	refs       map[string]spec.Ref  // what the project's containers are found as, by ID
	services   map[string]string    // by the ID and the name of its container
	started    map[string]time.Time // the project's containers, by ID
	handing    map[string]bool      // those that were handing over when a run broke off, by ID
	networks   map[string]bool      // by ID; nil if they could not be listed
	images     map[string]imageInfo // by ID
	references map[string]string    // image IDs by the reference that names them now
}

// imageInfo is what an image gives to its containers.
type imageInfo struct {
	id         string
	platform   string
	entrypoint []string
	command    []string
	volumes    map[string]struct{}
	defaults   spec.Fields
}

// describe gives the fields of a container as they are to be compared with want, and
// those that cannot be told, with the reason. Without a want it gives all there are.
func describe(c container.InspectResponse, want *spec.Service, k knowledge, digests *digests) (spec.Fields, map[string]string) {
	found := read(c, k.services)
	f := found.Fields()
	hideAgain(f, c.Config.Labels)
	setAliases(f, found, want)
	setBroken(f, c, k)
	if want == nil {
		return f, nil
	}
	blind := map[string]string{}
	setImage(f, c, want, k, blind)
	digests.set(f, c, found, want, blind)
	dropDefaults(f, c, want, k, blind)
	follow(f, want.Fields())
	setCleared(f, c, want, k.images[c.Image])
	return f, blind
}

// setCleared shows that the image's entrypoint or command was taken away from a container
// where the spec leaves it to the image: nothing would be seen of it otherwise.
func setCleared(f spec.Fields, c container.InspectResponse, want *spec.Service, info imageInfo) {
	if want.Entrypoint != nil {
		return
	}
	if len(c.Config.Entrypoint) == 0 && len(info.entrypoint) > 0 {
		f["entrypoint"] = spec.Plain("[]")
	}
	if want.Command == nil && len(c.Config.Cmd) == 0 && len(info.command) > 0 {
		f["command"] = spec.Plain("[]")
	}
}

// setAliases corrects what Service.Fields adds by itself: the service's name is an
// alias only if the engine has it. The host name, which the engine adds, and the
// container's name, which Compose adds, are the service's only if it asks for them or is
// called so itself.
func setAliases(f spec.Fields, found, want *spec.Service) {
	for _, a := range found.Networks {
		aliases := slices.DeleteFunc(slices.Clone(a.Aliases), func(alias string) bool {
			added := alias == found.Container || alias == found.Hostname
			return added && alias != found.Name && !hasAlias(want, a.Name, alias)
		})
		field := "network." + a.Name + ".aliases"
		if len(aliases) == 0 {
			delete(f, field)
			continue
		}
		f[field] = jsonList(aliases)
	}
}

// setBroken shows that a container hangs on what is gone: a stopped one does not start
// when its network was made anew under the same name, and one that runs in the namespace
// of a container that was restarted since is cut off from it.
func setBroken(f spec.Fields, c container.InspectResponse, k knowledge) {
	for _, name := range staleNetworks(c, k.networks) {
		f["network."+name] = spec.Plain("a network that is gone")
	}
	for field, mode := range map[string]string{
		"network_mode": string(c.HostConfig.NetworkMode), "pid": string(c.HostConfig.PidMode), "ipc": string(c.HostConfig.IpcMode),
	} {
		id, shared := strings.CutPrefix(mode, "container:")
		if shared && c.State.Running && k.started[id].After(startedAt(c)) {
			f[field] = spec.Plain(f[field].String() + " as it was before it restarted")
		}
	}
}

// staleNetworks gives the names of the networks that a container was on and that are not
// there any more. A container that never started has none: it looks for them by name.
func staleNetworks(c container.InspectResponse, there map[string]bool) []string {
	var stale []string
	if c.NetworkSettings == nil || there == nil {
		return nil
	}
	for name, e := range c.NetworkSettings.Networks {
		if e != nil && e.NetworkID != "" && !there[e.NetworkID] {
			stale = append(stale, name)
		}
	}
	slices.Sort(stale)
	return stale
}

func hasAlias(s *spec.Service, network, alias string) bool {
	return s != nil && slices.ContainsFunc(s.Networks, func(a spec.Attachment) bool {
		return a.Name == network && slices.Contains(a.Aliases, alias)
	})
}

func jsonList(items []string) spec.Value {
	sorted := slices.Sorted(slices.Values(items))
	text, _ := json.Marshal(slices.Compact(sorted)) // strings marshal
	return spec.Plain(string(text))
}

// setImage compares images by what they are: the container has the image that is
// wanted if the wanted reference names its ID now.
func setImage(f spec.Fields, c container.InspectResponse, want *spec.Service, k knowledge, blind map[string]string) {
	current := k.references[want.Image]
	switch {
	case c.Image == current:
		f["image"] = spec.Plain(want.Image)
	case c.Config.Image != want.Image:
		// As it is: another image was asked for.
	case current == "":
		delete(f, "image")
		blind["image"] = "no image " + want.Image + " is on the engine to compare with"
	default:
		f["image"] = spec.Plain(fmt.Sprintf("%s (%s, moved)", want.Image, short(c.Image)))
	}
	if want.Platform == "" {
		return
	}
	info, ok := k.images[c.Image]
	if !ok {
		blind["platform"] = "the image of the container is gone"
		return
	}
	f["platform"] = spec.Plain(info.platform)
}

// dropDefaults takes out what want leaves to the image and the engine, as far as the
// container has it from there.
//
// A container of ours remembers which fields were asked for. What was not, and cannot
// be changed in a container that exists, is a default, whatever it says. All else is
// held against the image and the engine.
func dropDefaults(f spec.Fields, c container.InspectResponse, want *spec.Service, k knowledge, blind map[string]string) {
	wanted := want.Fields()
	asked, known := askedFor(c)
	info, imageKnown := k.images[c.Image]
	for _, name := range f.Names() {
		_, named := wanted[name]
		switch {
		case named, name == "command" && len(want.Entrypoint) > 0: // an entrypoint clears the image's command
		case !known && strings.HasPrefix(name, "logging.") && c.HostConfig.LogConfig.Type == k.engine.logging:
			delete(f, name) // from the engine's configuration, as far as anybody can tell
		case known && !asked[name] && !mutable(name),
			k.engine.gives(name, f[name].Reveal(), c),
			imageKnown && info.defaults[name].Equal(f[name]):
			delete(f, name)
		case !imageKnown && !known && fromImage(name):
			blind[name] = "the image of the container is gone, so it cannot be told whether it came from there"
		}
	}
}

// askedFor reads the names of the fields a container of ours was made with.
func askedFor(c container.InspectResponse) (map[string]bool, bool) {
	label, ok := c.Config.Labels[labelFields]
	asked := map[string]bool{}
	for name := range strings.SplitSeq(label, "\n") {
		asked[name] = true
	}
	return asked, ok
}

// mutable tells whether a field can change while the container exists.
func mutable(name string) bool {
	switch name {
	case "name", "restart", "cpus", "mem_limit", "memswap_limit", "mem_reservation", "pids_limit":
		return true
	}
	return strings.HasPrefix(name, "network.")
}

// fromImage tells whether an image can give a field to its containers.
func fromImage(name string) bool {
	switch name {
	case "entrypoint", "command", "user", "working_dir", "stop_signal":
		return true
	}
	kind, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"env", "label", "healthcheck", "mount"}, kind)
}

// follow gives found values the spelling of wanted ones that mean the same.
func follow(found, want spec.Fields) {
	names := slices.Collect(maps.Keys(want))
	names = slices.AppendSeq(names, maps.Keys(found))
	for _, name := range names {
		w, comparable := canonical(name, want[name].Reveal())
		h, _ := canonical(name, found[name].Reveal())
		if !comparable || w != h {
			continue
		}
		if value, named := want[name]; named {
			found[name] = value
		} else {
			delete(found, name)
		}
	}
}
