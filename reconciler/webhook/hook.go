package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

const (
	// mostBody is the largest body that is read, in bytes: GitHub's largest. It is not
	// kept in memory.
	mostBody = 25 << 20
	// gap is the shortest time between two looks: calls that come in the meantime have
	// theirs at its end.
	gap = 2 * time.Second
	// perSecond and atOnce bound the calls that are looked at: a forge sends a few for a
	// push. What is above is refused, and costs nothing.
	perSecond, atOnce = 5, 20
	// reading is how many bodies are read at once.
	reading = 4
	// sayEvery is how often it is logged that calls are refused.
	sayEvery = time.Minute
)

// Hook answers calls. Its methods may be called from any goroutine.
type Hook struct {
	secrets []Secret
	log     *slog.Logger
	calls   *rate.Limiter
	slots   chan struct{}
	due     chan struct{} // capacity one: a look is due
	say     rate.Sometimes
}

// New gives a hook that believes those who know one of the secrets: two of them while one
// takes the other's place.
func New(secrets []Secret, log *slog.Logger) *Hook {
	return &Hook{
		secrets: secrets, log: log, calls: rate.NewLimiter(perSecond, atOnce),
		slots: make(chan struct{}, reading), due: make(chan struct{}, 1), say: rate.Sometimes{Interval: sayEvery},
	}
}

// Watch calls look when a call has come, and not more often than once per gap, until ctx is
// done.
func (h *Hook) Watch(ctx context.Context, look func(why string)) {
	for {
		select {
		case <-h.due:
			look("webhook")
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(gap):
		case <-ctx.Done():
			return
		}
	}
}

// ServeHTTP answers 202 to a call that is signed, and has a look made.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "a webhook is called with POST", http.StatusMethodNotAllowed)
		return
	}
	code, err := h.judge(w, r)
	if err != nil {
		h.say.Do(func() { h.log.Warn("webhook refused", "err", err, "from", r.RemoteAddr) })
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		http.Error(w, err.Error(), code)
		return
	}
	select {
	case h.due <- struct{}{}:
	default: // one look is enough
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintln(w, "looking")
}

// judge gives the code of a call that is refused, and why.
func (h *Hook) judge(w http.ResponseWriter, r *http.Request) (code int, err error) {
	if !h.calls.Allow() {
		return http.StatusTooManyRequests, errors.New("too many calls")
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return http.StatusTooManyRequests, errors.New("too many calls at once")
	}
	proof := proofOf(r.Header)
	if proof == nil {
		return http.StatusUnauthorized, errors.New("the call is not signed: give the forge the webhook's secret")
	}
	sums := newSums(h.secrets)
	_, err = io.Copy(sums, http.MaxBytesReader(w, r.Body, mostBody))
	switch large := (*http.MaxBytesError)(nil); {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", large.Limit)
	case err != nil:
		return http.StatusBadRequest, errors.New("the body cannot be read")
	case !proof.holds(sums):
		return http.StatusUnauthorized, errors.New("the signature is not that of the webhook's secret")
	}
	return 0, nil
}
