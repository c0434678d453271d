package compose

import (
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/format"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// checkServices looks into what Compose writes as a text with parts of its own.
func (l *load) checkServices(s section) {
	services, _ := get(s.node, "services")
	for _, m := range members(services.value) {
		if s.base != "" && m.key.Value != s.base {
			continue
		}
		if ports, ok := get(m.value, "ports"); ok {
			l.eachText(s, ports.value, l.checkPort)
		}
		if volumes, ok := get(m.value, "volumes"); ok {
			l.eachText(s, volumes.value, l.checkVolume)
		}
		if own, ok := get(m.value, "x-flumen"); ok {
			l.checkOwn(s, own.value, ownValues)
		}
		l.checkUnits(s, m.value)
	}
	configs, _ := get(s.node, "configs")
	for _, m := range members(configs.value) {
		if own, ok := get(m.value, "x-flumen"); ok {
			l.checkOwn(s, own.value, map[string][]string{"interpolate": {"true", "false"}})
		}
	}
	secrets, _ := get(s.node, "secrets")
	for _, m := range members(secrets.value) {
		if own, ok := get(m.value, "x-flumen"); ok {
			l.checkCommand(s, own.value)
		}
	}
}

// eachText calls check with every text of a list, variables put in.
func (l *load) eachText(s section, list *yaml.Node, check func(at place, text string)) {
	for _, item := range follow(list).Content {
		if item = follow(item); item.Kind != yaml.ScalarNode {
			continue
		}
		if text, err := template.Substitute(item.Value, s.env.lookup); err == nil {
			check(s.doc.at(item), text)
		}
	}
}

func (l *load) checkPort(at place, text string) {
	if _, err := types.ParsePortConfig(text); err != nil {
		l.fault(at, `write it as in "127.0.0.1:8080:80"`, "%q is not a port: %v", text, err)
		l.broken = true
	}
}

// volumeOptions are those of the short form; cached, delegated and consistent
// are hints for other systems that Compose ignores as well.
var volumeOptions = slices.Concat([]string{"ro", "rw", "nocopy", "cached", "delegated", "consistent", "z", "Z"}, format.Propagations)

func (l *load) checkVolume(at place, text string) {
	if _, err := format.ParseVolume(text); err != nil {
		l.fault(at, `write it as in "data:/var/lib/data:ro"`, "%q is not a volume: %v", text, err)
		l.broken = true
		return
	}
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 3 {
		return
	}
	for option := range strings.SplitSeq(parts[2], ",") {
		if !slices.Contains(volumeOptions, option) {
			l.fault(at, didYouMean(option, volumeOptions), "volume option %q: this version of flumen-agent cannot do this yet", option)
		}
	}
}

// A time or a size is a text to the schema.
var (
	times = []string{"stop_grace_period", "healthcheck.interval", "healthcheck.timeout", "healthcheck.start_period", "healthcheck.start_interval"}
	sizes = []string{"mem_limit", "memswap_limit", "mem_reservation", "shm_size", "deploy.resources.limits.memory", "deploy.resources.reservations.memory"}
)

func (l *load) checkUnits(s section, service *yaml.Node) {
	for _, path := range times {
		l.checkText(s, valueOf(service, strings.Split(path, ".")), "a time", "write it as in 10s or 1m30s", func(text string) error {
			return new(types.Duration).DecodeMapstructure(text)
		})
	}
	for _, path := range sizes {
		l.checkText(s, valueOf(service, strings.Split(path, ".")), "a size", "write it as in 512m or 2g", func(text string) error {
			return new(types.UnitBytes).DecodeMapstructure(text)
		})
	}
	hosts := valueOf(service, []string{"extra_hosts"})
	if list := follow(hosts); list != nil && list.Kind == yaml.SequenceNode {
		for _, item := range list.Content {
			l.checkText(s, item, "a host with its address", `write it as in "name:10.0.0.1"`, func(text string) error {
				_, err := types.NewHostsList([]string{text})
				return err
			})
		}
	}
}

// checkText says that a text is not what is wanted, if check says so.
func (l *load) checkText(s section, n *yaml.Node, wanted, hint string, check func(string) error) {
	if n = follow(n); n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return
	}
	text, err := template.Substitute(n.Value, s.env.lookup)
	if at := s.doc.at(n); err == nil && check(text) != nil && !l.has(at) {
		l.fault(at, hint, "%q is not %s", text, wanted)
		l.broken = true
	}
}

// ownValues are the values of x-flumen in a service.
var ownValues = map[string][]string{
	"heal":             {"none", "restart"},
	"on_config_change": {"recreate", "none"},
	"rollback":         {"auto", "none"},
	"job":              {"true", "false"},
}

func (l *load) checkOwn(s section, n *yaml.Node, values map[string][]string) {
	if n = follow(n); n.Kind != yaml.MappingNode {
		l.fault(s.doc.at(n), "", "x-flumen must be a mapping")
		l.broken = true
		return
	}
	for _, m := range members(n) {
		allowed, known := values[m.key.Value]
		text, err := template.Substitute(follow(m.value).Value, s.env.lookup)
		if known && err == nil && !slices.Contains(allowed, text) {
			l.fault(s.doc.at(m.value), "", "x-flumen.%s must be %s", m.key.Value, strings.Join(allowed, " or "))
			l.broken = true
		}
	}
}
