package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/client"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// handover is a project whose users change: one is made, one gets another secret and policy, one
// leaves. Its turns are counted; an odd one is not like an even one.
type handover struct {
	*testing.T
	engine  *client.Client
	project string
	dir     string
	store   string // the address of a MinIO server
	proxy   *httptest.Server

	mu     sync.Mutex
	victim *os.Process
	left   int  // requests until it is killed
	late   bool // when the request has reached the store
}

func newHandover(t *testing.T, engine *client.Client, store string) *handover {
	h := &handover{T: t, engine: engine, project: enginetest.Project(t, engine), dir: shortDir(t), store: store}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: store})
		r.Out.Host = r.In.Host // it is signed
	}, ErrorLog: log.New(io.Discard, "", 0)}
	h.proxy = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		victim, late := h.turn()
		if victim != nil && late {
			pass.ServeHTTP(httptest.NewRecorder(), r)
		}
		if victim != nil {
			_ = victim.Kill()
			panic(http.ErrAbortHandler)
		}
		pass.ServeHTTP(rw, r)
	}))
	t.Cleanup(h.proxy.Close)
	return h
}

// turn counts a request, and gives whom to kill at it.
func (h *handover) turn() (victim *os.Process, late bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left--; h.victim == nil || h.left != 0 {
		return nil, false
	}
	return h.victim, h.late
}

func (h *handover) user(n int) string { return fmt.Sprint(h.project, "-", n) }

func (h *handover) kept() string { return h.project + "-kept" }

// write makes the file of a turn.
func (h *handover) write(n int) (file string) {
	h.Helper()
	file = filepath.Join(h.dir, "flumen.yaml")
	text := fmt.Sprintf(`name: %s
tiers: [{name: base, timeout: 1m, services: {web: {image: '%s', stop_grace_period: 1s}}}]
stores:
  lake:
    endpoint: %s
    access_key: %s
    secret_key: %s
    access:
      %s: {secret_key: secret-of-the-new-one, policy: readonly}
      %s: {secret_key: secret-number-%d, policy: %s}
`, h.project, enginetest.Sleeper, h.proxy.URL, enginetest.MinIOUser, enginetest.MinIOPassword, h.user(n), h.kept(), n, []string{"readonly", "readwrite"}[n%2])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
	return file
}

func (h *handover) environ() []string {
	return []string{"DOCKER_HOST=" + h.engine.DaemonHost(), "FLUMEN_STATE=" + filepath.Join(h.dir, "state"), "PATH=" + os.Getenv("PATH")}
}

// do runs a command in this process, with nobody killed.
func (h *handover) do(want int, args ...string) {
	h.Helper()
	var out bytes.Buffer
	if code := run(args, nil, &out, &out, h.environ()); code != want {
		h.Errorf("%v: exit code %d, want %d\n%s", args, code, want, &out)
	}
}

// killedAt runs the agent as a process of its own and kills it at its nth request, before or
// after the store has heard it. It tells whether there was one.
func (h *handover) killedAt(n int, late bool, file string) bool {
	h.Helper()
	cmd := exec.Command("flumen-agent", "apply", "--yes", "-f", file)
	cmd.Env = h.environ()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	h.mu.Lock()
	err := cmd.Start()
	h.victim, h.left, h.late = cmd.Process, n, late
	h.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.victim = nil
	if h.left > 0 && err != nil {
		h.Fatalf("%v\n%s", err, &out)
	}
	return h.left <= 0
}

// ask makes a call of MinIO's admin API; the answer is nil where it says that there is no such
// thing.
func (h *handover) ask(call, query string) []byte {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodGet, "http://"+h.store+"/minio/admin/v3/"+call+"?"+query, nil)
	if err != nil {
		h.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(digest[:]))
	answer, err := http.DefaultClient.Do(signer.SignV4(*r, enginetest.MinIOUser, enginetest.MinIOPassword, "", "us-east-1"))
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNotFound {
		h.Fatalf("%s: %s %s %v", call, answer.Status, text, err)
	}
	if answer.StatusCode == http.StatusNotFound {
		return nil
	}
	return text
}

// marks are the policies of the project, by whose names its users are known.
func (h *handover) marks() (names []string) {
	h.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(h.ask("list-canned-policies", ""), &all); err != nil {
		h.Fatal(err)
	}
	for name := range all {
		if strings.HasPrefix(name, "flumen."+h.project+".") {
			names = append(names, strings.TrimPrefix(name, "flumen."+h.project+"."))
		}
	}
	slices.Sort(names)
	return names
}

// mustBeMarked expects that no user is there without what says that it is the agent's.
func (h *handover) mustBeMarked(users ...string) {
	h.Helper()
	marks := h.marks()
	for _, user := range users {
		if h.ask("user-info", "accessKey="+user) != nil && !slices.Contains(marks, user) {
			h.Errorf("user %s is there without its mark: %v", user, marks)
		}
	}
}

// turnKilledAt kills the agent in a turn, and expects that the next run ends as an undisturbed
// one.
func (h *handover) turnKilledAt(turn, n int, late bool) bool {
	h.Helper()
	file := h.write(turn)
	killed := h.killedAt(n, late, file)
	h.mustBeMarked(h.user(turn-1), h.user(turn), h.kept())
	h.do(0, "apply", "--yes", "-f", file)
	h.do(0, "plan", "-f", file)
	if marks, want := h.marks(), []string{h.user(turn), h.kept()}; !slices.Equal(marks, want) {
		h.Errorf("the users are %v, want %v", marks, want)
	}
	if h.ask("user-info", "accessKey="+h.user(turn-1)) != nil {
		h.Errorf("user %s is left over", h.user(turn-1))
	}
	if info := string(h.ask("user-info", "accessKey="+h.kept())); !strings.Contains(info, `"enabled"`) || !strings.Contains(info, "flumen."+h.project+"."+h.kept()) {
		h.Errorf("user %s is not as it should be: %s", h.kept(), info)
	}
	if h.Failed() {
		h.Fatalf("killed at request %d, after it: %t", n, late)
	}
	return killed
}

// TestAccessThatIsKilledAnywhereEndsTheSame kills the agent at each request in turn while it
// makes, changes and removes users, before the store has heard it and after.
func TestAccessThatIsKilledAnywhereEndsTheSame(t *testing.T) {
	t.Parallel()
	engine := enginetest.Connect(t, enginetest.Hosts(t)[0])
	enginetest.Images(t, engine)
	store := enginetest.MinIO(t)
	for name, late := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHandover(t, engine, store)
			h.do(0, "apply", "--yes", "-f", h.write(0))
			n := 1
			for h.turnKilledAt(n, n, late) {
				n++
			}
			if t.Logf("killed at %d requests", n-1); n < 20 {
				t.Errorf("a run has only %d requests", n-1)
			}
		})
	}
}
