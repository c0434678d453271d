package compose

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/flumendata/flumen-agent/spec/sealed"
)

// mostSealed is more than any file of secrets has; what is larger is taken for what it is.
const mostSealed = 4 << 20

// isSealed tells whether a file is there and encrypted.
func isSealed(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostSealed {
		return false
	}
	content, err := os.ReadFile(path)
	return err == nil && sealed.Of(content) != sealed.None
}

// unseal opens what a file holds if it is encrypted, in memory. What was encrypted in it is
// secret from then on.
func (l *load) unseal(content []byte, path string, at place) (sealed.Opened, bool) {
	kind := sealed.Of(content)
	if kind == sealed.None {
		return sealed.Opened{Content: content}, true
	}
	if keys := l.options.Keys; keys != nil {
		for _, one := range keys.All {
			if file, err := filepath.Abs(one.File); one.File != "" && err == nil {
				l.Files = append(l.Files, file) // another key may open what this one does not
			}
		}
	}
	opened, err := l.options.Keys.Open(content)
	var key *sealed.KeyError
	switch {
	case errors.As(err, &key):
		l.passing(at, "", "%s is encrypted (%s) and cannot be opened: %v", l.shown(path), kind, err)
		return opened, false
	case err != nil:
		l.fault(at, "", "%s is encrypted (%s) and cannot be opened: %v", l.shown(path), kind, err)
		return opened, false
	}
	l.opened[path] = true
	for _, secret := range opened.Secrets {
		l.secret(strings.TrimSpace(secret))
	}
	return opened, true
}

// sealedEnv opens an env file that is encrypted. Its values are secret, but for those that
// SOPS was told to leave open.
func (l *load) sealedEnv(path string, at place, known dotenv.LookupFn, parse func(content []byte, into map[string]string) error) bool {
	content, err := readRegular(path)
	if err != nil {
		l.fault(at, "", "%s cannot be read: %v", l.shown(path), reason(err))
		return false
	}
	opened, ok := l.unseal(content, path, at)
	if !ok {
		return false
	}
	if opened.Kind == sealed.YAML || opened.Kind == sealed.JSON {
		l.fault(at, "encrypt it as dotenv: sops --input-type dotenv --output-type dotenv", "%s is no env file: it is %s", l.shown(path), opened.Kind)
		return false
	}
	for _, name := range asked(opened.Content, "", known) {
		l.refuseOwn(at, name)
	}
	own := map[string]string{}
	if err := parse(opened.Content, own); err != nil {
		l.envFault(at, fmt.Errorf("failed to read %s: %w", path, err))
		return false
	}
	for name, text := range own {
		if opened.Kind != sealed.None && !opened.Open[name] {
			l.secret(text)
			l.opened[name] = true
		}
	}
	return true
}

// environmentOf adds env files to what is set already, which wins; of two, the later one wins.
func (l *load) environmentOf(env environment, at place, files []string) (environment, error) {
	if !slices.ContainsFunc(files, isSealed) {
		return env.with(files...)
	}
	all := environment{}
	for _, file := range files {
		look := func(name string) (string, bool) {
			if text, ok := env[name]; ok {
				return text, true
			}
			text, ok := all[name]
			return text, ok
		}
		if !l.sealedEnv(file, place{file: l.shown(file)}, look, func(content []byte, into map[string]string) error {
			vars, err := dotenv.ParseWithLookup(bytes.NewReader(content), look)
			maps.Copy(into, vars)
			maps.Copy(all, vars)
			return err
		}) {
			l.broken = true
		}
	}
	for name, text := range env {
		all[name] = text
	}
	return all, nil
}

// openEnvFiles puts the env files of a service into its environment if one of them is
// encrypted, as compose-go does with those that are not.
func (c *conversion) openEnvFiles(s types.ServiceConfig) (types.ServiceConfig, bool) {
	if !slices.ContainsFunc(s.EnvFiles, func(f types.EnvFile) bool { return isSealed(f.Path) }) {
		return s, true
	}
	stated := s.Environment.Resolve(c.project.Environment.Resolve)
	sum := stated.ToMapping()
	look := func(name string) (string, bool) {
		if text, ok := c.project.Environment.Resolve(name); ok {
			return text, true
		}
		if text := stated[name]; text != nil {
			return *text, true
		}
		return "", false
	}
	for _, f := range s.EnvFiles {
		if !c.sealedEnv(f.Path, c.service(s.Name, "env_file"), look, func(content []byte, into map[string]string) error {
			return cmp.Or(dotenv.ParseWithFormat(bytes.NewReader(content), f.Path, into, look, f.Format),
				dotenv.ParseWithFormat(bytes.NewReader(content), f.Path, sum, look, f.Format))
		}) {
			return s, false
		}
	}
	s.Environment, s.EnvFiles = sum.ToMappingWithEquals().OverrideBy(stated), nil
	return s, true
}

// sealedInclude refuses an encrypted env file of an include: compose-go reads it by itself.
func (l *load) sealedInclude(file string) bool {
	if !isSealed(file) {
		return false
	}
	l.fault(place{file: l.shown(file)}, "put its variables into the env_file of "+l.main.shown, "an env file of an included file cannot be encrypted")
	l.broken = true
	return true
}
