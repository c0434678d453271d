package s3

import (
	"cmp"
	"net/http"
	"strings"
	"sync"
)

// The servers whose ways differ, as they call themselves in the Server header.
const (
	serverMinIO     = "MinIO"
	serverAWS       = "AmazonS3"
	serverVersityGW = "VERSITYGW" // whatever is behind it; that a bucket is not there it says before what it does not have
)

// hearing listens for what the server calls itself: in its first answer, for what may be
// refused must not change with a proxy before it whose own error pages name another. One that
// says its own name in all answers hides the server's.
type hearing struct {
	http.RoundTripper
	// failed is called when there is no answer.
	failed func()

	mu   sync.Mutex
	said string
}

// RoundTrip implements http.RoundTripper.
func (h *hearing) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := h.RoundTripper.RoundTrip(r)
	if err != nil {
		h.failed()
		return nil, err
	}
	if name := answer.Header.Get("Server"); name != "" && byStore(answer) {
		h.mu.Lock()
		h.said = cmp.Or(h.said, name)
		h.mu.Unlock()
	}
	return answer, nil
}

// byStore tells whether an answer is the store's own and not the error page of a proxy, which
// could not or would not ask it: stores refuse in XML, MinIO's admin API in JSON.
func byStore(answer *http.Response) bool {
	kind := answer.Header.Get("Content-Type")
	refusal := answer.StatusCode/100 == 4 && (strings.Contains(kind, "xml") || strings.Contains(kind, "json"))
	return answer.StatusCode/100 == 2 || refusal
}

// server is what the server calls itself, without its version: "" before its first answer.
func (h *hearing) server() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, _, _ := strings.Cut(h.said, "/")
	return name
}

// named is the store with its server, for messages about what that can do.
func (c *connection) named() string {
	if name := c.heard.server(); name != "" {
		return "the store " + c.store.Name + " (" + name + ")"
	}
	return "the store " + c.store.Name
}
