package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/webhook"
)

// The example of GitHub's own documentation.
const (
	secret      = "It's a Secret to Everybody"
	body        = "Hello, World!"
	knownSHA256 = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

func newHook(t testing.TB, secrets string) *webhook.Hook {
	t.Helper()
	parsed, err := webhook.ParseSecrets(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return webhook.New(parsed, slog.New(slog.DiscardHandler))
}

func call(h *webhook.Hook, method, body string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/webhook", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func sum256(secret, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	io.WriteString(m, body)
	return hex.EncodeToString(m.Sum(nil))
}

func TestCallsAreBelievedAsEachForgeSignsThem(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"GitHub":    {"X-GitHub-Event": "push", "X-Hub-Signature": "sha1=0000", "X-Hub-Signature-256": "sha256=" + knownSHA256},
		"GitLab":    {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret},
		"Gitea":     {"X-Gitea-Event": "push", "X-Gogs-Signature": "0000", "X-Gitea-Signature": knownSHA256},
		"Forgejo":   {"X-Forgejo-Event": "push", "X-Forgejo-Signature": knownSHA256},
		"Bitbucket": {"X-Event-Key": "repo:refs_changed", "X-Hub-Signature": "sha256=" + knownSHA256},
		"a script":  {"X-Flumen-Signature": "sha256=" + knownSHA256},
		"capitals":  {"X-Hub-Signature-256": "sha256=" + strings.ToUpper(knownSHA256)},
	} {
		if w := call(newHook(t, secret), "POST", body, header); w.Code != http.StatusAccepted {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestCallsThatProveNothingAreRefused(t *testing.T) {
	legacy := hmac.New(sha1.New, []byte(secret))
	io.WriteString(legacy, body)
	for name, c := range map[string]struct {
		body   string
		header map[string]string
	}{
		"no signature":      {body, nil},
		"another body":      {body + " ", map[string]string{"X-Hub-Signature-256": "sha256=" + knownSHA256}},
		"another secret":    {body, map[string]string{"X-Hub-Signature-256": "sha256=" + sum256(secret+"x", body)}},
		"no secret":         {body, map[string]string{"X-Hub-Signature-256": "sha256=" + sum256("", body)}},
		"a part of it":      {body, map[string]string{"X-Hub-Signature-256": "sha256=" + knownSHA256[:62]}},
		"nothing of it":     {body, map[string]string{"X-Gitea-Signature": ""}},
		"no hexadecimal":    {body, map[string]string{"X-Gitea-Signature": strings.Repeat("x", 64)}},
		"another algorithm": {body, map[string]string{"X-Hub-Signature-256": "md5=" + knownSHA256}},
		"SHA-1, broken":     {body, map[string]string{"X-Hub-Signature": "sha1=" + hex.EncodeToString(legacy.Sum(nil))}},
		"a part of a token": {body, map[string]string{"X-Gitlab-Token": secret[:20]}},
		"more than a token": {body, map[string]string{"X-Gitlab-Token": secret + "x"}},
		"a sum for a token": {body, map[string]string{"X-Gitlab-Token": knownSHA256}},
		"a token for a sum": {body, map[string]string{"X-Hub-Signature-256": secret}},
	} {
		if w := call(newHook(t, secret), "POST", c.body, c.header); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if looks := looksAt(t, []int{1}, c.body, c.header); looks != nil {
			t.Errorf("%s: it looks", name)
		}
	}
}

func TestOnlyPostIsACall(t *testing.T) {
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		w := call(newHook(t, secret), method, body, map[string]string{"X-Hub-Signature-256": "sha256=" + knownSHA256})
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// endless is a body without an end. It counts what was read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestBodyThatIsTooLargeIsNotReadToItsEnd(t *testing.T) {
	sent := &endless{}
	r := httptest.NewRequest("POST", "/webhook", sent)
	r.Header.Set("X-Hub-Signature-256", "sha256="+knownSHA256)
	w := httptest.NewRecorder()
	newHook(t, secret).ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || sent.read > 26<<20 {
		t.Errorf("%d, %d bytes were read", w.Code, sent.read)
	}
}

func TestManyCallsAreRefusedUnread(t *testing.T) {
	h := newHook(t, secret)
	codes := map[int]int{}
	for range 60 {
		w := call(h, "POST", body, nil)
		codes[w.Code]++
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Fatal("it does not say when to come again")
		}
	}
	if codes[401] < 20 || codes[401] > 25 || codes[401]+codes[429] != 60 {
		t.Errorf("%v", codes)
	}
}

// looksAt gives the seconds at which looks are made when such calls come at those seconds.
func looksAt(t *testing.T, calls []int, body string, header map[string]string) (looks []int) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t, secret)
		ctx, cancel := context.WithCancel(t.Context())
		begin, ended := time.Now(), make(chan struct{})
		go func() {
			h.Watch(ctx, func(string) { looks = append(looks, int(time.Since(begin).Seconds())) })
			close(ended)
		}()
		for _, at := range calls {
			time.Sleep(time.Until(begin.Add(time.Duration(at) * time.Second)))
			call(h, "POST", body, header)
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		cancel()
		<-ended
	})
	return looks
}

func TestCallsCollapseAndNoneIsLost(t *testing.T) {
	for name, c := range map[string]struct{ calls, looks []int }{
		"one":                          {[]int{1}, []int{1}},
		"a burst":                      {[]int{1, 1, 1, 1, 1}, []int{1, 3}},
		"one while it has just looked": {[]int{1, 2}, []int{1, 3}},
		"far apart":                    {[]int{1, 10}, []int{1, 10}},
	} {
		looks := looksAt(t, c.calls, body, map[string]string{"X-Hub-Signature-256": "sha256=" + knownSHA256})
		if diff := cmp.Diff(c.looks, looks); diff != "" {
			t.Errorf("%s: looks at (-want +got)\n%s", name, diff)
		}
	}
}

func TestTwoSecretsCountWhileOneTakesTheOthersPlace(t *testing.T) {
	h := newHook(t, "the one before, which is long\n\n"+secret+"\r\n")
	for _, one := range []string{"the one before, which is long", secret} {
		if w := call(h, "POST", body, map[string]string{"X-Gitlab-Token": one}); w.Code != http.StatusAccepted {
			t.Errorf("%s: %d", one, w.Code)
		}
		if w := call(h, "POST", body, map[string]string{"X-Gitea-Signature": sum256(one, body)}); w.Code != http.StatusAccepted {
			t.Errorf("%s: %d", one, w.Code)
		}
	}
}

func TestSecretsThatCanBeGuessedAreRefused(t *testing.T) {
	for text, says := range map[string]string{"": "is empty", "\n\n": "is empty", "hunter22": "8 characters, and needs 16", secret + "\nshort": "5 characters"} {
		if _, err := webhook.ParseSecrets(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	parsed, err := webhook.ParseSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(format, parsed); strings.Contains(text, "Secret to") || strings.Contains(text, hex.EncodeToString([]byte("Secret"))) || strings.Contains(text, "73 116") {
			t.Errorf("%s: %s", format, text)
		}
	}
}

func TestRefusalIsLoggedOnceAndWithoutWhatWasSent(t *testing.T) {
	var log bytes.Buffer
	parsed, err := webhook.ParseSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := webhook.New(parsed, slog.New(slog.NewTextHandler(&log, nil)))
	for range 10 {
		call(h, "POST", "a body", map[string]string{"X-Gitlab-Token": "hunter22hunter22"})
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "webhook refused") || strings.Contains(text, "hunter22") || strings.Contains(text, "a body") {
		t.Error(text)
	}
}

// FuzzOnlyWhoKnowsTheSecretIsBelieved tries bodies and headers: a call is taken just when its
// first readable proof is that of the secret.
func FuzzOnlyWhoKnowsTheSecretIsBelieved(f *testing.F) {
	headers := []string{"X-Hub-Signature-256", "X-Forgejo-Signature", "X-Gitea-Signature", "X-Hub-Signature", "X-Flumen-Signature", "X-Gitlab-Token", "Authorization"}
	for i := range headers {
		f.Add(body, uint8(i), "sha256="+knownSHA256)
		f.Add(body, uint8(i), knownSHA256)
		f.Add(body, uint8(i), secret)
		f.Add("", uint8(i), "")
		f.Add("{\"ref\":\"refs/heads/main\"}", uint8(i), "sha256=")
	}
	f.Fuzz(func(t *testing.T, body string, header uint8, value string) {
		name := headers[int(header)%len(headers)]
		r := httptest.NewRequest("POST", "/webhook", strings.NewReader(body))
		r.Header[name] = []string{value}
		w := httptest.NewRecorder()
		newHook(t, secret).ServeHTTP(w, r)
		bare := name == "X-Forgejo-Signature" || name == "X-Gitea-Signature"
		want := map[bool]string{true: "", false: "sha256="}[bare] + sum256(secret, body)
		known := strings.EqualFold(value, want) && strings.HasPrefix(value, want[:len(want)-64])
		switch name {
		case "X-Gitlab-Token":
			known = value == secret
		case "Authorization":
			known = false
		}
		if known != (w.Code == http.StatusAccepted) {
			t.Errorf("%s: %q for %q: %d", name, value, body, w.Code)
		}
	})
}
