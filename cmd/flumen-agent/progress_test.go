package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// performance is a run told by hand: events at seconds since its beginning.
type performance struct {
	began  time.Time
	listen reconciler.Listener
}

func (p performance) tell(second float64, e reconciler.Event) {
	e.At = p.began.Add(time.Duration(second * float64(time.Second)))
	p.listen(e)
}

func event(kind reconciler.EventKind, stage string, step *plan.Step) reconciler.Event {
	return reconciler.Event{Kind: kind, Stage: stage, Step: step}
}

func doingWhat(stage string, step *plan.Step, what string, done, total int64) reconciler.Event {
	return reconciler.Event{Kind: reconciler.StepDoing, Stage: stage, Step: step, What: what, Done: done, Total: total}
}

func took(e reconciler.Event, seconds float64) reconciler.Event {
	e.Took = time.Duration(seconds * float64(time.Second))
	return e
}

func failedWith(e reconciler.Event, err error) reconciler.Event {
	e.Err = err
	return e
}

// steps of the runs told here.
var (
	pullImage    = create(&spec.Image{Name: "postgres:17"}, "is not there")
	buildImage   = create(&spec.Image{Name: "app:1", Build: &spec.Build{}}, "differs in build")
	makeNetwork  = create(&spec.Network{Key: "default"}, "is not there")
	makePostgres = create(&spec.Service{Name: "postgres", Number: 1}, "is not there")
	makeJob      = create(&spec.Service{Name: "init", Number: 1, Job: true}, "is not there")
	makeApp      = create(&spec.Service{Name: "app", Number: 1}, "is not there")
	removeOld    = &plan.Step{ID: 9, Change: plan.Remove{Have: drift.Found{Ref: spec.InstanceRef("old", 1)}}, Because: []plan.Cause{{Reason: "no tier declares it"}}}
)

func create(r spec.Resource, why string) *plan.Step {
	return &plan.Step{ID: 1, Change: plan.Create{Want: r}, Because: []plan.Cause{{Ref: r.Ref(), Reason: why}}}
}

func planOf(stages ...plan.Stage) reconciler.Event {
	return reconciler.Event{Kind: reconciler.Planned, Plan: &plan.Plan{Project: "demo", Stages: stages}}
}

var everything = planOf(
	plan.Stage{Tier: plan.StagePrepare, Steps: []plan.Step{*pullImage, *buildImage, *makeNetwork}},
	plan.Stage{Tier: "foundation", Steps: []plan.Step{*makePostgres, *makeJob}},
	plan.Stage{Tier: "apps", Steps: []plan.Step{*makeApp}},
	plan.Stage{Tier: plan.StageRemove, Steps: []plan.Step{*removeOld}},
)

var crash = &plan.Failure{
	Ref: spec.InstanceRef("postgres", 1), Reason: "exited with code 1", RolledBack: true,
	Log: []string{"starting up", "\x1b[31mFATAL:\x1b[0m\tdata directory has wrong ownership\r"},
}

func TestPlainProgressSaysEachThingOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	listen, done := newProgress(&out, false, nil, true)
	run := performance{time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC), listen}
	const prepare, foundation = plan.StagePrepare, "foundation"
	run.tell(0, everything)
	run.tell(0, event(reconciler.StageBegan, prepare, nil))
	run.tell(0, event(reconciler.StepBegan, prepare, pullImage))
	run.tell(0, event(reconciler.StepBegan, prepare, buildImage))
	for second := range 25 {
		run.tell(float64(second), doingWhat(prepare, pullImage, "pulling", int64(second)*4_800_000, 120_000_000))
		run.tell(float64(second)+.5, doingWhat(prepare, pullImage, "unpacking", int64(second)*1_000_000, 120_000_000))
	}
	run.tell(25, doingWhat(prepare, buildImage, "building: RUN make", 2, 9))
	run.tell(25, took(event(reconciler.StepReached, prepare, pullImage), 25))
	run.tell(25, took(event(reconciler.StepDone, prepare, pullImage), 25))
	run.tell(30, took(event(reconciler.StepDone, prepare, buildImage), 30))
	run.tell(30, took(event(reconciler.StageReady, prepare, nil), 30))
	run.tell(30, event(reconciler.StageBegan, foundation, nil))
	run.tell(30, event(reconciler.StepBegan, foundation, makePostgres))
	run.tell(30, doingWhat(foundation, makePostgres, "creating", 0, 0))
	for second := 31; second < 60; second++ {
		run.tell(float64(second), doingWhat(foundation, makePostgres, "waiting for health", 0, 0))
	}
	run.tell(61, failedWith(took(event(reconciler.StepFailed, foundation, makePostgres), 31), crash))
	run.tell(61, failedWith(event(reconciler.StepSkipped, foundation, makeJob), errors.New("service/postgres did not become ready")))
	done()
	want := `10:00:00 plan: 1 to pull, 1 to build, 4 to create, 1 to remove.
10:00:00 made ready ahead
10:00:00   image/postgres:17: pulling (is not there)
10:00:00   image/app:1: building (differs in build)
10:00:00   image/postgres:17: unpacking 0 B / 120 MB
10:00:10   image/postgres:17: pulling 48.0 MB / 120 MB
10:00:10   image/postgres:17: unpacking 10.0 MB / 120 MB
10:00:20   image/postgres:17: pulling 96.0 MB / 120 MB
10:00:20   image/postgres:17: unpacking 20.0 MB / 120 MB
10:00:25   image/app:1: building step 3/9: RUN make
10:00:25   image/postgres:17: pulled in 25.0s
10:00:30   image/app:1: built in 30.0s
10:00:30 made ready ahead: ready in 30.0s
10:00:30 tier foundation
10:00:30   service/postgres: creating (is not there)
10:00:31   service/postgres: waiting for health
10:01:01   service/postgres: failed after 31.0s: exited with code 1; the container before it runs again
             | starting up
             | FATAL: data directory has wrong ownership
10:01:01   service/init: skipped: service/postgres did not become ready
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-expected +written:\n%s", diff)
	}
}

// terminal understands as much of a terminal as the progress uses, and complains of
// the rest.
type terminal struct {
	t             *testing.T
	width         int
	lines         []string
	row           int
	writes        int
	cursorVisible bool
}

var sequence = regexp.MustCompile(`^\x1b\[(\??[0-9]*)([A-Za-z])`)

func (s *terminal) Write(p []byte) (int, error) {
	s.writes++
	text := string(p)
	for text != "" {
		if m := sequence.FindStringSubmatch(text); m != nil {
			s.obey(m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		r, rest := []rune(text)[0], ""
		rest = text[len(string(r)):]
		s.put(r)
		text = rest
	}
	if !s.cursorVisible {
		s.t.Error("the cursor is hidden between two writes")
	}
	return len(p), nil
}

func (s *terminal) obey(argument, command string) {
	switch argument + command {
	case "?25l":
		s.cursorVisible = false
	case "?25h":
		s.cursorVisible = true
	case "K": // the rest of the line: put has begun each line afresh
	case "J":
		s.lines = s.lines[:min(s.row, len(s.lines))]
	default:
		n, err := strconv.Atoi(argument)
		if command != "A" || err != nil || n > s.row {
			s.t.Errorf("cannot do %q%s in line %d", argument, command, s.row)
			return
		}
		s.row -= n
		s.lines[s.row] = ""
	}
}

func (s *terminal) put(r rune) {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
	switch r {
	case '\r':
		s.lines[s.row] = ""
	case '\n':
		s.row++
		if s.row < len(s.lines) {
			s.lines[s.row] = ""
		}
	default:
		s.lines[s.row] += string(r)
		if w := runewidth.StringWidth(s.lines[s.row]); w >= s.width {
			s.t.Errorf("a line is %d columns wide, the terminal %d: %q", w, s.width, s.lines[s.row])
		}
	}
}

func (s *terminal) shows() string { return strings.TrimRight(strings.Join(s.lines, "\n"), "\n") + "\n" }

// watchLive tells a run to a live progress in simulated time. at waits for a second of
// the run, then gives what the terminal shows.
func watchLive(t *testing.T, width int, tell func(run performance, at func(second float64) string)) (screen *terminal) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		screen = &terminal{t: t, width: width, cursorVisible: true}
		listen, done := newProgress(screen, true, func() int { return width }, false)
		began := time.Now()
		tell(performance{began, listen}, func(second float64) string {
			<-time.After(time.Until(began.Add(time.Duration(second * float64(time.Second)))))
			synctest.Wait()
			return screen.shows()
		})
		done()
	})
	return screen
}

func TestLiveProgressShowsTheRunAsItGoes(t *testing.T) {
	t.Parallel()
	const prepare, foundation = plan.StagePrepare, "foundation"
	var shots []string
	screen := watchLive(t, 80, func(run performance, at func(float64) string) {
		run.tell(0, everything)
		run.tell(0, event(reconciler.StageBegan, prepare, nil))
		run.tell(0, event(reconciler.StepBegan, prepare, pullImage))
		run.tell(0, event(reconciler.StepBegan, prepare, buildImage))
		run.tell(0, doingWhat(prepare, pullImage, "pulling", 34_100_000, 120_000_000))
		run.tell(0, doingWhat(prepare, buildImage, "building: RUN make", 2, 9))
		shots = append(shots, at(1.05))
		run.tell(2, took(event(reconciler.StepDone, prepare, pullImage), 2))
		run.tell(2, took(event(reconciler.StepDone, prepare, buildImage), 2))
		run.tell(2, took(event(reconciler.StageReady, prepare, nil), 2))
		run.tell(2, event(reconciler.StageBegan, foundation, nil))
		run.tell(2, event(reconciler.StepBegan, foundation, makePostgres))
		run.tell(2, event(reconciler.StepBegan, foundation, makeJob))
		run.tell(2, doingWhat(foundation, makePostgres, "waiting for health", 0, 0))
		run.tell(2.5, took(event(reconciler.StepDone, foundation, makeJob), .5))
		shots = append(shots, at(6.15))
		run.tell(6.2, took(event(reconciler.StepDone, foundation, makePostgres), 4.2))
		run.tell(6.2, took(event(reconciler.StageReady, foundation, nil), 4.2))
		run.tell(6.2, event(reconciler.StageBegan, "apps", nil))
		run.tell(6.2, event(reconciler.StepBegan, "apps", makeApp))
		run.tell(8, failedWith(took(event(reconciler.StepFailed, "apps", makeApp), 1.8), errors.New("exited with code 3\nafter a while")))
		run.tell(8, failedWith(event(reconciler.StepSkipped, plan.StageRemove, removeOld), errors.New("tier apps did not become ready")))
		shots = append(shots, at(8.15))
	})
	shots = append(shots, screen.shows())
	want := []string{`• made ready ahead
  • image/postgres:17  pulling 34.1 MB / 120 MB
  • image/app:1        building step 3/9 1s: RUN make
  then tier foundation, tier apps, removed last
`, `✓ made ready ahead: ready in 2.0s
• tier foundation
  • service/postgres  waiting for health 4s
  ✓ service/init      done in 500ms
  then tier apps, removed last
`, `✓ made ready ahead: ready in 2.0s
✓ tier foundation: ready in 4.2s
✗ tier apps
  ✗ service/app  failed after 1.8s: exited with code 3 after a while
- removed last
  - service/old  skipped: tier apps did not become ready
`, `✓ made ready ahead: ready in 2.0s
✓ tier foundation: ready in 4.2s
✗ tier apps
  ✗ service/app  failed after 1.8s: exited with code 3 after a while
- removed last
  - service/old  skipped: tier apps did not become ready
`}
	if diff := cmp.Diff(want, shots); diff != "" {
		t.Errorf("-expected +shown:\n%s", diff)
	}
}

func TestLiveProgressIsDrawnTenTimesASecondAtMost(t *testing.T) {
	t.Parallel()
	screen := watchLive(t, 80, func(run performance, at func(float64) string) {
		run.tell(0, event(reconciler.StageBegan, "foundation", nil))
		run.tell(0, event(reconciler.StepBegan, "foundation", pullImage))
		for i := range 1000 {
			run.tell(0, doingWhat("foundation", pullImage, "pulling", int64(i)*1_000_000, 0))
			at(float64(i) / 1000)
		}
	})
	if screen.writes > 11 {
		t.Errorf("%d writes in a second", screen.writes)
	}
}

func TestLiveProgressIsSilentWhenNothingMoves(t *testing.T) {
	t.Parallel()
	screen := watchLive(t, 80, func(run performance, at func(float64) string) {
		run.tell(0, event(reconciler.StageBegan, "foundation", nil))
		at(60)
	})
	if screen.writes > 2 {
		t.Errorf("%d writes of the same screen", screen.writes)
	}
}

func TestLiveProgressNeverGoesOverTheEdge(t *testing.T) {
	t.Parallel()
	for _, width := range []int{12, 40} {
		screen := watchLive(t, width, func(run performance, at func(float64) string) {
			run.tell(0, everything)
			run.tell(0, event(reconciler.StageBegan, "foundation", nil))
			for i := range 100 {
				step := create(&spec.Service{Name: fmt.Sprintf("service-with-a-long-name-資料-%d", i), Number: 1}, "")
				run.tell(0, event(reconciler.StepBegan, "foundation", step))
			}
			if n := strings.Count(at(1), "\n"); n > 23 {
				t.Errorf("%d lines are redrawn, more than a screen has", n)
			}
		})
		if !strings.Contains(screen.shows(), "and 84") {
			t.Errorf("the rows that are left out are not counted:\n%s", screen.shows())
		}
	}
}

func TestLiveProgressShowsFailuresFirstWhereRowsAreMany(t *testing.T) {
	t.Parallel()
	screen := watchLive(t, 80, func(run performance, at func(float64) string) {
		run.tell(0, event(reconciler.StageBegan, "foundation", nil))
		for i := range 50 {
			step := create(&spec.Service{Name: fmt.Sprintf("s%d", i), Number: 1}, "")
			if i == 49 {
				run.tell(0, failedWith(event(reconciler.StepFailed, "foundation", step), errors.New("broken")))
				continue
			}
			run.tell(0, event(reconciler.StepDone, "foundation", step))
		}
		at(1)
	})
	if !strings.Contains(screen.shows(), "service/s49") {
		t.Errorf("the failed step is not among those shown:\n%s", screen.shows())
	}
}

func TestLiveProgressMasksBeforeItCuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := newMasker(&out)
		m.Learn([]string{"hunter2-is-my-password"})
		listen, done := newProgress(m, true, func() int { return 50 }, true)
		run := performance{time.Now(), listen}
		run.tell(0, event(reconciler.StageBegan, "apps", nil))
		run.tell(0, failedWith(event(reconciler.StepFailed, "apps", makeApp), errors.New("wrong: hunter2-is-my-password")))
		done()
		if strings.Contains(out.String(), "hunter") {
			t.Errorf("part of a secret passed: %q", out.String())
		}
	})
}

func TestSizesHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 34_149_000: "34.1 MB", 99_960_000: "100 MB", 999_600_000: "1.0 GB", 5_000_000_000_000_000: "5000 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, expected %s", n, got, want)
		}
	}
}
