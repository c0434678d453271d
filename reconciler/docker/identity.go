package docker

import "context"

// EngineID tells engines apart, whichever address they are reached at.
func (t *Target) EngineID(ctx context.Context) (string, error) {
	f, err := t.engineFacts(ctx)
	return f.id, err
}
