package compose

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/flumendata/flumen-agent/spec/sealed"
)

func TestEncryptedEnvFilesCannotAskForTheAgentsOwnVariables(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]string{
		".env":    "services: {web: {image: x}}\n",
		"web.env": "services: {web: {image: x, env_file: [web.env]}}\n",
	} {
		dir := write(t, "flumen.yaml", spec)
		var closed bytes.Buffer
		w, err := age.Encrypt(&closed, key.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte("FLUMEN_MINE=1\nA=${FLUMEN_MINE}\nB=${FLUMEN_AGE_KEY}\n"))
		w.Close()
		if err := os.WriteFile(filepath.Join(dir, name), closed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		o := options(dir, "FLUMEN_AGE_KEY="+key.String())
		o.Keys = &sealed.Keys{All: []sealed.Key{{Name: "FLUMEN_AGE_KEY", Text: key.String()}}}
		l, err := Load(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "FLUMEN_AGE_KEY: variables of that name are the agent's own") || strings.Contains(err.Error(), "FLUMEN_MINE") {
			t.Errorf("%s: %v", name, err)
		}
		if l.Desired.Project != "" || l.Variables["B"].String() == key.String() {
			t.Errorf("%s: it loads", name)
		}
	}
}

func TestLinksToWhatProcessesWereStartedWithAreNotRead(t *testing.T) {
	t.Setenv("FLUMEN_CANARY", "hunter22canary")
	dir := write(t, "flumen.yaml", "services: {web: {image: x, secrets: [s]}}\nsecrets: {s: {file: s}}\n")
	if err := os.Symlink("/proc/self/environ", filepath.Join(dir, "s")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), options(dir)); err == nil || !strings.Contains(err.Error(), "is of a process") {
		t.Error(err)
	}
}
