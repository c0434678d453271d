package s3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errTooLate says that a store took longer for an answer than it may.
var errTooLate = errors.New("it did not answer in time")

// timely gives each request its time, with the answer's body: a store may also fall silent in
// the middle of one.
type timely struct {
	http.RoundTripper
	timeout time.Duration
}

// RoundTrip implements http.RoundTripper.
func (t timely) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), t.timeout, errTooLate)
	late := func() bool { return errors.Is(context.Cause(ctx), errTooLate) }
	answer, err := t.RoundTripper.RoundTrip(r.WithContext(ctx))
	switch {
	case err == nil:
		answer.Body = &timelyBody{answer.Body, late, cancel}
		return answer, nil
	case late():
		err = errTooLate
	}
	cancel()
	return nil, err
}

// timelyBody is what of an answer is still to come.
type timelyBody struct {
	io.ReadCloser
	late   func() bool
	cancel context.CancelFunc
}

// Read implements io.Reader.
func (b *timelyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.late() {
		err = errTooLate
	}
	return n, err
}

// Close implements io.Closer.
func (b *timelyBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
