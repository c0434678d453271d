package s3

import (
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

// hearing listens for what the server calls itself. A proxy before it may say something else.
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
	if name := answer.Header.Get("Server"); name != "" {
		h.mu.Lock()
		h.said = name
		h.mu.Unlock()
	}
	return answer, nil
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
