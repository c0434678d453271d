package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// steady gives each answer as long as it takes, provided that something of it comes in time
// again and again: a large object takes longer than an answer may. It takes note of the store's
// clock.
type steady struct {
	http.RoundTripper
	timeout time.Duration
	clock   *storeClock
}

// RoundTrip implements http.RoundTripper.
func (s steady) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	alarm := time.AfterFunc(s.timeout, func() { cancel(errTooLate) })
	answer, err := s.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		if errors.Is(context.Cause(ctx), errTooLate) {
			err = errTooLate
		}
		alarm.Stop()
		cancel(nil)
		return nil, err
	}
	s.clock.read(answer.Header)
	answer.Body = &steadyBody{answer.Body, ctx, cancel, alarm, s.timeout}
	return answer, nil
}

// steadyBody is what of an answer is still to come.
type steadyBody struct {
	io.ReadCloser
	ctx     context.Context
	cancel  context.CancelCauseFunc
	alarm   *time.Timer
	timeout time.Duration
}

// Read implements io.Reader.
func (b *steadyBody) Read(p []byte) (int, error) {
	b.alarm.Reset(b.timeout)
	n, err := b.ReadCloser.Read(p)
	b.alarm.Stop() // who reads may take as long as they like
	if err != nil && errors.Is(context.Cause(b.ctx), errTooLate) {
		err = errTooLate
	}
	return n, err
}

// Close implements io.Closer.
func (b *steadyBody) Close() error {
	b.alarm.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// storeClock is the clock of a store, as its answers show it.
type storeClock struct {
	mu    sync.Mutex
	ahead time.Duration // of this machine's
	known bool
}

// read takes the time from an answer. Its resolution is a second: the earlier end counts.
func (c *storeClock) read(h http.Header) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.known = time.Until(at), true
}

func (c *storeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return time.Time{}
	}
	return time.Now().Add(c.ahead)
}
