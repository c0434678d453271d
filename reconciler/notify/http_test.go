package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/webhook"
)

const secret = "a secret that is long enough"

// served is a receiver at a server that the test ends.
func served(t *testing.T, secret string, handle http.HandlerFunc) *notify.HTTP {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	r, err := notify.NewHTTP(server.URL+"/services/T0KEN-of-the-chat", secret)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPostSaysWhatFailedWhoCommittedItAndIsSigned(t *testing.T) {
	type call struct {
		header http.Header
		body   []byte
	}
	calls := make(chan call, 1)
	r := served(t, secret, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- call{r.Header, body}
	})
	n, _ := start(t, nil, r)
	n.Reported(broken(), kept)
	got := <-calls

	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write(got.body)
	if want := "sha256=" + hex.EncodeToString(sum.Sum(nil)); got.header.Get("X-Flumen-Signature") != want {
		t.Errorf("signature %q, want %q", got.header.Get("X-Flumen-Signature"), want)
	}
	var m map[string]any
	if err := json.Unmarshal(got.body, &m); err != nil {
		t.Fatal(err)
	}
	if m["id"] == "" {
		t.Error("no id")
	}
	delete(m, "id")
	want := map[string]any{
		"version": 1.0, "project": "lake", "at": "2026-03-01T12:00:00Z", "condition": "failed", "summary": "lake: failed: service/db", "trigger": "interval",
		"revision":    map[string]any{"id": "4d1c", "source": "flumen.yaml", "commit": "c0ffee", "subject": "Raise the limit", "author": "Ada <ada@example.org>"},
		"wanted":      map[string]any{"id": "4d1c", "source": "flumen.yaml", "commit": "c0ffee", "subject": "Raise the limit", "author": "Ada <ada@example.org>"},
		"differences": []any{map[string]any{"ref": "service/db", "tier": "base", "verdict": "changed"}},
		"failures": []any{map[string]any{
			"tier": "base", "verb": "replace", "ref": "service/db", "reason": "env.A", "outcome": "rolled_back", "error": "exited with code 1",
			"log": []any{"cannot open the data", "bye"}, "took_ns": 0.0,
		}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

func TestAgentsOwnWebhookTakesTheSignature(t *testing.T) {
	secrets, err := webhook.ParseSecrets(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := served(t, secret, webhook.New(secrets, quiet).ServeHTTP)
	if err := r.Send(t.Context(), []byte(`{}`)); err != nil {
		t.Error(err)
	}
	r = served(t, "another secret, long enough", webhook.New(secrets, quiet).ServeHTTP)
	if err := r.Send(t.Context(), []byte(`{}`)); !errors.Is(err, notify.ErrRefused) {
		t.Errorf("another secret: %v", err)
	}
}

func TestAnswersThatMayBecomeBetterAreTriedAgainAndOthersNot(t *testing.T) {
	for code, again := range map[int]bool{408: true, 429: true, 500: true, 503: true, 301: false, 400: false, 401: false, 404: false} {
		r := served(t, "", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
		err := r.Send(t.Context(), []byte(`{}`))
		if err == nil || errors.Is(err, notify.ErrRefused) == again {
			t.Errorf("%d: %v", code, err)
		}
	}
}

func TestErrorsDoNotShowTheAddress(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	r, err := notify.NewHTTP(gone.URL+"/T0KEN", "")
	if err != nil {
		t.Fatal(err)
	}
	_, unreadable := notify.NewHTTP("https://host/T0KEN\x7f", "")
	_, foreign := notify.NewHTTP("ftp://host/T0KEN", "")
	_, short := notify.NewHTTP("https://host/T0KEN", "hunter22")
	for _, err := range []error{r.Send(t.Context(), nil), unreadable, foreign, short} {
		if err == nil || strings.Contains(err.Error(), "T0KEN") || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%v", err)
		}
	}
	if strings.Contains(r.Name()+r.Key(), "T0KEN") {
		t.Error(r.Name(), r.Key())
	}
}

func TestReceiverThatDawdlesIsLeft(t *testing.T) {
	ended := make(chan struct{})
	r := served(t, "", func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := r.Send(ctx, []byte(`{}`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-ended
}

func TestSecretsAreHiddenBeforeAnythingIsSent(t *testing.T) {
	const canary = "hunter22canary"
	bodies := make(chan string, 1)
	r := served(t, "", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	})
	hide := func(text []byte) []byte { return []byte(strings.ReplaceAll(string(text), canary, "***")) }
	n := notify.New([]notify.Receiver{r}, hide, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	rep := broken()
	rep.Steps[0].Log, rep.Steps[0].Error, rep.Trigger = []string{"password " + canary}, canary, canary
	n.Reported(rep, kept)
	if body := <-bodies; strings.Contains(body, canary) || !strings.Contains(body, "password ***") {
		t.Error(body)
	}
}
