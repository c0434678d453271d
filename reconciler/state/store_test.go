package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

var db = spec.Ref{Kind: spec.KindService, Name: "db"}

// open opens a memory until the test ends.
func open(t *testing.T, path string) *state.Store {
	t.Helper()
	s, broken, err := state.Open(t.Context(), path, state.Options{})
	if err != nil || broken != nil {
		t.Fatal(err, broken)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// run is a report of a run that did something to db.
func run(revision string) report.Report {
	return report.Report{
		Project: "p", Revision: spec.Revision{ID: revision}, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Steps: []report.Step{{
			Verb: plan.VerbReplace, Ref: db, Outcome: report.Done, Reason: "differs in env.TZ",
			Fields: []drift.Field{{Name: "env.TZ", Want: spec.Plain("UTC"), Have: spec.Sensitive("hidden")}},
		}},
		Ready: true,
	}
}

func TestNotesAreRecalledByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b.db")
	first := open(t, path)
	if err := errors.Join(first.Remember(t.Context(), "n", 1), first.Remember(t.Context(), "n", 2), first.Close()); err != nil {
		t.Fatal(err)
	}
	n, nothing := 0, 7
	second := open(t, path)
	if err := errors.Join(second.Recall(t.Context(), "n", &n), second.Recall(t.Context(), "other", &nothing)); err != nil || n != 2 || nothing != 7 {
		t.Error(err, n, nothing)
	}
}

func TestNobodyElseMayReadTheMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "p.db")
	s := open(t, path)
	if err := s.Remember(t.Context(), "n", 1); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatal(err, files)
	}
	for _, name := range append(files, filepath.Dir(path)) {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Error(name, info.Mode(), err)
		}
	}
}

func TestHistoryGivesRunsBackAsTheyWere(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	other := run("2")
	other.Steps[0].Ref.Name = "web"
	if err := errors.Join(s.Record(t.Context(), run("1")), s.Record(t.Context(), other)); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(t.Context(), 10)
	if err != nil || len(runs) != 2 || runs[0].Report.Revision.ID != "2" {
		t.Fatal(err, runs)
	}
	of, err := s.RunsOf(t.Context(), db, 10)
	if err != nil || len(of) != 1 {
		t.Fatal(err, of)
	}
	expected := run("1")
	expected.Steps[0].Fields[0].Have = spec.Plain(spec.Masked) // what was hidden stays so
	expected.Before, expected.After, expected.Held = drift.Drift{}, drift.Drift{}, []plan.Held{}
	if diff := cmp.Diff(fmt.Sprintf("%+v", expected), fmt.Sprintf("%+v", of[0].Report)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Run(t.Context(), 99); !errors.Is(err, state.ErrNoRun) {
		t.Error(err)
	}
}

func TestLastActsAreTheRunsThatLeftThingsAsTheyAre(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	web := run("2")
	web.Steps[0].Ref.Name = "web"
	if err := errors.Join(s.Record(t.Context(), run("1")), s.Record(t.Context(), web), s.Record(t.Context(), run("3"))); err != nil {
		t.Fatal(err)
	}
	var got []string
	runs, err := s.LastActs(t.Context())
	for _, one := range runs {
		got = append(got, one.Report.Revision.ID)
	}
	if err != nil || !slices.Equal(got, []string{"3", "2"}) {
		t.Errorf("%q (%v)", got, err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	s := open(t, path)
	long := run("1")
	long.Steps[0].Log = []string{strings.Repeat("x", 2<<20)}
	for range 40 {
		if err := s.Record(t.Context(), long); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := s.Runs(t.Context(), 1000)
	if err != nil || len(runs) == 0 || len(runs) > 8 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	s.Close()
	if info, err := os.Stat(path); err != nil || info.Size() > 24<<20 {
		t.Error(info.Size(), err)
	}
}

func TestSecretsAreHiddenBeforeTheyAreWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	s, _, err := state.Open(t.Context(), path, state.Options{Hide: func(b []byte) []byte {
		return []byte(strings.ReplaceAll(string(b), "hunter2", "***"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	bad := run("1")
	bad.Steps[0].Log = []string{"cannot log in with hunter2"}
	_, askErr := s.Ask(t.Context(), "pause", "because hunter2 leaked")
	if err := errors.Join(s.Record(t.Context(), bad), s.Remember(t.Context(), "n", "hunter2"), askErr, s.Answer(t.Context(), 1, "hunter2")); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	for _, name := range files {
		if b, err := os.ReadFile(name); err != nil || strings.Contains(string(b), "hunter2") {
			t.Error(name, err)
		}
	}
	s.Close()
}

func TestBrokenMemoryIsSetAside(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"garbage":   func(b []byte) []byte { return []byte(strings.Repeat("no database ", 1000)) },
		"truncated": func(b []byte) []byte { return b[:len(b)/2+100] },
		"overwritten": func(b []byte) []byte {
			copy(b[4096:], strings.Repeat("\xff", len(b)-4096))
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p.db")
			s := open(t, path)
			for range 50 {
				if err := s.Record(t.Context(), run("1")); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, harm(b), 0o600); err != nil {
				t.Fatal(err)
			}
			s, broken, err := state.Open(t.Context(), path, state.Options{})
			if err != nil || broken == nil {
				t.Fatal(err, broken)
			}
			defer s.Close()
			if _, err := os.Stat(broken.Aside); err != nil || !strings.Contains(broken.Error(), path) {
				t.Error(err, broken)
			}
			if err := s.Record(t.Context(), run("1")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMemoryOfANewerAgentIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	s := open(t, path)
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[63] = 99 // user_version, at offset 60
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, broken, err := state.Open(t.Context(), path, state.Options{}); err == nil || broken != nil || !strings.Contains(err.Error(), "newer flumen-agent") {
		t.Error(err, broken)
	}
}

func TestFullDiskLosesNothingThatWasWritten(t *testing.T) {
	dir := enginetest.SmallDisk(t, "1m")
	path := filepath.Join(dir, "p.db")
	s := open(t, path)
	if err := s.Remember(t.Context(), "n", "before"); err != nil {
		t.Fatal(err)
	}
	long, full := run("1"), error(nil)
	long.Steps[0].Log = []string{strings.Repeat("x", 200<<10)}
	for range 20 {
		full = errors.Join(full, s.Record(t.Context(), long))
	}
	if full == nil {
		t.Fatal("the disk never got full")
	}
	s.Close()
	var n string
	if err := open(t, path).Recall(t.Context(), "n", &n); err != nil || n != "before" {
		t.Error(n, err)
	}
}

// TestWriter is no test: it is a process that writes until it is killed.
func TestWriter(t *testing.T) {
	path := os.Getenv("FLUMEN_TEST_WRITE")
	if path == "" {
		t.Skip("runs only as a process of its own")
	}
	s, _, err := state.Open(context.Background(), path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		if err := errors.Join(s.Record(context.Background(), run(fmt.Sprint(n))), s.Remember(context.Background(), "n", n)); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}

func TestKilledWriterLosesAtMostWhatItWasWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	for round := range 5 {
		writer := exec.Command(os.Args[0], "-test.run=^TestWriter$")
		writer.Env = append(os.Environ(), "FLUMEN_TEST_WRITE="+path)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		last, n := 0, 0
		for n < 20+round {
			if _, err := fmt.Fscan(out, &n); err != nil {
				t.Fatal(err)
			}
			last = n
		}
		writer.Process.Kill()
		writer.Wait()
		s := open(t, path)
		runs, err := s.Runs(t.Context(), 1)
		kept := 0
		if err := errors.Join(err, s.Recall(t.Context(), "n", &kept)); err != nil || kept < last || len(runs) != 1 {
			t.Errorf("kept %d of %d, %d runs, %v", kept, last, len(runs), err)
		}
		s.Close()
	}
}

func TestRequestIsAnsweredByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	agent, person := open(t, path), open(t, path)
	id, err := person.Ask(t.Context(), "apply", map[string]string{"revision": "1"})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := agent.Asked(t.Context())
	if err != nil || len(asked) != 1 || asked[0].Verb != "apply" || string(asked[0].Args) != `{"revision":"1"}` {
		t.Fatal(err, asked)
	}
	if err := agent.Answer(t.Context(), id, "done"); err != nil {
		t.Fatal(err)
	}
	answer := ""
	if err := person.Await(t.Context(), id, &answer, func() bool { return true }); err != nil || answer != "done" {
		t.Error(answer, err)
	}
	if asked, _ := agent.Asked(t.Context()); len(asked) > 0 {
		t.Error("it is still there")
	}
}

func TestRequestThatNobodyCanAnswerIsWithdrawn(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	id, err := s.Ask(t.Context(), "apply", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Await(t.Context(), id, new(string), func() bool { return false }); !errors.Is(err, state.ErrWithdrawn) {
		t.Error(err)
	}
	if asked, _ := s.Asked(t.Context()); len(asked) > 0 {
		t.Error("it is still there")
	}
}
