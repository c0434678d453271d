package compose

import (
	"maps"
	"reflect"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// adopt finds what one tier calls external and another one makes, and what two
// tiers make under different keys: it is one thing, and gets one key.
func (l *load) adopt(models []model) {
	l.partDefaults(models)
	for _, kind := range []string{"networks", "volumes"} {
		own := l.own(kind, models)
		for _, m := range models {
			for _, key := range slices.Sorted(maps.Keys(m.of(kind))) {
				if maker, made := own[l.resolved(key, m.of(kind)[key])]; made {
					l.adoptOne(m, kind, key, maker)
				}
			}
		}
	}
}

// adoptOne makes a model use what another one makes in the place of its own
// declaration.
func (l *load) adoptOne(m model, kind, key string, maker owner) {
	declared := m.of(kind)[key]
	if maker.key == key && (maker.tier == m.tier || !external(declared)) {
		return // it is the maker's own, or join compares the two
	}
	if !external(declared) && !same(declared, maker.declared) {
		l.fault(l.where(m.tier, kind, key), "make them alike, or give it another name", "%s.%s is called %s as %s.%s is at %s, and differs",
			kind, key, l.resolved(key, declared), kind, maker.key, l.where(maker.tier, kind, maker.key))
		return
	}
	delete(m.of(kind), key)
	m.rename(kind, key, maker.key)
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
	if kind == "networks" && makesDefault(models) {
		own[l.project+"_default"] = owner{common, "default", nil}
	}
	return own
}

// makesDefault tells whether the project has a default network that no file
// declares.
func makesDefault(models []model) bool {
	return slices.ContainsFunc(models, model.usesImplicitDefault) && !slices.ContainsFunc(models, func(m model) bool {
		declared, ok := m.of("networks")["default"]
		return ok && !external(declared)
	})
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
				if networks[to] == nil {
					networks[to] = settings
				}
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
	if kind == "networks" && from == "default" {
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

// partDefaults gives the default network of a tier's files a key of its own, if
// it is not the one that services of other tiers mean when they name none.
func (l *load) partDefaults(models []model) {
	if !slices.ContainsFunc(models, model.usesImplicitDefault) {
		return
	}
	for _, m := range models {
		declared, ok := m.of("networks")["default"]
		if m.tier == common && ok {
			return // it is everybody's
		}
		name := l.resolved("default", declared)
		if _, taken := m.of("networks")[name]; !ok || taken || name == l.project+"_default" {
			continue
		}
		m.of("networks")[name] = named(declared, name)
		delete(m.of("networks"), "default")
		m.rename("networks", "default", name)
	}
}

// named is a declaration with its name on the engine, which its key says no more.
func named(declared any, name string) map[string]any {
	one := map[string]any{"name": name}
	settings, _ := declared.(map[string]any)
	maps.Copy(one, settings)
	return one
}
