package s3

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// idleFor is how long a connection is kept that nobody uses: for the next look of an agent that
// glances, and no longer than servers keep theirs.
const idleFor = 30 * time.Second

// mostIdle is how many connections to a store are kept that nobody uses for a moment: as many as a plan of its tables has
// requests under way, 64 commits of a log and 16 pages of a list. To open one again takes longer than to ask, by TLS
// most of all.
const mostIdle = 80

// way is how requests get to a store. It is kept from one look to the next, with the
// connections that are open: to open them costs more than a question.
type way struct {
	place string // where it leads to, and whom it trusts
	*http.Transport
}

// wayTo gives the way to a store that is found at these addresses, or at its endpoint if there
// are none.
func (t *Target) wayTo(s *spec.Store, addresses []string) *http.Transport {
	place := strings.Join(append([]string{s.Endpoint, s.Service, s.CA}, addresses...), "\x00")
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.ways[s.Name]
	if old.place == place && old.Transport != nil {
		return old.Transport
	}
	if old.Transport != nil {
		old.CloseIdleConnections()
	}
	if t.ways == nil {
		t.ways = map[string]way{}
	}
	fresh := newWay(s, addresses)
	t.ways[s.Name] = way{place, fresh}
	delete(t.usages, s.Name) // it may be another store
	return fresh
}

func newWay(s *spec.Store, addresses []string) *http.Transport {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: authorities(s)}, TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: mostIdle, IdleConnTimeout: idleFor,
	}
	if len(addresses) > 0 {
		transport.Proxy, transport.DialContext = nil, dialFirst(addresses)
		// A certificate is made out to the name by which other services know this one.
		transport.TLSClientConfig.ServerName = s.Service
	}
	return transport
}

// leave closes the connections of a way that has been replaced meanwhile. Those of the others
// are for the next who comes.
func (t *Target) leave(s *spec.Store, w *http.Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ways[s.Name].Transport != w {
		w.CloseIdleConnections()
	}
}
