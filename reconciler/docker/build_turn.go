package docker

import (
	"context"
	"regexp"
	"strings"
	"sync"
)

// turns lets builds that begin alike go one after the other. The classic builder knows of no
// other build that is going on: side by side both would do the steps that they share, and
// have a layer of their own of each. BuildKit sees to that itself.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // by how a build begins; closed when it is over
}

// take waits for the turn of a build, and gives what ends it.
func (t *turns) take(ctx context.Context, dockerfile []byte) (end func(), err error) {
	key := beginning(string(dockerfile))
	for {
		over, mine := t.try(key)
		if mine {
			return func() { t.end(key) }, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) try(key string) (over chan struct{}, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over, busy := t.busy[key]; busy {
		return over, false
	}
	if t.busy == nil {
		t.busy = map[string]chan struct{}{}
	}
	t.busy[key] = make(chan struct{})
	return nil, true
}

func (t *turns) end(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.busy[key])
	delete(t.busy, key)
}

var (
	commentLine = regexp.MustCompile(`(?m)^[ \t]*#.*\n?`)
	firstStep   = regexp.MustCompile(`(?im)^[ \t]*(RUN|COPY|ADD)\b.*$`)
)

// beginning is what a Dockerfile says up to its first step that makes a layer.
func beginning(dockerfile string) string {
	text := continued.ReplaceAllString(commentLine.ReplaceAllString(dockerfile, ""), " ")
	if at := firstStep.FindStringIndex(text); at != nil {
		text = text[:at[1]]
	}
	return strings.TrimSpace(text)
}
