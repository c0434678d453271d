package forge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/forge"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

const (
	token  = "glpat-hunter22-canary"
	first  = "1111111111111111111111111111111111111111"
	second = "2222222222222222222222222222222222222222"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// told is what a forge has taken.
type told struct{ Commit, State, Name, Description string }

// server is a forge that takes statuses as the documentation of its API says, and nothing else.
type server struct {
	*httptest.Server
	kind forge.Kind
	down chan func(http.ResponseWriter) // answers before it takes anything

	taken chan told
}

func serve(t *testing.T, kind forge.Kind) *server {
	s := &server{kind: kind, down: make(chan func(http.ResponseWriter), 16), taken: make(chan told, 16)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// shapes are path, header, its value, and the states of each kind.
var shapes = map[forge.Kind]struct {
	path, header, value, name string
	states                    []string
	most                      int // characters of a description
}{
	forge.GitHub: {`^/api/v3/repos/team/lake/statuses/([0-9a-f]{40})$`, "Authorization", "Bearer " + token, "context", []string{"error", "failure", "pending", "success"}, 140},
	forge.GitLab: {`^/git/api/v4/projects/team%2Fdata%2Flake/statuses/([0-9a-f]{40})$`, "PRIVATE-TOKEN", token, "name", []string{"pending", "running", "success", "failed", "canceled"}, 255},
	forge.Gitea:  {`^/api/v1/repos/team/lake/statuses/([0-9a-f]{40})$`, "Authorization", "token " + token, "context", []string{"pending", "success", "error", "failure", "warning"}, 255},
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case answer := <-s.down:
		answer(w)
		return
	default:
	}
	shape, body := shapes[s.kind], map[string]any{}
	path := regexp.MustCompile(shape.path).FindStringSubmatch(r.URL.EscapedPath())
	if r.Method != http.MethodPost || path == nil {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	if r.Header.Get(shape.header) != shape.value {
		http.Error(w, "who is that?", http.StatusUnauthorized)
		return
	}
	if s.kind == forge.GitHub && (r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-GitHub-Api-Version") != "2022-11-28") {
		http.Error(w, "which version?", http.StatusUnsupportedMediaType)
		return
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	state, _ := body["state"].(string)
	name, _ := body[shape.name].(string)
	description, _ := body["description"].(string)
	known := false
	for _, one := range shape.states {
		known = known || one == state
	}
	if err != nil || r.Header.Get("Content-Type") != "application/json" || !known || name == "" || len([]rune(description)) > shape.most || len(body) != 3 {
		http.Error(w, fmt.Sprint("cannot be processed: ", body), http.StatusUnprocessableEntity)
		return
	}
	w.WriteHeader(http.StatusCreated)
	s.taken <- told{path[1], state, name, description}
}

// repository is the address of each kind's project, as git has it.
var repository = map[forge.Kind]string{
	forge.GitHub: "git@github.example.org:team/lake.git",
	forge.GitLab: "https://gitlab.example.org/git/team/data/lake.git",
	forge.Gitea:  "ssh://git@forge.example.org:2222/team/lake",
}

func (s *server) teller(t *testing.T) *forge.Teller {
	t.Helper()
	address := s.URL
	if s.kind == forge.GitLab {
		address += "/git" // it can be below a path of its host
	}
	base, err := forge.ParseBase(address)
	if err != nil {
		t.Fatal(err)
	}
	project, err := forge.Find(repository[s.kind], forge.Project{Kind: s.kind, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	hide := func(text string) string { return regexp.MustCompile("canary").ReplaceAllString(text, "***") }
	return forge.NewTeller(forge.NewClient(project, token), hide, quiet)
}

// run has a teller run for as long as the test, or until stop.
func run(t *testing.T, teller *forge.Teller, m forge.Memory) (stop func()) {
	t.Helper()
	teller.Know(t.Context(), "lake", m)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { teller.Run(ctx) })
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	return stop
}

func memory(t *testing.T) *state.Store {
	t.Helper()
	m, err := state.OpenInMemory(t.Context(), "", state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestEachForgeIsToldByItsOwnAPI(t *testing.T) {
	words := map[forge.Kind][]string{
		forge.GitHub: {"pending", "failure", "success", "error"}, forge.GitLab: {"pending", "failed", "success", "canceled"}, forge.Gitea: {"pending", "failure", "success", "error"},
	}
	for kind, word := range words {
		t.Run(string(kind), func(t *testing.T) {
			s := serve(t, kind)
			teller := s.teller(t)
			run(t, teller, memory(t))
			var got []told
			say := func(tell func(forge.Status), status forge.Status, times int) {
				tell(status)
				for range times {
					got = append(got, <-s.taken)
				}
			}
			say(teller.Began, forge.Status{Commit: first, State: forge.Pending, Description: "converging"}, 1)
			say(teller.Tell, forge.Status{Commit: first, State: forge.Failure, Description: "the password canary\nis wrong"}, 1)
			say(teller.Tell, forge.Status{Commit: first, State: forge.Failure, Description: "again"}, 0)
			say(teller.Tell, forge.Status{Commit: first, State: forge.Success}, 1)
			say(teller.Began, forge.Status{Commit: first, State: forge.Pending}, 0) // a heal
			say(teller.Tell, forge.Status{Commit: first, State: forge.Pending}, 1)
			say(teller.Began, forge.Status{Commit: second, State: forge.Pending}, 2)
			want := []told{
				{first, word[0], "flumen-agent/lake", "converging"}, {first, word[1], "flumen-agent/lake", "the password *** is wrong"}, {first, word[2], "flumen-agent/lake", ""},
				{first, word[0], "flumen-agent/lake", ""}, {first, word[3], "flumen-agent/lake", "another commit came before it was done"}, {second, word[0], "flumen-agent/lake", ""},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewAgentRepeatsNoStatus(t *testing.T) {
	s, m := serve(t, forge.Gitea), memory(t)
	teller := s.teller(t)
	stop := run(t, teller, m)
	teller.Tell(forge.Status{Commit: first, State: forge.Success})
	<-s.taken
	stop()
	teller = s.teller(t)
	run(t, teller, m)
	teller.Began(forge.Status{Commit: first, State: forge.Pending})
	teller.Tell(forge.Status{Commit: first, State: forge.Success})
	teller.Tell(forge.Status{Commit: second, State: forge.Success})
	if got := <-s.taken; got.Commit != second {
		t.Error(got)
	}
}

func TestForgeThatIsDownIsToldTheNewestLaterAndDelaysNothing(t *testing.T) {
	s := serve(t, forge.GitHub)
	teller := s.teller(t)
	asked := make(chan struct{}, 16)
	hang := make(chan struct{})
	s.down <- func(w http.ResponseWriter) { asked <- struct{}{}; <-hang; w.WriteHeader(http.StatusBadGateway) }
	s.down <- func(w http.ResponseWriter) { w.Header().Set("Retry-After", "60"); w.WriteHeader(http.StatusForbidden) }
	run(t, teller, memory(t))
	teller.Began(forge.Status{Commit: first, State: forge.Pending})
	<-asked
	before := time.Now()
	for range 50 {
		teller.Tell(forge.Status{Commit: first, State: forge.Failure})
		teller.Tell(forge.Status{Commit: first, State: forge.Success})
	}
	if took := time.Since(before); took > time.Second {
		t.Errorf("the runs waited for %s", took)
	}
	close(hang)
	if got := <-s.taken; got.State != "success" || len(s.taken) > 0 {
		t.Error(got)
	}
}

func TestForgeThatRefusesIsNotAskedAgain(t *testing.T) {
	s := serve(t, forge.GitLab)
	teller := s.teller(t)
	s.down <- func(w http.ResponseWriter) { http.Error(w, "no", http.StatusForbidden) }
	s.down <- func(w http.ResponseWriter) { w.Header().Set("Location", "/elsewhere"); w.WriteHeader(http.StatusFound) }
	s.down <- func(w http.ResponseWriter) {
		http.Error(w, `{"message":"Cannot transition status via :enqueue from :pending"}`, http.StatusBadRequest)
	}
	run(t, teller, memory(t))
	for i := range 4 {
		teller.Tell(forge.Status{Commit: fmt.Sprintf("%040d", i), State: forge.Pending})
	}
	if got := <-s.taken; got.Commit != fmt.Sprintf("%040d", 3) || len(s.down) > 0 {
		t.Error(got)
	}
}

func TestProjectIsToldFromTheAddressOfItsRepository(t *testing.T) {
	for repository, want := range map[string]string{
		"https://github.com/team/lake.git":               "github https://github.com team/lake",
		"git@github.com:team/lake.git":                   "github https://github.com team/lake",
		"https://user:pass@gitlab.com/a/b/c/lake/":       "gitlab https://gitlab.com a/b/c/lake",
		"ssh://git@gitlab.example.org:2222/team/lake":    "gitlab https://gitlab.example.org team/lake",
		"https://codeberg.org/team/lake":                 "gitea https://codeberg.org team/lake",
		"https://forgejo.example.org:3000/team/lake.git": "gitea https://forgejo.example.org:3000 team/lake",
		"https://git.example.org/team/lake":              "--forge",
		"https://github.com/lake":                        "OWNER/NAME",
		"https://github.com/a/b/c":                       "OWNER/NAME",
		"/srv/git/lake":                                  "needs a repository at a forge",
		"file:///srv/git/lake":                           "needs a repository at a forge",
	} {
		p, err := forge.Find(repository, forge.Project{})
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprintf("%s %s %s", p.Kind, p.Base, p.Path)
		}
		if ok, _ := regexp.MatchString(regexp.QuoteMeta(want), got); !ok {
			t.Errorf("%s: %s", repository, got)
		}
	}
}

func TestRunsSayWhatBecameOfTheNewestCommit(t *testing.T) {
	rev, older := spec.Revision{ID: "b", Commit: second}, spec.Revision{ID: "a", Commit: first}
	kept := report.Kept{Wanted: rev, Enforced: rev}
	bad := report.Kept{Wanted: rev, Enforced: older, Quarantined: []spec.Revision{rev}}
	calm := report.Report{Project: "lake", Revision: rev, Ready: true}
	back, failed, held, drifted := calm, calm, calm, calm
	back.Revision = older
	failed.Fault = "the engine does not answer"
	held.Held = []plan.Held{{Rule: plan.RuleForeign}}
	drifted.After = drift.Drift{{Verdict: drift.Changed}}
	for name, c := range map[string]struct {
		rep  report.Report
		kept report.Kept
		want forge.State
	}{
		"all is well":                           {calm, kept, forge.Success},
		"it failed":                             {failed, kept, forge.Failure},
		"a rule holds":                          {held, kept, forge.Pending},
		"nothing is done":                       {drifted, kept, forge.Pending},
		"the last good one is in force again":   {back, bad, forge.Failure},
		"another one is in force, by intention": {back, kept, ""},
		"it is not of a repository":             {calm, report.Kept{Wanted: spec.Revision{ID: "b"}}, ""},
	} {
		got, ok := forge.Of(c.rep, c.kept)
		if got.State != c.want || ok != (c.want != "") || ok && (got.Commit != second || got.Description == "") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
