package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
)

// stateDir is where what the agent remembers is kept.
func (a *app) stateDir() string {
	if a.settings.state != "" {
		return a.settings.state
	}
	if os.Geteuid() == 0 {
		return "/var/lib/flumen-agent"
	}
	if dir := a.environ["XDG_STATE_HOME"]; dir != "" {
		return filepath.Join(dir, "flumen-agent")
	}
	return filepath.Join(a.environ["HOME"], ".local", "state", "flumen-agent")
}

// memoryPath is the file of one project's memory.
func (a *app) memoryPath(engineID, project string) string {
	return filepath.Join(a.stateDir(), project+"-"+short(engineID, project), "state.db")
}

// openMemory opens a project's memory, and says so if it had to begin anew.
func (a *app) openMemory(ctx context.Context, engineID, project string) (*state.Store, error) {
	m, broken, err := state.Open(ctx, a.memoryPath(engineID, project), state.Options{Hide: a.hideInJSON})
	if broken != nil {
		a.warn(broken.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("%w; name another directory with --state", err)
	}
	return m, nil
}

// readMemory opens a project's memory to look at it. Where there is none it is empty.
func (a *app) readMemory(ctx context.Context, engineID, project string) (*state.Store, error) {
	m, err := state.Read(ctx, a.memoryPath(engineID, project))
	if errors.Is(err, fs.ErrNotExist) {
		return state.OpenInMemory(ctx, "", state.Options{})
	}
	return m, err
}

// agentMemory opens the memory of an agent, which goes on without one on disk.
func (a *app) agentMemory(ctx context.Context, engineID, project string) (*state.Store, error) {
	m, err := a.openMemory(ctx, engineID, project)
	if err == nil {
		return m, nil
	}
	a.warn(err.Error() + "; history, pause, pin and quarantine of before are not known, and until it can be opened the agent keeps in mind what it would have written")
	return state.OpenInMemory(ctx, a.memoryPath(engineID, project), state.Options{Hide: a.hideInJSON})
}

// noteRun remembers a run that a person asked for. That it cannot be remembered changes
// nothing about it.
func (a *app) noteRun(ctx context.Context, c *connection, rep report.Report) {
	ctx = context.WithoutCancel(ctx)
	m, err := a.openMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		a.warn(fmt.Sprintf("this run is not in the history: %v", err))
		return
	}
	s, pruneable, err := reconciler.Note(ctx, m, c.want, rep)
	if err = errors.Join(err, m.Close()); err != nil {
		a.warn(fmt.Sprintf("this run is not in the history: %v", err))
	}
	if !pruneable {
		return
	}
	if _, err := c.reconciler.Prune(ctx, c.want.Project, s); err != nil {
		a.warn(fmt.Sprintf("images of earlier revisions are not removed: %v", err))
	}
}

// standing is what is known of a project's revisions.
func (a *app) standing(ctx context.Context, c *connection) (s reconciler.Standing, err error) {
	m, err := a.readMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		return s, err
	}
	defer m.Close()
	return s, m.Recall(ctx, reconciler.StandingNote, &s)
}

// withLast adds to options which tiers and stores were last in force. What is not remembered of
// the tiers, the containers tell.
func (a *app) withLast(ctx context.Context, c *connection, o reconciler.Options) reconciler.Options {
	if s, err := a.standing(ctx, c); err == nil {
		o.LastTiers, o.LastStores = s.Tiers, s.Stores
	}
	return o
}

// ask asks the agent that holds the project for something, and waits for its answer. Where
// none holds it, asked is false.
func (a *app) ask(ctx context.Context, c *connection, verb string, ask reconciler.Ask) (answer reconciler.Answer, asked bool, err error) {
	l := a.lock(c)
	agent, err := l.agent()
	if err != nil || agent == nil {
		return answer, false, err
	}
	m, err := a.openMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		return answer, false, fmt.Errorf("ask the flumen-agent that holds the project (process %s): %w", agent.process, err)
	}
	defer m.Close()
	id, err := m.Ask(ctx, verb, ask)
	if err != nil {
		return answer, false, err
	}
	fmt.Fprintf(a.stderr, "asking the flumen-agent that holds project %s (process %s)\n", c.want.Project, agent.process)
	err = m.Await(ctx, id, &answer, func() bool { now, err := l.agent(); return err != nil || now != nil })
	switch {
	case errors.Is(err, state.ErrWithdrawn):
		return answer, false, nil // it has ended
	case err != nil:
		return answer, true, fmt.Errorf("wait for the flumen-agent that holds the project: %w", err)
	case answer.Error != "":
		return answer, true, errors.New(answer.Error)
	}
	return answer, true, nil
}

// tell asks for something that only changes what is remembered: of the agent that holds
// the project, or, where none does, of the memory itself.
func (a *app) tell(ctx context.Context, c *connection, verb string, ask reconciler.Ask) error {
	answer, asked, err := a.ask(ctx, c, verb, ask)
	if err != nil {
		return err
	}
	if !asked {
		if answer.Said, err = a.tellMemory(ctx, c, verb, ask); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s: %s\n", c.want.Project, answer.Said)
	return nil
}

func (a *app) tellMemory(ctx context.Context, c *connection, verb string, ask reconciler.Ask) (said string, err error) {
	release, err := a.lock(c).wait(ctx, a.warn)
	if err != nil {
		return "", err
	}
	defer release()
	m, err := a.openMemory(ctx, c.engineID, c.want.Project)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return reconciler.Tell(ctx, m, verb, ask, time.Now())
}

// hideInJSON masks the secrets in the strings of a JSON text, and leaves its form alone.
func (a *app) hideInJSON(text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return []byte(`null`) // what cannot be read cannot be searched
	}
	hidden, err := json.Marshal(eachString(value, a.stdout.Mask))
	if err != nil {
		return []byte(`null`)
	}
	return hidden
}

// eachString passes every string of a decoded JSON value through change.
func eachString(value any, change func(string) string) any {
	switch v := value.(type) {
	case string:
		return change(v)
	case []any:
		for i := range v {
			v[i] = eachString(v[i], change)
		}
	case map[string]any:
		changed := map[string]any{}
		for name, one := range v {
			changed[change(name)] = eachString(one, change)
		}
		return changed
	}
	return value
}
