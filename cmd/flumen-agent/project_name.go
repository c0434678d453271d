package main

import (
	"context"
	"fmt"
	"sync"
)

// projectName is the name of the project, which is known once a spec has loaded.
type projectName struct {
	mu    sync.Mutex
	name  string
	known chan struct{}
}

func newProjectName() *projectName { return &projectName{known: make(chan struct{})} }

// set makes the name known. Another name is another project, whose containers this
// agent does not know: it refuses to slip from one into the other.
func (p *projectName) set(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != "" && p.name != name {
		return fmt.Errorf("the project was called %s and is called %s now, which is another project: take the old one down (flumen-agent down --project %s) and start the agent again", p.name, name, p.name)
	}
	if p.name == "" {
		p.name = name
		close(p.known)
	}
	return nil
}

// wait gives the name as soon as it is known.
func (p *projectName) wait(ctx context.Context) (string, error) {
	select {
	case <-p.known:
		return p.name, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
