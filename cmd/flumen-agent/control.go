package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/control"
	"github.com/flumendata/flumen-agent/reconciler/state"
)

// tokens are those of people who may change something over HTTP; none where nobody may.
func (a *app) tokens(file string) ([]control.Token, error) {
	text := a.environ["FLUMEN_TOKENS"]
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--tokens-file: %w", err)
		}
		text = string(b)
	} else if text == "" {
		return nil, nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if words := strings.Fields(line); len(words) > 1 {
			a.hide(words[1:]...)
		}
	}
	tokens, err := control.ParseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("--tokens-file: %w", err)
	}
	return tokens, nil
}

// asker leaves requests for the agent of this process, as commands do for that of another.
type asker struct {
	*app
	agent  *reconciler.Agent
	memory atomic.Pointer[state.Store] // nil until the agent has one

	// What follows is there before anybody asks.
	ctx     context.Context // that of the agent
	look    func(why string)
	waiting sync.WaitGroup // for answers
}

// newAsker has the agent's memory at hand once that is open.
func newAsker(a *app, agent *reconciler.Agent) *asker {
	k := &asker{app: a, agent: agent}
	memory := agent.Memory
	agent.Memory = func(ctx context.Context, project string) (*state.Store, error) {
		m, err := memory(ctx, project)
		if err == nil {
			k.memory.Store(m)
		}
		return m, err
	}
	return k
}

// ask waits for the answer until ctx is done; the request stands then.
func (k *asker) ask(ctx context.Context, verb string, ask reconciler.Ask) (reconciler.Answer, error) {
	m := k.memory.Load()
	s, _, ok := k.agent.Standing()
	if m == nil || !ok || !k.holding.Load() {
		return reconciler.Answer{}, errors.New("this agent does not change the project now: ask the one that does")
	}
	if verb == reconciler.AskApply {
		ask.Revision = s.Wanted.ID
	}
	id, err := m.Ask(ctx, verb, ask)
	if err != nil {
		return reconciler.Answer{}, err
	}
	k.look("asked for")
	var answer reconciler.Answer
	done := make(chan error, 1)
	k.waiting.Go(func() { done <- m.Await(k.ctx, id, &answer, func() bool { return true }) })
	select {
	case err := <-done:
		return answer, err
	case <-ctx.Done():
		return reconciler.Answer{}, ctx.Err()
	}
}
