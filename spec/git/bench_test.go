package git

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// BenchmarkPollThatFindsNothing asks a real server over HTTP for a repository with ten
// branches that has nothing new.
func BenchmarkPollThatFindsNothing(b *testing.B) {
	r := newRepository(b)
	r.write("flumen.yaml", "x")
	r.push("First")
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		r.git("push", "-q", "origin", "HEAD:refs/heads/branch-"+name)
	}
	address, bytes := counted(b, r.overHTTP(rightPassword))
	s := r.source(Options{URL: address, Access: Access{User: user, Token: password}})
	if _, err := s.Poll(b.Context()); err != nil {
		b.Fatal(err)
	}
	bytes.Store(0)
	b.ReportAllocs()
	for b.Loop() {
		if changed, err := s.Poll(b.Context()); err != nil || changed {
			b.Fatal(changed, err)
		}
	}
	b.ReportMetric(float64(bytes.Load())/float64(b.N), "received-B/op")
}

// counted puts a server before another one that counts the bytes of its answers.
func counted(b *testing.B, address string) (string, *atomic.Int64) {
	to, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	var bytes atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(countingWriter{w, &bytes}, r)
	}))
	b.Cleanup(server.Close)
	return server.URL + to.Path, &bytes
}

type countingWriter struct {
	http.ResponseWriter
	bytes *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	w.bytes.Add(int64(len(p)))
	return w.ResponseWriter.Write(p)
}
