package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes a stub and gives its path.
func program(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stub")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestProgramGivesWhatItPrintsWithoutTheNewline(t *testing.T) {
	r := Runner{Environ: []string{"TOKEN=t0ken"}}
	got, err := r.Run(t.Context(), []string{program(t, `printf '%s\n%s %s\n' "$1" "$TOKEN" "$PWD"`), "a b; $(id)"})
	if err != nil || got != "a b; $(id)\nt0ken /" {
		t.Errorf("%q %v", got, err)
	}
}

func TestProgramsThatFailAreNamedAndNotQuoted(t *testing.T) {
	for name, c := range map[string]struct {
		words []string
		says  string
	}{
		"exit":     {[]string{program(t, "echo canary; echo canary >&2; exit 3"), "canary"}, "exit status 3"},
		"nothing":  {[]string{program(t, "echo canary >&2")}, "printed nothing"},
		"too much": {[]string{program(t, "while :; do echo canary; done")}, "printed more than 500 KiB"},
		"too long": {[]string{program(t, "echo canary; sleep 60 & wait")}, "did not end within"},
		"missing":  {[]string{"/nowhere/program", "canary"}, "cannot be run"},
		"relative": {[]string{"./get-secret", "canary"}, "relative path"},
		"none":     {nil, "no program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Runner{limit: 2 * time.Second}
			before := time.Now()
			got, err := r.Run(t.Context(), c.words)
			if err == nil || got != "" || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q %v", got, err)
			}
			if took := time.Since(before); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestProgramThatFailedIsNotRunAgainAtOnce(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	words := []string{program(t, "echo x >> "+count+"; exit 1")}
	var r Runner
	for range 3 {
		if _, err := r.Run(t.Context(), words); err == nil {
			t.Fatal("no error")
		}
	}
	if runs, err := os.ReadFile(count); err != nil || string(runs) != "x\n" {
		t.Errorf("%q %v", runs, err)
	}
}
