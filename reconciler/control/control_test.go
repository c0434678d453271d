package control_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/control"
)

const (
	ada  = "hunter22-the-token-of-ada"
	grab = "hunter22-the-token-of-bob"
)

// door is one that notes what was asked for.
type door struct {
	*control.Door
	asked  []reconciler.Ask
	verbs  []string
	answer reconciler.Answer
	err    error
	log    bytes.Buffer
}

func open(t *testing.T) *door {
	t.Helper()
	tokens, err := control.ParseTokens("# who may\nada " + ada + "\n\nbob@example.org\t" + grab + "\n")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{answer: reconciler.Answer{Said: "done, canary"}}
	hide := func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("canary"), []byte("***")) }
	d.Door = control.New(tokens, func(_ context.Context, verb string, ask reconciler.Ask) (reconciler.Answer, error) {
		d.verbs, d.asked = append(d.verbs, verb), append(d.asked, ask)
		return d.answer, d.err
	}, hide, slog.New(slog.NewTextHandler(&d.log, nil)))
	return d
}

// call gives the code and the body of an answer.
func (d *door) call(method, path, token, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestWhoeverComesWithATokenIsNamedToTheAgent(t *testing.T) {
	d := open(t)
	code, body := d.call("POST", "/pause", "Bearer "+grab, `{"for": "2h", "reason": "moving the disks"}`)
	if code != http.StatusOK || !strings.Contains(body, `"said":"done, ***"`) {
		t.Fatal(code, body)
	}
	got := d.asked[0]
	if left := time.Until(got.Until); d.verbs[0] != "pause" || got.By != "bob@example.org" || got.Reason != "moving the disks" || left < time.Hour || left > 2*time.Hour {
		t.Errorf("%s %+v", d.verbs[0], got)
	}
	d.call("POST", "/rollback", "Bearer "+ada, `{"revision": "c0ffee"}`)
	if got := d.asked[1]; d.verbs[1] != "rollback" || got.By != "ada" || got.Revision != "c0ffee" {
		t.Errorf("%+v", got)
	}
}

func TestNobodyElseChangesAnything(t *testing.T) {
	d := open(t)
	for _, token := range []string{"", ada, "Bearer ", "Bearer x", "Bearer " + ada + "x", "Bearer " + ada[:len(ada)-1], "Basic " + ada, "Bearer ada", "bearer " + strings.ToUpper(ada)} {
		for _, verb := range []string{"/pause", "/apply"} {
			if code, body := d.call("POST", verb, token, ""); code != http.StatusUnauthorized {
				t.Errorf("%q: %d %s", token, code, body)
			}
		}
	}
	if len(d.asked) > 0 || strings.Contains(d.log.String(), "hunter22") {
		t.Error(d.asked, d.log.String())
	}
}

func TestCallsThatMeanNothingAreRefused(t *testing.T) {
	d := open(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/pause", "", 405}, {"POST", "/destroy", "", 404}, {"POST", "/pause/now", "", 404},
		{"POST", "/pause", `{"for": "often"}`, 400}, {"POST", "/pause", `{"for": "-1h"}`, 400}, {"POST", "/pause", `{"by": "root"}`, 400},
		{"POST", "/resume", `{"reason": "a"}`, 400}, {"POST", "/apply", `{"revision": "a"}`, 400}, {"POST", "/pause", `{"reason": "` + strings.Repeat("a", 5000) + `"}`, 400},
	} {
		if code, body := d.call(c.method, c.path, "Bearer "+ada, c.body); code != c.want {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.path, c.body, code, body)
		}
	}
	if len(d.asked) > 0 {
		t.Error(d.asked)
	}
}

func TestAnswerSaysWhatBecameOfIt(t *testing.T) {
	for want, c := range map[int]door{
		200: {answer: reconciler.Answer{Said: "paused"}}, 409: {answer: reconciler.Answer{Error: "no revision"}},
		202: {err: context.DeadlineExceeded}, 503: {err: errors.New("nobody holds the project")},
	} {
		d := open(t)
		d.answer, d.err = c.answer, c.err
		if code, body := d.call("POST", "/apply", "Bearer "+ada, ""); code != want {
			t.Errorf("want %d: %d %s", want, code, body)
		}
	}
}

func TestCallsAreBounded(t *testing.T) {
	d, refused := open(t), 0
	for range 40 {
		if code, _ := d.call("POST", "/apply", "Bearer x", ""); code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < 15 {
		t.Errorf("%d of 40 calls were refused", refused)
	}
}

func TestTokensThatCannotBeReadAreRefusedWithoutShowingThem(t *testing.T) {
	for _, text := range []string{"", "# nobody\n", "hunter22-without-a-name", "ada hunter22", "a/b " + ada, "ada " + ada + " more"} {
		if _, err := control.ParseTokens(text); err == nil || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
