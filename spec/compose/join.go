package compose

import (
	"context"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// model is what compose-go made of one tier: Compose's canonical form, not yet
// normalised.
type model struct {
	tier    int
	content map[string]any
}

// kinds are the sections of a Compose file that are shared between tiers.
var kinds = []string{"networks", "volumes", "configs", "secrets"}

func (m model) of(kind string) map[string]any {
	section, _ := m.content[kind].(map[string]any)
	return section
}

// joined is what is known about the origin of things after the tiers were joined.
type joined struct {
	tierOf map[string]int            // of each service
	from   map[string]map[string]int // kind, name: the tier that declares it
}

// compose is the second pass: compose-go loads every tier apart; what they say is
// joined, normalised, and read as one project.
func (l *load) compose(ctx context.Context) (*types.Project, bool) {
	models, ok := l.models(ctx)
	if !ok {
		return nil, false
	}
	l.adopt(models)
	dict := l.join(models)
	dict["name"] = l.project
	details := l.details()
	details.Environment["COMPOSE_PROJECT_NAME"] = l.project
	dict, err := loader.Normalize(dict, details.Environment)
	if err != nil {
		l.composeFault(common, err)
		return nil, false
	}
	opts := loader.ToOptions(&details, []func(*loader.Options){l.setOptions})
	project, err := loader.ModelToProject(dict, opts, details)
	if err != nil {
		l.composeFault(common, err)
		return nil, false
	}
	return project, true
}

func (l *load) setOptions(o *loader.Options) {
	o.SetProjectName(l.project, true)
	o.Profiles = l.options.Profiles
	o.ResolvePaths = true
	o.SkipNormalization = true
	o.SkipConsistencyCheck = true   // ours comes later, over all tiers
	o.SkipValidation = true         // done, with positions
	o.SkipResolveEnvironment = true // so are env files, one by one
	o.SkipResolveLabels = true
}

// models loads each tier, and what stands beside the tiers.
func (l *load) models(ctx context.Context) ([]model, bool) {
	var all []model
	ok := true
	for _, in := range l.inputs() {
		details := l.details()
		details.ConfigFiles = []types.ConfigFile{in.file}
		content, err := loader.LoadModelWithContext(ctx, details, l.setOptions)
		if err != nil {
			l.composeFault(in.tier, err)
			ok = false
			continue
		}
		all = append(all, model{in.tier, content})
	}
	return all, ok
}

// input is what compose-go gets to read for one tier.
type input struct {
	tier int
	file types.ConfigFile
}

// inputs makes a Compose file of each tier and one of what stands beside them. A
// plain Compose file is handed over as it is.
func (l *load) inputs() []input {
	n := l.main.roots[0]
	tiers, tiered := get(n, "tiers")
	if !tiered {
		return []input{{0, types.ConfigFile{Filename: l.file, Content: l.main.content}}}
	}
	var all []input
	add := func(tier int, n *yaml.Node, keys ...string) {
		if content := l.pick(n, keys); len(content) > 0 {
			all = append(all, input{tier, types.ConfigFile{Filename: l.file, Config: content}})
		}
	}
	add(common, n, kinds...)
	for i, one := range follow(tiers.value).Content {
		add(i, one, "services", "include")
	}
	return all
}

// pick takes some keys of a mapping, with variables as they are.
func (l *load) pick(n *yaml.Node, keys []string) map[string]any {
	p := plainer{doc: l.main, left: maxNodes, f: &l.findings}
	content := map[string]any{}
	for _, key := range keys {
		if m, ok := get(n, key); ok && !emptyNode(m.value) {
			content[key] = p.value(m.value, nil)
		}
	}
	return content
}

// adopt finds what one tier calls external and another one makes, and what two
// tiers make under different keys: it is one thing, and gets one key.
func (l *load) adopt(models []model) {
	for _, kind := range []string{"networks", "volumes"} {
		own := l.own(kind, models)
		for _, m := range models {
			for key, declared := range m.of(kind) {
				owner, made := own[l.resolved(key, declared)]
				if !made || owner.key == key && owner.tier == m.tier {
					continue
				}
				if !external(declared) && (owner.key == key || !same(declared, owner.declared)) {
					continue
				}
				delete(m.of(kind), key)
				m.rename(kind, key, owner.key)
			}
		}
	}
}

// owner says who makes a network or volume, and under which key.
type owner struct {
	tier     int
	key      string
	declared any
}

// own are the networks or volumes that the project makes, by their names on the
// engine. The first tier that declares one makes it.
func (l *load) own(kind string, models []model) map[string]owner {
	own := map[string]owner{}
	for _, m := range models {
		for _, key := range slices.Sorted(maps.Keys(m.of(kind))) {
			declared := m.of(kind)[key]
			name := l.resolved(key, declared)
			if _, taken := own[name]; !taken && !external(declared) {
				own[name] = owner{m.tier, key, declared}
			}
		}
	}
	name := l.project + "_default"
	if _, taken := own[name]; kind == "networks" && !taken && slices.ContainsFunc(models, model.usesImplicitDefault) {
		own[name] = owner{common, "default", nil}
	}
	return own
}

// resolved is the name on the engine.
func (l *load) resolved(key string, declared any) string {
	one, _ := declared.(map[string]any)
	if name, ok := one["name"].(string); ok && name != "" {
		return name
	}
	if external(declared) {
		return key
	}
	return l.project + "_" + key
}

func external(declared any) bool {
	one, _ := declared.(map[string]any)
	yes, _ := one["external"].(bool)
	return yes
}

// same compares two declarations of one thing; nothing said is an empty mapping.
func same(a, b any) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	return len(x) == 0 && len(y) == 0 || reflect.DeepEqual(x, y)
}

// usesImplicitDefault: a service of it is on the default network, which the
// model does not declare.
func (m model) usesImplicitDefault() bool {
	if _, declared := m.of("networks")["default"]; declared {
		return false
	}
	for _, one := range m.of("services") {
		service, _ := one.(map[string]any)
		networks, _ := service["networks"].(map[string]any)
		_, named := networks["default"]
		_, mode := service["network_mode"]
		if named || len(networks) == 0 && !mode {
			return true
		}
	}
	return false
}

// rename makes the services of a model use another key.
func (m model) rename(kind, from, to string) {
	if from == to {
		return
	}
	for _, one := range m.of("services") {
		service, _ := one.(map[string]any)
		if networks, ok := service["networks"].(map[string]any); ok && kind == "networks" {
			if settings, used := networks[from]; used {
				delete(networks, from)
				networks[to] = settings
			}
		}
		volumes, _ := service["volumes"].([]any)
		for _, v := range volumes {
			volume, _ := v.(map[string]any)
			if kind == "volumes" && volume["type"] == types.VolumeTypeVolume && volume["source"] == from {
				volume["source"] = to
			}
		}
	}
	if _, implicit := m.of(kind)["default"]; kind == "networks" && from == "default" && !implicit {
		m.attachImplicit(to)
	}
}

// attachImplicit puts services that name no network onto the one that their
// file calls its default.
func (m model) attachImplicit(to string) {
	for _, one := range m.of("services") {
		service, _ := one.(map[string]any)
		networks, _ := service["networks"].(map[string]any)
		if _, mode := service["network_mode"]; service != nil && len(networks) == 0 && !mode {
			service["networks"] = map[string]any{to: nil}
		}
	}
}

// join makes one model of all. What is declared twice has to be declared alike;
// a service belongs to one tier.
func (l *load) join(models []model) map[string]any {
	sum := map[string]any{}
	l.joined = joined{tierOf: map[string]int{}, from: map[string]map[string]int{}}
	for _, kind := range append([]string{"services"}, kinds...) {
		all := map[string]any{}
		l.joined.from[kind] = map[string]int{}
		for _, m := range models {
			l.joinKind(kind, m, all)
		}
		if len(all) > 0 || kind == "services" {
			sum[kind] = all
		}
	}
	l.joined.tierOf = l.joined.from["services"]
	return sum
}

func (l *load) joinKind(kind string, m model, all map[string]any) {
	from := l.joined.from[kind]
	for _, name := range slices.Sorted(maps.Keys(m.of(kind))) {
		declared := m.of(kind)[name]
		have, twice := all[name]
		if !twice {
			all[name], from[name] = declared, m.tier
			continue
		}
		first, second := l.where(from[name], kind, name), l.where(m.tier, kind, name)
		switch {
		case kind == "services":
			l.fault(second, "rename one of them", "service %q is in two tiers: it is already declared at %s", name, first)
		case !same(have, declared):
			l.fault(second, "make them alike, or rename one of them", "%s.%s is declared differently at %s", kind, name, first)
		}
	}
}

var (
	namesPath    = regexp.MustCompile(`(services|networks|volumes|configs|secrets)\.([\w-]+)((?:\.[\w-]+|\[\d+\])*)`)
	namesService = regexp.MustCompile(`service "?([\w.-]+)"?`)
)

// composeFault is what compose-go found, put where its words point to.
func (l *load) composeFault(tier int, err error) {
	says := strings.TrimPrefix(err.Error(), l.file+": ")
	at := l.where(tier, "services")
	if m := namesPath.FindStringSubmatch(says); m != nil {
		path := append([]string{m[1], m[2]}, strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune(".[]", r) })...)
		at = l.where(tier, path...)
	} else if m := namesService.FindStringSubmatch(says); m != nil {
		at = l.where(tier, "services", m[1])
	}
	l.fault(at, "", "%s", says)
}
