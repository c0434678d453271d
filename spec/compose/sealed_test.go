package compose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/spec"
	"github.com/flumendata/flumen-agent/spec/sealed"
)

// sealedFile is one of those that the real age and sops made.
func sealedFile(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../sealed/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// withKey are options that open these files.
func withKey(o Options, key string) Options {
	o.Keys = &sealed.Keys{All: []sealed.Key{{Name: "--age-key-file", File: filepath.Join("../sealed/testdata", key)}}}
	return o
}

func theService(t testing.TB, l Loaded) *spec.Service {
	t.Helper()
	all := spec.Resources[*spec.Service](l.Desired)
	if len(all) != 1 {
		t.Fatalf("%d services", len(all))
	}
	return all[0]
}

// mustHide fails if the fields of a service show a secret.
func mustHide(t testing.TB, l Loaded, secrets ...string) {
	t.Helper()
	fields := theService(t, l).Fields()
	for _, name := range fields.Names() {
		if shown := fields[name].String(); strings.Contains(shown, "canary") {
			t.Errorf("%s shows %s", name, shown)
		}
	}
	for _, secret := range secrets {
		if !slices.Contains(l.Secrets, secret) {
			t.Errorf("%q is not among the secrets: %q", secret, l.Secrets)
		}
	}
}

func TestEncryptedEnvFileOfTheRootIsOpened(t *testing.T) {
	for name, file := range map[string]string{".env": "sops.env", "age.env": "armored.age", "binary.env": "binary.age"} {
		text := "services: {web: {image: x, environment: {PLAIN_NAME: \"${DB_PASSWORD}\", OPEN: \"${NAME_unencrypted}\"}, command: [run, \"${DB_PASSWORD}\"]}}\n"
		if name != ".env" {
			text = "env_file: " + name + "\n" + text
		}
		dir := write(t, "flumen.yaml", text, name, sealedFile(t, file))
		l := mustLoad(t, withKey(options(dir), "key.txt"))
		if got := theService(t, l).Environment["PLAIN_NAME"].Reveal(); got != "canary-dotenv" {
			t.Errorf("%s: %q", file, got)
		}
		mustHide(t, l, "canary-dotenv")
		if got := l.Variables["DB_PASSWORD"].String(); got != spec.Masked {
			t.Errorf("the variable is %s", got)
		}
		if got := theService(t, l).Environment["OPEN"].String(); file == "sops.env" && got != "open" {
			t.Errorf("what was left open is %q", got)
		}
		if key, err := filepath.Abs("../sealed/testdata/key.txt"); err != nil || !slices.Contains(l.Files, key) {
			t.Errorf("the key is not among the files: %q", l.Files)
		}
	}
}

func TestEncryptedEnvFileOfAServiceIsOpenedInItsTurn(t *testing.T) {
	dir := write(t, "flumen.yaml", "services: {web: {image: x, env_file: [a.env, b.env, c.env], environment: {STATED: here}}}\n",
		"a.env", "DB_PASSWORD=earlier\nA=a\nSTATED=there\n", "b.env", sealedFile(t, "sops.env"), "c.env", "A=later\nFROM=${DB_PASSWORD:-none}\n")
	l := mustLoad(t, withKey(options(dir), "key.txt"))
	env := theService(t, l).Environment
	for name, want := range map[string]string{"DB_PASSWORD": "canary-dotenv", "A": "later", "STATED": "here", "NAME_unencrypted": "open", "EMPTY": ""} {
		if got := env[name].Reveal(); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	mustHide(t, l, "canary-dotenv")
}

func TestEncryptedSecretsAndConfigsAreHandedOverOpened(t *testing.T) {
	for file, want := range map[string]string{
		"sops.yaml": "password: canary-yaml", "sops.json": `"password": "canary <json> ü"`, "sops.bin": "canary\x00binary\xff", "armored.age": "DB_PASSWORD=canary-dotenv",
	} {
		for _, kind := range []string{"secrets", "configs"} {
			dir := write(t, "flumen.yaml", fmt.Sprintf("services: {web: {image: x, %s: [s]}}\n%s: {s: {file: sealed}}\n", kind, kind), "sealed", sealedFile(t, file))
			l := mustLoad(t, withKey(options(dir), "key.txt"))
			files := theService(t, l).Files
			if len(files) != 1 || !strings.Contains(files[0].Content.Reveal(), want) || files[0].Content.String() != spec.Masked {
				t.Errorf("%s as %s: %+v", file, kind, files)
			}
			mustHide(t, l)
		}
	}
}

func TestSecretOfAFileIsHiddenWhereverItStandsInTheSpec(t *testing.T) {
	dir := write(t, "flumen.yaml", "services: {web: {image: x, command: [run, --password=canary-yaml], configs: [s]}}\nconfigs: {s: {file: s.yaml}}\n", "s.yaml", sealedFile(t, "sops.yaml"))
	l := mustLoad(t, withKey(options(dir), "key.txt"))
	mustHide(t, l, "canary-yaml", "canary-two")
}

func TestRevisionOfAnEncryptedFileIsThatOfItsContent(t *testing.T) {
	dir := write(t, "flumen.yaml", "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: sealed}}\n", "sealed", sealedFile(t, "armored.age"))
	first := mustLoad(t, withKey(options(dir), "key.txt")).Desired.Revision.ID
	put(t, dir, "sealed", sealedFile(t, "binary.age")) // the same, encrypted again
	if again := mustLoad(t, withKey(options(dir), "key.txt")).Desired.Revision.ID; again != first {
		t.Errorf("%s became %s", first, again)
	}
	put(t, dir, "sealed", sealedFile(t, "sops.yaml"))
	if other := mustLoad(t, withKey(options(dir), "key.txt")).Desired.Revision.ID; other == first {
		t.Error("another content is the same revision")
	}
}

func TestEncryptedFilesThatCannotBeUsedAreFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spec, file, key string
		says            []string
		passes          bool
	}{
		"wrong key":     {"services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: sealed}}\n", "sops.yaml", "other.txt", []string{"sealed is encrypted (SOPS (YAML))", "none of the keys of --age-key-file"}, true},
		"missing key":   {"env_file: sealed\nservices: {web: {image: x}}\n", "sops.env", "missing.txt", []string{"sealed is encrypted", "missing.txt"}, true},
		"no key":        {"services: {web: {image: x, env_file: sealed}}\n", "sops.env", "", []string{"sealed is encrypted", "no key is named"}, true},
		"INI":           {"services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: sealed}}\n", "sops.ini", "key.txt", []string{"INI"}, false},
		"bound":         {"services: {web: {image: x, volumes: [\"./sealed:/etc/s\"]}}\n", "sops.yaml", "key.txt", []string{"sealed is encrypted, and would be mounted as it is", "secret or config"}, false},
		"read only":     {"services: {web: {image: x, read_only: true, secrets: [s]}}\nsecrets: {s: {file: sealed}}\n", "armored.age", "key.txt", []string{"sealed is encrypted", "read_only"}, false},
		"no env file":   {"services: {web: {image: x, env_file: sealed}}\n", "sops.yaml", "key.txt", []string{"is no env file", "dotenv"}, false},
		"of an include": {"tiers: [{name: a, include: [{path: a.yaml, env_file: sealed}]}]\n", "sops.env", "key.txt", []string{"included file cannot be encrypted"}, false},
	} {
		dir := write(t, "flumen.yaml", c.spec, "a.yaml", "services: {web: {image: x}}\n", "sealed", sealedFile(t, c.file))
		o := options(dir)
		if c.key != "" {
			o = withKey(o, c.key)
		}
		l, err := Load(t.Context(), o)
		if err == nil {
			t.Errorf("%s: it loads", name)
			continue
		}
		for _, text := range c.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", name, err, text)
			}
		}
		if strings.Contains(err.Error(), "canary") || Passes(err) != c.passes {
			t.Errorf("%s: %v (passes: %v)", name, err, Passes(err))
		}
		if len(spec.Resources[*spec.Service](l.Desired)) > 0 {
			t.Errorf("%s: there is a desired state", name)
		}
	}
}

func TestSecretComesFromACommandOnce(t *testing.T) {
	dir := write(t, "flumen.yaml", `services:
  web: {image: x, secrets: [db], environment: {SHOWN: canary-of-command}}
  api: {image: x, secrets: [db]}
secrets:
  db: {x-flumen: {command: [vault, "-field=${FIELD}", secret/db]}}
  unused: {x-flumen: {command: [never]}}
`)
	o := options(dir, "FIELD", "password")
	var ran [][]string
	o.Command = func(_ context.Context, words []string) (string, error) {
		ran = append(ran, words)
		return "canary-of-command", nil
	}
	l := mustLoad(t, o)
	if len(ran) != 1 || !slices.Equal(ran[0], []string{"vault", "-field=password", "secret/db"}) {
		t.Errorf("it ran %q", ran)
	}
	for _, s := range spec.Resources[*spec.Service](l.Desired) {
		if len(s.Files) != 1 || s.Files[0].Content.Reveal() != "canary-of-command" || s.Files[0].Target != "/run/secrets/db" {
			t.Errorf("%s: %+v", s.Name, s.Files)
		}
		for name, field := range s.Fields() {
			if strings.Contains(field.String(), "canary") {
				t.Errorf("%s shows %s", name, field)
			}
		}
	}
	first := l.Desired.Revision.ID
	if again := mustLoad(t, o).Desired.Revision.ID; again != first {
		t.Error("the revision changed without a change of the secret")
	}
	o.Command = func(context.Context, []string) (string, error) { return "canary-number-two", nil }
	if other := mustLoad(t, o).Desired.Revision.ID; other == first {
		t.Error("another secret is the same revision")
	}
}

func TestCommandsThatDoNotRunAreFaults(t *testing.T) {
	failing := func(context.Context, []string) (string, error) { return "", errors.New("vault: exit status 2") }
	for text, c := range map[string]struct {
		run    func(context.Context, []string) (string, error)
		says   string
		passes bool
	}{
		"command: [vault]":    {nil, "--allow-secret-commands", false},
		"command: [vault, x]": {failing, "the command of secrets.db: vault: exit status 2", true},
		"command: vault":      {failing, "must be a list", false},
		"command: []":         {failing, "must be a list", false},
		"comand: [vault]":     {failing, `unknown key "comand"`, false},
	} {
		dir := write(t, "flumen.yaml", "services: {web: {image: x, secrets: [db]}}\nsecrets: {db: {x-flumen: {"+text+"}}}\n")
		o := options(dir)
		o.Command = c.run
		_, err := Load(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), c.says) || Passes(err) != c.passes {
			t.Errorf("%s: %v", text, err)
		}
	}
	dir := write(t, "flumen.yaml", "services: {web: {image: x, secrets: [db]}}\nsecrets: {db: {file: x, x-flumen: {command: [vault]}}}\n", "x", "x")
	o := options(dir)
	o.Command = func(context.Context, []string) (string, error) { return "canary", nil }
	if _, err := Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "more than one source") {
		t.Errorf("two sources: %v", err)
	}
}
