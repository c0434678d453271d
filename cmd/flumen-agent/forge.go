package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/forge"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// forgeSettings are the flags of run about the status of commits.
type forgeSettings struct{ tokenFile, kind, url, project string }

// teller is what tells the forge of the repository the status of commits, or nil where no
// token is given.
func (a *app) teller(s forgeSettings, log *slog.Logger) (*forge.Teller, error) {
	token := a.environ["FLUMEN_FORGE_TOKEN"]
	if s.tokenFile != "" {
		b, err := os.ReadFile(s.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--forge-token-file: %w", err)
		}
		if token = strings.TrimSpace(string(b)); token == "" {
			return nil, fmt.Errorf("--forge-token-file: %s is empty", s.tokenFile)
		}
	}
	a.hide(token)
	switch {
	case token == "" && s != forgeSettings{}:
		return nil, errors.New("--forge, --forge-url and --forge-project need a token of the forge: give --forge-token-file, or set FLUMEN_FORGE_TOKEN")
	case token == "":
		return nil, nil
	case a.settings.git.URL == "":
		return nil, errors.New("--forge-token-file needs --repo: a file has no commits")
	}
	project, err := s.find(a.settings.git.URL)
	if err != nil {
		return nil, err
	}
	return forge.NewTeller(forge.NewClient(project, token), a.stdout.Mask, log), nil
}

// find tells the project from the flags, and from the repository what they leave out.
func (s forgeSettings) find(repository string) (forge.Project, error) {
	p := forge.Project{Path: strings.Trim(s.project, "/")}
	var err error
	if s.kind != "" {
		if p.Kind, err = forge.ParseKind(s.kind); err != nil {
			return forge.Project{}, err
		}
	}
	if s.url != "" {
		if p.Base, err = forge.ParseBase(s.url); err != nil {
			return forge.Project{}, err
		}
	}
	return forge.Find(repository, p)
}

// tellForge has the forge told of an agent's commits, while the agent is the one that changes
// the project.
func (a *app) tellForge(agent *reconciler.Agent, t *forge.Teller) {
	if t == nil {
		return
	}
	load, enter, reported, memory := agent.Load, agent.Enter, agent.Reported, agent.Memory
	agent.Load = func(ctx context.Context) (spec.Desired, error) {
		want, err := load(ctx)
		if wrong := (*commitError)(nil); errors.As(err, &wrong) && !wrong.passes() && a.holding.Load() {
			t.Tell(forge.Unloadable(wrong.revision, "does not load: "+firstFault(wrong.err)))
		}
		return want, err
	}
	agent.Enter = func(ctx context.Context, want spec.Desired, good spec.Revision) error {
		if s, _, ok := agent.Standing(); ok && a.holding.Load() && s.Wanted.ID == want.Revision.ID {
			t.Began(forge.Began(want.Project, s.Wanted))
		}
		return enter(ctx, want, good)
	}
	agent.Reported = func(rep report.Report) {
		if s, _, ok := agent.Standing(); ok && a.holding.Load() && !rep.Beside {
			if status, ok := forge.Of(rep, keptAs(s, time.Now(), lookedBound)); ok {
				t.Tell(status)
			}
		}
		reported(rep)
	}
	agent.Memory = func(ctx context.Context, project string) (*state.Store, error) {
		m, err := memory(ctx, project)
		if err == nil {
			t.Know(ctx, project, m)
		}
		return m, err
	}
	agent.Triggers = append(agent.Triggers, func(ctx context.Context, _ func(string)) { t.Run(ctx) })
}

// firstFault is what is wrong with a spec, as far as one line says it.
func firstFault(err error) string {
	var many *multierror.Error
	if errors.As(err, &many) && len(many.Errors) > 0 {
		return many.Errors[0].Error()
	}
	return err.Error()
}
