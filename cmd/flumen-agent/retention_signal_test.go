package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// scheduled is the program, which looks after tables on a schedule.
type scheduled struct {
	*victim
	engine, project string
	log             bytes.Buffer
	cmd             *exec.Cmd
}

// start begins one that is ended by SIGTERM at the nth change of the store (0: it is not).
func (s *scheduled) start(nth int) {
	s.Helper()
	s.log.Reset()
	s.cmd = exec.Command("flumen-agent", "run", "-f", filepath.Join(s.dir, "flumen.yaml"))
	s.cmd.Env = []string{
		"FLUMEN_STATE=" + filepath.Join(s.dir, "state"), "PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + os.TempDir(), "DOCKER_HOST=" + s.engine,
		"AWS_ACCESS_KEY_ID=" + enginetest.MinIOUser, "AWS_SECRET_ACCESS_KEY=" + enginetest.MinIOPassword,
	}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.mu.Lock()
	defer s.mu.Unlock()
	s.must(s.cmd.Start())
	s.process, s.with, s.after, s.changes = s.cmd.Process, syscall.SIGTERM, nth, 0
}

// ends waits for it.
func (s *scheduled) ends() {
	s.Helper()
	if err := s.cmd.Wait(); err != nil {
		s.Fatalf("%v\n%s", err, &s.log)
	}
}

// outcomes are what looks came to, the newest first.
func (s *scheduled) outcomes() []delta.Outcome {
	all, err := delta.NewMemory(filepath.Join(s.dir, "state", "retention", s.project)).Outcomes()
	s.must(err)
	return all
}

func (s *scheduled) files() int { return strings.Count(s.contents(), "\n") }

// TestScheduledRunThatASignalEndsIsVerifiedAndFinishedByTheNextAgent ends an agent by SIGTERM in the
// middle of what it removes by its schedule from a real MinIO: the batch that was begun is finished,
// the next agent looks first whether all live files are there, and its schedule removes the rest.
func TestScheduledRunThatASignalEndsIsVerifiedAndFinishedByTheNextAgent(t *testing.T) {
	t.Parallel()
	host := enginetest.Hosts(t)[0]
	engine := enginetest.Connect(t, host)
	enginetest.Images(t, engine)
	v := newVictim(t, enginetest.MinIO(t), "signal", true)
	s := &scheduled{victim: v, engine: host, project: enginetest.Project(t, engine)}
	s.must(os.WriteFile(filepath.Join(s.dir, "flumen.yaml"), fmt.Appendf(nil, `name: %s
services: {web: {image: %q}}
stores: {s3: {endpoint: %q, delete_access_key: %s, delete_secret_key: %s}}
retention:
  schedule: "@every 2s"
  discover: [{store: s3, prefix: %s/warehouse}]
  defaults: {mode: enforce, max_delete_ratio: 1, properties: off}
`, s.project, enginetest.Sleeper, v.proxy.URL, enginetest.MinIOUser, enginetest.MinIOPassword, v.bucket), 0o600))
	before, all := s.contents(), s.files()

	s.start(1)
	s.ends()
	first := s.outcomes()
	if len(first) < 2 || first[0].By != delta.BySchedule || first[0].Whole || !strings.HasPrefix(first[0].Says, "ended with the agent") || !first[len(first)-1].Whole {
		t.Fatalf("%+v\n%s", first, &s.log)
	}
	if gone := all - s.files(); gone != 1 { // the first batch is of one file
		t.Fatalf("%d files are gone\n%s", gone, &s.log)
	}

	s.start(0)
	eventuallyTrue(t, "it has looked twice", func() bool { return len(s.outcomes()) >= len(first)+2 })
	s.must(s.cmd.Process.Signal(syscall.SIGTERM))
	s.ends()
	if gone := all - s.files(); gone != 8 {
		t.Errorf("%d files are gone\n%s", gone, &s.log)
	}
	second := s.outcomes()
	second = second[:len(second)-len(first)]
	verified, finished := second[len(second)-1], second[len(second)-2]
	if verified.By != delta.ByStart || !verified.Whole || finished.By != delta.BySchedule || !finished.Whole || finished.Run == "" {
		t.Errorf("%+v\n%s", second, &s.log)
	}
	if due, err := delta.NewMemory(filepath.Join(s.dir, "state", "retention", s.project)).Due(time.Now()); due || err != nil {
		t.Errorf("something is still to be verified: %v", err)
	}
	for _, run := range []string{finished.Run, first[0].Run} {
		if _, out := s.retention(0, "undo", run); !strings.Contains(out, "all are there") {
			t.Errorf("undo %s: %s", run, out)
		}
	}
	if diff := cmp.Diff(before, s.contents()); diff != "" {
		t.Errorf("when all was undone, -before +after\n%s", diff)
	}
}
