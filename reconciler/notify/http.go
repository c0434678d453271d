package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// SignatureHeader carries sha256= and the HMAC-SHA256 of the body, in hex, where there is a
// secret. The agent's own /webhook takes it too.
const SignatureHeader = "X-Flumen-Signature"

// shortestSecret is the least that cannot be guessed, in characters.
const shortestSecret = 16

// HTTP is a receiver that is sent a POST with a JSON body.
type HTTP struct {
	url    *url.URL
	secret []byte // empty: nothing is signed
	client *http.Client
}

var _ Receiver = (*HTTP)(nil)

// NewHTTP gives the receiver at an address. With a secret, messages are signed.
func NewHTTP(address, secret string) (*HTTP, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil: // its text would quote the address, which may be a secret
		return nil, errors.New("--notify: an address cannot be read: write https://HOST/PATH")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, fmt.Errorf("--notify: an address of scheme %q: write https://HOST/PATH", u.Scheme)
	case secret != "" && len(secret) < shortestSecret:
		return nil, fmt.Errorf("the secret of --notify has %d characters, and needs %d at least: openssl rand -hex 32 makes one", len(secret), shortestSecret)
	}
	return &HTTP{url: u, secret: []byte(secret), client: &http.Client{
		// Followed, a signed message could be led to anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name is the scheme and host: chat services have their token in the path.
func (h *HTTP) Name() string { return h.url.Scheme + "://" + h.url.Host }

// Key is a digest of the whole address.
func (h *HTTP) Key() string { return keyOf(h.url) }

// Send posts a body. An answer that says that it is of no use to come again is ErrRefused.
func (h *HTTP) Send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "flumen-agent")
	if len(h.secret) > 0 {
		req.Header.Set(SignatureHeader, "sha256="+h.sign(body))
	}
	answer, err := h.client.Do(req)
	if err != nil {
		return plain(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 4096)) // so that the connection can be used again
	switch code := answer.StatusCode; {
	case code < 300:
		return nil
	case mayBecomeBetter(code):
		return fmt.Errorf("it answered %s", strings.ToLower(answer.Status))
	default:
		return fmt.Errorf("%w: it answered %s", ErrRefused, strings.ToLower(answer.Status))
	}
}

func (h *HTTP) sign(body []byte) string {
	sum := hmac.New(sha256.New, h.secret)
	sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}

// plain takes the address, which may be a secret, out of a client's error.
func plain(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}
