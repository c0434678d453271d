package compose

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"golang.org/x/sync/errgroup"
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
	tierOf map[string]int             // of each service
	from   map[string]map[string]int  // kind, name: the tier that declares it
	asked  map[string]map[string]bool // service, service: in its depends_on
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

// models loads each tier, and what stands beside the tiers, side by side.
func (l *load) models(ctx context.Context) ([]model, bool) {
	inputs := l.inputs()
	all, errs := make([]model, len(inputs)), make([]error, len(inputs))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, in := range inputs {
		group.Go(func() error {
			all[i], errs[i] = l.model(ctx, in)
			return nil
		})
	}
	_ = group.Wait() // the errors are kept one by one
	ok := true
	for i, err := range errs {
		if err != nil {
			l.composeFault(inputs[i].tier, err)
			ok = false
		}
	}
	return all, ok
}

func (l *load) model(ctx context.Context, in input) (m model, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot be read: %v", p)
		}
	}()
	details := l.details()
	details.ConfigFiles = []types.ConfigFile{in.file}
	content, err := loader.LoadModelWithContext(ctx, details, l.setOptions, func(o *loader.Options) {
		o.SkipInterpolation = in.filled
	})
	return model{in.tier, content}, err
}

// input is what compose-go gets to read for one tier.
type input struct {
	tier   int
	file   types.ConfigFile
	filled bool // variables are put in already
}

// inputs makes a Compose file of each tier and one of what stands beside them. A
// section that is whole is handed over as the first pass has read it, which
// saves a third of the time; others as nodes or text that compose-go has to
// follow further.
func (l *load) inputs() []input {
	_, tiered := get(l.main.roots[0], "tiers")
	var all []input
	for _, s := range l.sections {
		if s.doc != l.main || s.base != "" {
			continue
		}
		in := input{tier: s.tier, file: types.ConfigFile{Filename: l.file}, filled: s.whole()}
		switch {
		case in.filled:
			in.file.Config = s.plain
		case tiered:
			in.file.Config = l.raw(s)
		default:
			in.file.Content = l.main.content
		}
		if in.file.Content != nil || says(in.file.Config) {
			all = append(all, in)
		}
	}
	return all
}

// says tells whether there is anything for compose-go to load.
func says(content map[string]any) bool {
	return slices.ContainsFunc(slices.Concat(kinds, []string{"services", "include"}), func(key string) bool {
		return content[key] != nil
	})
}

// raw is a tier with its variables as they are.
func (l *load) raw(s section) map[string]any {
	p := plainer{doc: s.doc, left: maxNodes, f: &l.findings}
	content := map[string]any{}
	for _, key := range []string{"services", "include"} {
		if m, ok := get(s.node, key); ok && !emptyNode(m.value) {
			content[key] = p.value(m.value, nil)
		}
	}
	return content
}

// join makes one model of all. What is declared twice has to be declared alike;
// a service belongs to one tier.
func (l *load) join(models []model) map[string]any {
	sum := map[string]any{}
	l.joined = joined{from: map[string]map[string]int{}, asked: map[string]map[string]bool{}}
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
	l.rememberDepends(sum)
	return sum
}

// rememberDepends keeps what files say in depends_on: normalising adds to it.
func (l *load) rememberDepends(sum map[string]any) {
	services, _ := sum["services"].(map[string]any)
	for name, one := range services {
		service, _ := one.(map[string]any)
		on, _ := service["depends_on"].(map[string]any)
		l.joined.asked[name] = map[string]bool{}
		for other := range on {
			l.joined.asked[name][other] = true
		}
	}
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
