package status_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/status"
)

func TestAgentIsReadyWhenItKnowsHowItsProjectStands(t *testing.T) {
	for name, c := range map[string]struct {
		standing status.Standing
		code     int
		says     string
	}{
		"nothing has loaded":  {status.Standing{}, 503, "no spec has loaded"},
		"looked too long ago": {bad, 503, "looked at for too long"},
		"looked":              {good, 200, "ok"},
	} {
		if code, text := get(t, board(c.standing), "/readyz"); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", name, code, text)
		}
		if code, _ := get(t, board(c.standing), "/healthz"); code != 200 {
			t.Errorf("%s: it is not alive: %d", name, code)
		}
	}
}

func TestStatusIsThatOfTheLastLookWithWhatTheAgentSays(t *testing.T) {
	code, text := get(t, troubled(t), "/status")
	var got struct {
		Project string
		Ready   bool
		Tiers   []struct {
			Name      string
			Ready     bool
			Resources []struct{ Ref, State, Verdict string }
		}
		Extra []struct{ Ref string }
		Kept  struct {
			Paused      bool
			Trouble     string
			Quarantined []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || code != 200 {
		t.Fatalf("%d %v:\n%s", code, err, text)
	}
	trino := got.Tiers[1].Resources[1]
	if got.Project != "lake" || got.Ready || got.Tiers[0].Ready || trino.Ref != "service/trino" || trino.Verdict != "changed" || got.Extra[1].Ref != "service/old" {
		t.Errorf("%s", text)
	}
	if !got.Kept.Paused || got.Kept.Trouble != "no route to host" || len(got.Kept.Quarantined) != 1 {
		t.Errorf("%+v", got.Kept)
	}
}

func TestStatusBeforeTheFirstLookIsAnError(t *testing.T) {
	if code, text := get(t, board(good), "/status"); code != 503 || !json.Valid([]byte(text)) || !strings.Contains(text, "nothing has been looked at yet") {
		t.Errorf("%d %s", code, text)
	}
}

func TestStatusHidesSecrets(t *testing.T) {
	b := status.New(status.Options{
		Standing: func() (status.Standing, bool) { return bad, true },
		Hide: func(text []byte) []byte {
			return []byte(strings.ReplaceAll(string(text), "no route to host", "***"))
		},
	})
	b.Reported(run(t, noon, "everything"))
	if _, text := get(t, b, "/status"); strings.Contains(text, "no route") || !strings.Contains(text, `"trouble": "***"`) {
		t.Error(text)
	}
}

func TestNothingCanBeChangedHere(t *testing.T) {
	for _, path := range []string{"/healthz", "/readyz", "/status"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			w := httptest.NewRecorder()
			board(good).Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != 405 {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
}
