package spec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/spec"
)

const canary = "canary-7f3a"

// hiding places a secret where the methods of its Value cannot be called.
type hiding struct {
	open   spec.Value
	nested struct{ fields map[string]spec.Value }
	list   []spec.Value
}

func TestSensitiveValueIsNeverPrinted(t *testing.T) {
	secret := spec.Sensitive(canary)
	service := spec.Service{Name: "db", Environment: map[string]spec.Value{"PASSWORD": secret}}
	hidden := hiding{open: secret, list: []spec.Value{secret}}
	hidden.nested.fields = spec.Fields{"env.PASSWORD": secret}
	things := []any{secret, &secret, service, &service, service.Fields(), hidden, &hidden, []any{secret}, errors.Join(fmt.Errorf("%v", secret))}
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3v", "%c", "%U", "%T"} {
			mustNotLeak(t, fmt.Sprintf(verb, thing))
		}
	}
}

func TestSensitiveValueIsNeverMarshalled(t *testing.T) {
	b, err := json.Marshal(map[string]any{"value": spec.Sensitive(canary), "fields": spec.Fields{"a": spec.Sensitive(canary)}})
	if err != nil {
		t.Fatal(err)
	}
	mustNotLeak(t, string(b))
	if want := `{"fields":{"a":"***"},"value":"***"}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
}

func TestSensitiveValueIsNeverLogged(t *testing.T) {
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", spec.Sensitive(canary))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", spec.Sensitive(canary))
	mustNotLeak(t, out.String())
}

func mustNotLeak(t *testing.T, printed string) {
	t.Helper()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(printed, form) {
			t.Errorf("leaked: %s", printed)
		}
	}
}

func TestPlainValuePrintsItsText(t *testing.T) {
	for verb, want := range map[string]string{"%v": "UTC", "%s": "UTC", "%q": `"UTC"`, "%5s": "  UTC", "%#v": `"UTC"`} {
		if got := fmt.Sprintf(verb, spec.Plain("UTC")); got != want {
			t.Errorf("%s gives %s, want %s", verb, got, want)
		}
	}
}

func TestValuesCompareByTextAndPresence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		for _, pair := range [][2]spec.Value{
			{spec.Plain(a), spec.Plain(b)}, {spec.Plain(a), spec.Sensitive(b)}, {spec.Sensitive(a), spec.Sensitive(b)}, {spec.Plain(a).Hide(), spec.Plain(b)},
		} {
			if pair[0].Equal(pair[1]) != (a == b) {
				t.Fatalf("%q and %q compare wrong", a, b)
			}
		}
		if spec.Plain(a).Hide().Reveal() != a || spec.Sensitive(a) != spec.Plain(a).Hide() {
			t.Fatal("hiding changed the value")
		}
	})
}

func TestAbsentValueIsNotAnEmptyOne(t *testing.T) {
	absent, empty := spec.Value{}, spec.Plain("")
	if absent.Equal(empty) || !absent.IsZero() || empty.IsZero() || absent.Hide() != absent {
		t.Error("absent and empty are taken for the same")
	}
	b, err := json.Marshal([]spec.Value{absent, empty})
	if err != nil || string(b) != `[null,""]` {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestValueSurvivesJSONUnlessItWasMasked(t *testing.T) {
	for _, v := range []spec.Value{{}, spec.Plain(""), spec.Plain("a \"b\"\n")} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got := spec.Sensitive("old")
		if err := json.Unmarshal(b, &got); err != nil || got != v {
			t.Errorf("%s came back as %q, %v", b, got, err)
		}
	}
	var got spec.Value
	if err := json.Unmarshal([]byte(`"***"`), &got); err != nil || got != spec.Plain(spec.Masked) {
		t.Errorf("the mask came back as %q, %v", got, err)
	}
}

func TestSensitiveNameKnowsSecretsByTheirName(t *testing.T) {
	for name, want := range map[string]bool{
		"POSTGRES_PASSWORD": true, "PGPASSWORD": true, "MYSQL_PWD": true, "db_pass": true, "PASSPHRASE": true, "passwd": true,
		"AWS_SECRET_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "MINIO_ROOT_PASSWORD": true, "SUPERSET_SECRET_KEY": true,
		"apiToken": true, "api-key": true, "apikey": true, "GPG_KEY": true, "KEY": true, "signing-key": true, "CREDENTIALS": true,
		"JUPYTER_TOKEN": true, "private.key": true,

		"POSTGRES_USER": false, "TZ": false, "MONKEY": false, "KEYBOARD": false, "PATH": false, "HOST": false,
		"COMPASS": false, "BYPASS_PROXY": false, "KEYCLOAK_URL": false, "": false,
	} {
		if got := spec.SensitiveName(name); got != want {
			t.Errorf("SensitiveName(%q) is %v", name, got)
		}
	}
}

func TestURLPasswordIsFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"postgres://user:hush@db/shop":               "hush",
		"jdbc:postgresql://user:p%40ss@db:5432/shop": "p%40ss",
		"amqp://:hush@queue":                         "hush",
		"postgres://user@db/shop":                    "",
		"http://db:9000/a@b":                         "",
		"user:hush@db":                               "",
		"":                                           "",
	} {
		if got := spec.URLPassword(text); got != want {
			t.Errorf("URLPassword(%q) is %q, want %q", text, got, want)
		}
	}
}
