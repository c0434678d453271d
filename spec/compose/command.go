package compose

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// command is the program that a secret comes from, with its arguments (x-flumen.command).
func (h handout) command() (words []string) {
	own, _ := h.object.Extensions["x-flumen"].(map[string]any)
	list, _ := own["command"].([]any)
	for _, word := range list {
		words = append(words, fmt.Sprint(word))
	}
	return words
}

// checkCommand looks at x-flumen of a secret.
func (l *load) checkCommand(s section, n *yaml.Node) {
	if n = follow(n); n.Kind != yaml.MappingNode {
		l.fault(s.doc.at(n), "", "x-flumen must be a mapping")
		l.broken = true
		return
	}
	command, ok := get(n, "command")
	if !ok {
		return
	}
	list := follow(command.value)
	texts := list.Kind == yaml.SequenceNode && len(list.Content) > 0
	for _, item := range list.Content {
		texts = texts && follow(item).Kind == yaml.ScalarNode
	}
	if !texts {
		l.fault(s.doc.at(list), "write it as in [vault, kv, get, -field=password, secret/db]: there is no shell", "x-flumen.command must be a list of a program and its arguments")
		l.broken = true
	}
}

// runCommands runs the programs that the secrets of active services come from, each once.
func (l *load) runCommands(ctx context.Context, p *types.Project) bool {
	used := map[string]bool{}
	for _, s := range p.Services {
		for _, ref := range s.Secrets {
			used[ref.Source] = true
		}
	}
	ok := true
	for _, name := range slices.Sorted(maps.Keys(used)) {
		words := handout{object: types.FileObjectConfig(p.Secrets[name])}.command()
		if len(words) > 0 && !l.runCommand(ctx, name, words) {
			ok = false
		}
	}
	return ok
}

func (l *load) runCommand(ctx context.Context, name string, words []string) bool {
	at := l.where(l.joined.from["secrets"][name], "secrets", name, "x-flumen", "command")
	if l.options.Command == nil {
		l.fault(at, "start the agent with --allow-secret-commands if whoever writes this file may run programs as its user",
			"secrets.%s comes from a command, and commands are not allowed", name)
		return false
	}
	output, err := l.options.Command(ctx, words)
	if err != nil {
		l.passing(at, "", "the command of secrets.%s: %v", name, err)
		return false
	}
	l.secret(strings.TrimSpace(output))
	l.outputs[name] = output
	return true
}
