package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// storeProxy stands before the store of a script, at $PROXY. It fails what the script asks it
// to, and counts the buckets that are made.
type storeProxy struct {
	http.Handler
	mode   atomic.Value // "pass", "slow", "busy", "throttle", "cut", "mute" or "hang"
	takes  atomic.Int64 // how long a slow answer does, in nanoseconds
	made   atomic.Int32
	failed atomic.Int32 // requests since the mode was set

	mu    sync.Mutex
	asked map[string]int // requests since the mode was set, by method
}

// startProxy starts the proxy to the store at $PORT.
func startProxy(env *testscript.Env) {
	p := &storeProxy{asked: map[string]int{}}
	p.mode.Store("pass")
	store := &url.URL{Scheme: "http", Host: "127.0.0.1:" + env.Getenv("PORT")}
	p.Handler = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(store)
			r.Out.Host = r.In.Host // it is signed
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	front := httptest.NewUnstartedServer(p)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.Start()
	env.Defer(func() { front.CloseClientConnections(); front.Close() })
	env.Setenv("PROXY", front.Listener.Addr().String())
	env.Values[proxyKey{}] = p
}

type proxyKey struct{}

// ServeHTTP has what is about one bucket go wrong, in the mode that was asked for.
func (p *storeProxy) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	about := path != ""
	if r.Method == http.MethodPut && about && r.URL.RawQuery == "" && !strings.Contains(path, "/") {
		p.made.Add(1)
	}
	p.mu.Lock()
	p.asked[r.Method]++
	p.mu.Unlock()
	mode := p.mode.Load().(string)
	mute := mode == "mute" && about && !strings.HasPrefix(path, "minio/") // of the server itself it speaks
	if mode == "hang" || mode == "throttle" || about && (mode == "busy" || mode == "cut") || mute {
		p.failed.Add(1)
	}
	switch {
	case mode == "hang" || mute:
		<-r.Context().Done()
	case mode == "slow":
		select {
		case <-time.After(time.Duration(p.takes.Load())):
			p.Handler.ServeHTTP(rw, r)
		case <-r.Context().Done():
			p.failed.Add(1)
		}
	case mode == "busy" && about:
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
	case mode == "throttle":
		rw.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(rw, "<Error><Code>XMinioServerNotInitialized</Code><Message>Server not initialized yet, please try again.</Message></Error>")
	case mode == "cut" && about:
		panic(http.ErrAbortHandler)
	default:
		p.Handler.ServeHTTP(rw, r)
	}
}

// proxyCommand is
//
//	proxy pass|slow|busy|throttle|cut|mute|hang [DURATION]
//	                                what happens to requests from now on; busy, cut and mute only to
//	                                those about one bucket; a slow answer takes so long, 100ms if nothing is said
//	proxy failed [N]                waits until one, or so many, have failed so
//	proxy made N                    waits until it was asked to make so many buckets
//	proxy only N                    it was asked to make no more than so many
//	proxy reads                     since the mode was set it was asked to list and read, and for nothing else
func proxyCommand(ts *testscript.TestScript, neg bool, args []string) {
	p, ok := ts.Value(proxyKey{}).(*storeProxy)
	switch {
	case neg || !ok || len(args) == 0:
		ts.Fatalf("usage: proxy VERB [N]")
	case args[0] == "failed":
		least := int32(1)
		if len(args) > 1 {
			least = number(ts, args[1])
		}
		if !within(patience, func() bool { return p.failed.Load() >= least }) {
			ts.Fatalf("only %d requests failed within %s", p.failed.Load(), patience)
		}
	case args[0] == "made":
		if !within(patience, func() bool { return p.made.Load() >= number(ts, args[1]) }) {
			ts.Fatalf("only %d buckets were made within %s", p.made.Load(), patience)
		}
	case args[0] == "only":
		if made := p.made.Load(); made > number(ts, args[1]) {
			ts.Fatalf("%d buckets were made", made)
		}
	case args[0] == "reads":
		p.mu.Lock()
		defer p.mu.Unlock()
		for method := range p.asked {
			if method != http.MethodGet && method != http.MethodHead {
				ts.Fatalf("it was asked %v", p.asked)
			}
		}
		if p.asked[http.MethodGet] == 0 {
			ts.Fatalf("it was asked nothing")
		}
	default:
		takes := 100 * time.Millisecond
		if len(args) > 1 {
			var err error
			takes, err = time.ParseDuration(args[1])
			ts.Check(err)
		}
		p.takes.Store(int64(takes))
		p.mode.Store(args[0])
		p.failed.Store(0)
		p.mu.Lock()
		clear(p.asked)
		p.mu.Unlock()
	}
}

func number(ts *testscript.TestScript, text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	ts.Check(err)
	return int32(n)
}
