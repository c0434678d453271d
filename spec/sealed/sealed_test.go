package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// The files of testdata were made by the real age and sops; testdata/make makes them anew.

func read(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func keys(name string) *Keys {
	return &Keys{All: []Key{{Name: "--age-key-file", File: "testdata/" + name}}}
}

func mustOpen(t testing.TB, name string) Opened {
	t.Helper()
	o, err := keys("key.txt").Open(read(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return o
}

func TestKindsAreToldByWhatAFileHolds(t *testing.T) {
	for name, want := range map[string]Kind{
		"binary.age": Age, "armored.age": Age, "sops.env": Dotenv, "sops.yaml": YAML, "sops.json": JSON, "sops.bin": Binary, "sops.ini": INI,
		"regex.yaml": YAML, "plain.env": None, "plain.yaml": None, "plain.json": None, "plain.bin": None, "key.txt": None, "make": None,
	} {
		if got := Of(read(t, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, text := range []string{"", "sops: {mac: x}\n", "a: \"ENC[AES256_GCM,\"\n", "sops: [ENC[AES256_GCM,", "# sops:\n# mac: ENC[AES256_GCM,\na: b\n"} {
		if got := Of([]byte(text)); got != None {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func TestWholeFilesOpen(t *testing.T) {
	for _, name := range []string{"binary.age", "armored.age"} {
		o := mustOpen(t, name)
		if d := cmp.Diff(string(read(t, "plain.env")), string(o.Content)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if o := mustOpen(t, "sops.bin"); !bytes.Equal(o.Content, read(t, "plain.bin")) {
		t.Errorf("%q", o.Content)
	}
}

func TestSOPSFilesOpenAsSOPSOpensThem(t *testing.T) {
	for name, as := range map[string]string{
		"sops.yaml": "opened.yaml", "regex.yaml": "opened.yaml", "suffix.yaml": "opened.yaml", "mac-only.yaml": "opened.yaml", "two.yaml": "opened.yaml", "sops.json": "opened.json",
	} {
		o := mustOpen(t, name)
		var got, want any
		if err := yaml.Unmarshal(o.Content, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, o.Content)
		}
		if err := yaml.Unmarshal(read(t, as), &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if o.Kind == JSON && !json.Valid(o.Content) {
			t.Errorf("%s is no JSON: %s", name, o.Content)
		}
		if bytes.Contains(o.Content, []byte("ENC[")) || bytes.Contains(o.Content, []byte("sops")) {
			t.Errorf("%s: something is left in it:\n%s", name, o.Content)
		}
	}
	for _, name := range []string{"sops.env", "mac-only.env"} {
		o := mustOpen(t, name)
		if got, want := string(o.Content), "DB_PASSWORD=canary-dotenv\nEMPTY=\nLINES=one\\ntwo\nNAME_unencrypted=open\n"; got != want {
			t.Errorf("%s: %q", name, got)
		}
		if o.Open["DB_PASSWORD"] || !o.Open["NAME_unencrypted"] {
			t.Errorf("%s: %v", name, o.Open)
		}
	}
}

func TestWhatWasEncryptedIsSecretAndNothingElse(t *testing.T) {
	for name, want := range map[string][]string{
		"sops.env":   {"canary-dotenv", "one\ntwo"},
		"regex.yaml": {"canary-yaml"},
		"sops.yaml":  {"canary-yaml", "5432", "0.5", "0123", "first line of canary\nsecond line\n", "canary-one", "canary-two"},
	} {
		if d := cmp.Diff(want, mustOpen(t, name).Secrets); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestFileThatWasChangedDoesNotOpen(t *testing.T) {
	dotenv, document, whole := string(read(t, "sops.env")), string(read(t, "sops.yaml")), read(t, "binary.age")
	lines := strings.Split(dotenv, "\n")
	valueOf := func(name string) string {
		for _, line := range lines {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value
			}
		}
		t.Fatalf("no %s", name)
		return ""
	}
	for name, changed := range map[string]string{
		"an open value":     strings.Replace(dotenv, "NAME_unencrypted=open", "NAME_unencrypted=shut", 1),
		"a new open value":  "MORE_unencrypted=x\n" + dotenv,
		"a value less":      strings.Replace(dotenv, "LINES="+valueOf("LINES")+"\n", "", 1),
		"values swapped":    strings.NewReplacer(valueOf("LINES"), valueOf("DB_PASSWORD"), valueOf("DB_PASSWORD"), valueOf("LINES")).Replace(dotenv),
		"not encrypted":     strings.Replace(dotenv, valueOf("DB_PASSWORD"), "plain", 1),
		"emptied":           strings.Replace(dotenv, valueOf("DB_PASSWORD"), "", 1),
		"another time":      strings.Replace(dotenv, valueOf("sops_lastmodified"), "2020-01-01T00:00:00Z", 1),
		"a value as MAC":    strings.Replace(dotenv, valueOf("sops_mac"), valueOf("LINES"), 1),
		"one rule more":     dotenv + "sops_unencrypted_regex=DB\n",
		"a value of YAML":   strings.Replace(document, "port_unencrypted: 80", "port_unencrypted: 81", 1),
		"another key":       strings.Replace(document, "password:", "passwort:", 1),
		"age, cut off":      string(whole[:len(whole)-1]),
		"age, changed":      string(whole[:len(whole)-1]) + "x",
		"age, another head": strings.Replace(string(whole), "X25519", "X25518", 1),
	} {
		o, err := keys("key.txt").Open([]byte(changed))
		if err == nil || len(o.Content) > 0 {
			t.Errorf("%s: opened: %v", name, err)
			continue
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: it quotes a secret: %v", name, err)
		}
	}
	// Without its MAC.
	var without []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "sops_mac=") {
			without = append(without, line)
		}
	}
	if o, err := keys("key.txt").openDotenv([]byte(strings.Join(without, "\n"))); err == nil || len(o.Content) > 0 {
		t.Errorf("without a MAC: %v", err)
	}
}

func TestKeysThatDoNotOpenAreSaid(t *testing.T) {
	secret := string(read(t, "key.txt"))
	for name, c := range map[string]struct {
		keys *Keys
		says string
	}{
		"none":     {nil, "no key is named"},
		"empty":    {&Keys{}, "--age-key-file"},
		"another":  {keys("other.txt"), "none of the keys of --age-key-file opens it"},
		"no file":  {keys("missing.txt"), "the key file of --age-key-file"},
		"no key":   {&Keys{All: []Key{{Name: "FLUMEN_AGE_KEY", Text: "AGE-SECRET-KEY-1CANARY"}}}, "FLUMEN_AGE_KEY has no key that can be read"},
		"one is":   {&Keys{All: []Key{{Name: "a", File: "testdata/other.txt"}, {Name: "b", Text: secret}}}, ""},
		"two in 1": {&Keys{All: []Key{{Name: "a", Text: string(read(t, "other.txt")) + secret}}}, ""},
	} {
		for _, file := range []string{"binary.age", "sops.env", "sops.yaml"} {
			_, err := c.keys.Open(read(t, file))
			if c.says == "" {
				if err != nil {
					t.Errorf("%s, %s: %v", name, file, err)
				}
				continue
			}
			var key *KeyError
			if !errors.As(err, &key) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s, %s: %v", name, file, err)
			}
		}
	}
	var hidden []string
	k := &Keys{All: []Key{{Name: "a", Text: secret}}, Hide: func(text string) { hidden = append(hidden, text) }}
	if _, err := k.Open(read(t, "binary.age")); err != nil || len(hidden) != 1 || !strings.HasPrefix(hidden[0], "AGE-SECRET-KEY-") {
		t.Errorf("%v %v", hidden, err)
	}
}

func TestFilesThatAreNotForAKeyAreRefusedByName(t *testing.T) {
	if _, err := keys("key.txt").Open(read(t, "sops.ini")); err == nil || !strings.Contains(err.Error(), "INI") {
		t.Errorf("INI: %v", err)
	}
	dotenv := string(read(t, "sops.env"))
	for name, c := range map[string]struct{ add, says string }{
		"groups":   {"sops_key_groups__list_0__map_age__list_0__map_enc=x\n", "several groups"},
		"comments": {"sops_encrypted_comment_regex=x\n", "depends on comments"},
		"pattern":  {"sops_encrypted_regex=(\n", "not a pattern"},
	} {
		if _, err := keys("key.txt").Open([]byte(dotenv + c.add)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := keys("key.txt").Open([]byte("A=x\nsops_pgp__list_0__map_enc=x\nsops_mac=ENC[AES256_GCM,data:x]\n")); err == nil || !strings.Contains(err.Error(), "not encrypted for age") {
		t.Errorf("for others: %v", err)
	}
}

func TestWhatAgeEncryptsNowOpens(t *testing.T) {
	if _, err := exec.LookPath("age"); err != nil {
		enginetest.Lacks(t, "age")
	}
	public, err := exec.Command("age-keygen", "-y", "testdata/key.txt").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"-a"}} {
		cmd := exec.Command("age", append(flags, "-r", strings.TrimSpace(string(public)))...)
		cmd.Stdin = strings.NewReader("canary")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if o, err := keys("key.txt").Open(out); err != nil || string(o.Content) != "canary" {
			t.Errorf("%v: %q %v", flags, o.Content, err)
		}
	}
}

func FuzzSOPS(f *testing.F) {
	for _, name := range []string{"sops.env", "sops.yaml", "sops.json", "sops.bin", "regex.yaml", "mac-only.env"} {
		f.Add(read(f, name))
	}
	f.Add([]byte("ENC[AES256_GCM,data:,iv:eA==,tag:eA==,type:str]\nsops_mac=x\n"))
	k := keys("key.txt")
	f.Fuzz(func(t *testing.T, content []byte) {
		kind := Of(content)
		if kind == None || kind == Age {
			return
		}
		o, err := k.Open(content)
		if err != nil {
			return
		}
		// Nobody but who has the data key can make values, so what opens holds the seeds' alone.
		for _, secret := range o.Secrets {
			found := false
			for _, seed := range []string{"canary", "one\ntwo", "5432", "0.5", "True", "0123", "first line", "1", "2.5", "x"} {
				found = found || strings.Contains(secret, seed)
			}
			if !found {
				t.Errorf("%q comes out of %q", secret, content)
			}
		}
	})
}
