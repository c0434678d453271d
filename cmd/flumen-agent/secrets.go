package main

import (
	"context"
	"slices"

	"github.com/flumendata/flumen-agent/spec/compose"
	"github.com/flumendata/flumen-agent/spec/sealed"
)

// ageKeys are the keys that open encrypted files, under the names that users of SOPS know and
// under our own. They are read at every load, and only if there is something to open.
func (a *app) ageKeys() *sealed.Keys {
	keys := &sealed.Keys{Hide: func(secret string) { a.hide(secret) }}
	for _, one := range []sealed.Key{
		{Name: "--age-key-file", File: a.settings.ageKey},
		{Name: "FLUMEN_AGE_KEY", Text: a.environ["FLUMEN_AGE_KEY"]},
		{Name: "SOPS_AGE_KEY_FILE", File: a.environ["SOPS_AGE_KEY_FILE"]},
		{Name: "SOPS_AGE_KEY", Text: a.environ["SOPS_AGE_KEY"]},
	} {
		if one.File != "" || one.Text != "" {
			keys.All = append(keys.All, one)
		}
	}
	return keys
}

// secretCommand runs the programs that secrets come from, or is nil where that is not allowed.
func (a *app) secretCommand() func(ctx context.Context, words []string) (string, error) {
	if !a.settings.commands {
		return nil
	}
	if a.programs.Environ == nil {
		for name, value := range a.environ {
			// The agent's own credentials are not for what the spec names.
			if !compose.Own(name) {
				a.programs.Environ = append(a.programs.Environ, name+"="+value)
			}
		}
		slices.Sort(a.programs.Environ)
	}
	return a.programs.Run
}
