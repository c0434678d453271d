package main

import (
	"context"
	"sync"
)

// projectName is the name of the project, which is known once a spec has loaded.
type projectName struct {
	once  sync.Once
	mu    sync.Mutex
	name  string
	known chan struct{}
}

func (p *projectName) channel() chan struct{} {
	p.once.Do(func() { p.known = make(chan struct{}) })
	return p.known
}

// set makes the name known. A spec may change its name later on: then the next wait
// gives the new one.
func (p *projectName) set(name string) {
	known := p.channel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name == "" {
		close(known)
	}
	p.name = name
}

// wait gives the name as soon as it is known.
func (p *projectName) wait(ctx context.Context) (string, error) {
	select {
	case <-p.channel():
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.name, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
