package engineproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// through starts a proxy before a server that answers its name, and a client of it.
func through(t *testing.T) (*Proxy, *http.Client) {
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "engine") }))
	t.Cleanup(engine.Close)
	p, err := Start(t.TempDir(), "tcp://"+engine.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(p.Host, "unix://"))
	}}}
}

func call(t *testing.T, c *http.Client, method, path string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://engine"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func TestCallsPassAndAreCountedWithoutTheirVersion(t *testing.T) {
	p, c := through(t)
	if _, body := call(t, c, "GET", "/v1.41/containers/json"); body != "engine" {
		t.Errorf("body %q", body)
	}
	call(t, c, "POST", "/v1.41/containers/create")
	if diff := cmp.Diff([]Call{{"GET", "/containers/json"}, {"POST", "/containers/create"}}, p.Calls()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Call{{"POST", "/containers/create"}}, p.Mutations()); diff != "" {
		t.Error(diff)
	}
}

func TestCallThatIsHarmedDoesNotReachTheEngine(t *testing.T) {
	p, c := through(t)
	p.Before = func(_ Call, mutation int) error {
		if mutation == 2 {
			return errors.New("harmed on purpose")
		}
		return nil
	}
	if status, _ := call(t, c, "POST", "/a"); status != http.StatusOK {
		t.Errorf("first mutation: %d", status)
	}
	if status, body := call(t, c, "POST", "/b"); status != http.StatusInternalServerError || !strings.Contains(body, "harmed on purpose") {
		t.Errorf("second mutation: %d %s", status, body)
	}
}
