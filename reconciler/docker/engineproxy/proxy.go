// Package engineproxy stands between a client and a Docker engine: it counts the
// calls that pass, and can do harm at one of them. Tests and benchmarks use it; the
// agent does not.
//
//	client ──▶ Proxy (a unix socket of its own) ──▶ engine
package engineproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Call is one call that passed.
type Call struct{ Method, Path string }

// Mutating tells whether the call may have changed something.
func (c Call) Mutating() bool { return c.Method != http.MethodGet && c.Method != http.MethodHead }

func (c Call) String() string { return c.Method + " " + c.Path }

// Proxy counts the calls between one client and one engine.
type Proxy struct {
	// Host is what the client connects to: "unix:///...".
	Host string
	// Before, if set before the first call, is asked ahead of each call with its
	// number among the mutating ones, from 1; 0 for others. An error is answered to
	// the client with status 500, and the engine never sees the call.
	Before func(c Call, mutation int) error
	// After, if set before the first call, is told of each call with its number when the
	// engine has answered, and before the client hears of it.
	After func(c Call, mutation int)

	engine string
	server *http.Server
	done   chan struct{}

	mu        sync.Mutex
	calls     []Call
	mutations int
}

// Start listens on a socket in dir, for the engine at a unix:// or tcp:// host.
func Start(dir, engine string) (*Proxy, error) {
	p := &Proxy{engine: engine, done: make(chan struct{})}
	socket := filepath.Join(dir, "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the engine's clients: %w", err)
	}
	p.Host = "unix://" + socket
	p.server = &http.Server{Handler: p.handler()}
	go func() {
		defer close(p.done)
		p.server.Serve(listener)
	}()
	return p, nil
}

// Close ends all connections.
func (p *Proxy) Close() error {
	err := p.server.Close()
	<-p.done
	return err
}

// Calls are those that passed since the last Reset, in order.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Mutations are the calls that may have changed something.
func (p *Proxy) Mutations() []Call {
	var all []Call
	for _, c := range p.Calls() {
		if c.Mutating() {
			all = append(all, c)
		}
	}
	return all
}

// Reset forgets the calls that passed.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls, p.mutations = nil, 0
}

func (p *Proxy) handler() http.Handler {
	network, address, _ := strings.Cut(p.engine, "://")
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: 32,
		DisableCompression:  true,
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine"
		},
		Transport:     transport,
		FlushInterval: -1, // events and logs must reach the client as they come
		ModifyResponse: func(answer *http.Response) error {
			if n, ok := answer.Request.Context().Value(noted{}).(int); ok && p.After != nil {
				p.After(callOf(answer.Request), n)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				http.Error(w, fmt.Sprintf(`{"message":%q}`, err), http.StatusBadGateway)
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := p.note(r)
		if err != nil {
			http.Error(w, fmt.Sprintf(`{"message":%q}`, err), http.StatusInternalServerError)
			return
		}
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), noted{}, n)))
	})
}

// noted is the key of a call's number in its context.
type noted struct{}

func callOf(r *http.Request) Call { return Call{r.Method, version.ReplaceAllString(r.URL.Path, "")} }

var version = regexp.MustCompile(`^/v1\.\d+`)

// note counts a call, and asks whether it may pass.
func (p *Proxy) note(r *http.Request) (mutation int, err error) {
	c := callOf(r)
	p.mu.Lock()
	p.calls = append(p.calls, c)
	if c.Mutating() {
		p.mutations++
		mutation = p.mutations
	}
	p.mu.Unlock()
	if p.Before != nil {
		err = p.Before(c, mutation)
	}
	return mutation, err
}
