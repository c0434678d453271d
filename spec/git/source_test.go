package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flumendata/flumen-agent/spec"
)

// eachWay runs a test over every way to reach a repository.
func eachWay(t *testing.T, test func(r repository, o Options)) {
	ways := map[string]func(r repository) Options{
		"path": func(r repository) Options { return Options{URL: r.bare} },
		"url":  func(r repository) Options { return Options{URL: "file://" + r.work} },
		"http": func(r repository) Options {
			return Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}}
		},
		"ssh": func(r repository) Options {
			s := r.overSSH("")
			return Options{URL: s.url, Access: Access{Key: s.key, KnownHosts: s.knownHosts}}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			test(r, way(r))
		})
	}
}

// mustPoll asks the remote, and fails if it is not as it should be.
func mustPoll(t testing.TB, s *Source, changed bool) {
	t.Helper()
	got, err := s.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got != changed {
		t.Errorf("changed %v, expected %v", got, changed)
	}
}

// snapshot gives the tree of what was fetched last.
func snapshot(ctx context.Context, s *Source) (snap spec.Snapshot, err error) {
	head, err := s.Head(ctx)
	if err != nil {
		return snap, err
	}
	return snap, s.Read(ctx, head, func(one spec.Snapshot) error { snap = one; return nil })
}

// mustHave fetches, and fails if the tree does not have a file with that content, or has it
// ("" is none).
func mustHave(t testing.TB, s *Source, commit, name, content string) {
	t.Helper()
	snap, err := snapshot(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if snap.Revision.Commit != commit {
		t.Errorf("commit %s, expected %s", snap.Revision.Commit, commit)
	}
	mustRead(t, filepath.Join(snap.Dir, name), content)
}

func mustRead(t testing.TB, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil && (content != "" || !errors.Is(err, os.ErrNotExist)) {
		t.Error(err)
		return
	}
	if string(got) != content {
		t.Errorf("%s holds %q, expected %q", path, got, content)
	}
}

func TestPushedCommitsAreFollowedAlsoWhenHistoryIsRewritten(t *testing.T) {
	eachWay(t, func(r repository, o Options) {
		r.write("flumen.yaml", "one")
		r.write("conf/a", "a1")
		first := r.push("First\n\nwith a body")
		s := r.source(o)
		mustPoll(r, s, true)
		mustHave(r, s, first, "flumen.yaml", "one")
		mustPoll(r, s, false)

		r.write("flumen.yaml", "two")
		second := r.push("Second")
		mustPoll(r, s, true)
		mustHave(r, s, second, "flumen.yaml", "two")
		mustHave(r, s, second, "conf/a", "a1")

		r.git("reset", "-q", "--hard", first)
		r.write("flumen.yaml", "other")
		rewritten := r.push("Instead of the second")
		mustPoll(r, s, true)
		mustHave(r, s, rewritten, "flumen.yaml", "other")

		r.git("checkout", "-q", "--orphan", "new")
		r.git("rm", "-rqf", ".")
		r.git("branch", "-q", "-D", "main")
		r.git("branch", "-q", "-m", "main")
		r.write("flumen.yaml", "anew")
		anew := r.push("A history of its own")
		mustPoll(r, s, true)
		mustHave(r, s, anew, "flumen.yaml", "anew")
		mustHave(r, s, anew, "conf/a", "")

		for _, earlier := range []string{first, second} {
			if err := s.Read(r.Context(), earlier, func(spec.Snapshot) error { return nil }); err != nil {
				r.Errorf("commit of before: %v", err)
			}
		}
	})
}

func TestRevisionNamesTheCommitAndNotThePassword(t *testing.T) {
	r := newRepository(t)
	commit := r.push("Subject\n\nbody")
	url := strings.Replace(r.overHTTP(rightPassword), "http://", "http://"+user+":correct%20horse@", 1)
	s := r.source(Options{URL: url, Branch: "main"})
	snap, err := snapshot(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	rev := snap.Revision
	if rev.Commit != commit || rev.Subject != "Subject" || rev.Author != "A <a@example.org>" || !strings.HasSuffix(rev.Source, "lake.git (branch main)") || strings.Contains(fmt.Sprint(rev, s), "horse") {
		t.Errorf("got %+v", rev)
	}
	if text, err := os.ReadFile(filepath.Join(s.options.Dir, "clone", "config")); err != nil || strings.Contains(string(text), "horse") {
		t.Errorf("the clone's config: %s %v", text, err)
	}
}

func TestTagsAndCommitsAreFollowed(t *testing.T) {
	eachWay(t, func(r repository, o Options) {
		r.write("flumen.yaml", "one")
		first := r.push("First")
		r.git("tag", "-a", "-m", "annotated", "stable")
		r.git("push", "-q", "origin", "stable")
		r.write("flumen.yaml", "two")
		second := r.push("Second")

		tagged := o
		tagged.Tag = "stable"
		s := r.source(tagged)
		mustPoll(r, s, true)
		mustHave(r, s, first, "flumen.yaml", "one")
		r.git("tag", "-f", "stable")
		r.git("push", "-q", "--force", "origin", "stable")
		mustPoll(r, s, true)
		mustHave(r, s, second, "flumen.yaml", "two")

		fixed := o
		fixed.Commit = first
		r.run(r.bare, "config", "uploadpack.allowReachableSHA1InWant", "true")
		s = r.source(fixed)
		mustPoll(r, s, true)
		mustHave(r, s, first, "flumen.yaml", "one")
		mustPoll(r, s, false)
	})
}

func TestWhatWasFetchedIsThereWhenTheRemoteIsNot(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	o := Options{URL: r.bare, Dir: t.TempDir()}
	mustHave(t, r.source(o), first, "flumen.yaml", "one")
	if err := os.Rename(r.bare, r.bare+".away"); err != nil {
		t.Fatal(err)
	}
	s := r.source(o)
	if _, err := s.Poll(t.Context()); err == nil {
		t.Error("it was reached")
	}
	mustHave(t, s, first, "flumen.yaml", "one")
}

func TestPushesAtTheSameTimeAsPollsEndAtTheLastOne(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "0")
	last := r.push("0")
	s := r.source(Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}})
	var pushes sync.WaitGroup
	done := make(chan struct{})
	pushes.Go(func() {
		defer close(done)
		for i := 1; i <= 10; i++ {
			r.write("flumen.yaml", fmt.Sprint(i))
			last = r.push(fmt.Sprint(i))
		}
	})
	for open := true; open; {
		select {
		case <-done:
			open = false
		default:
		}
		if _, err := s.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	pushes.Wait()
	if _, err := s.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustHave(t, s, last, "flumen.yaml", "10")
}

func TestTwoProcessesShareADirectory(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	r.push("First")
	o := Options{URL: r.bare, Dir: t.TempDir()}
	one, two := r.source(o), r.source(o)
	mustPoll(t, one, true)
	mustPoll(t, two, true)
	r.write("flumen.yaml", "two")
	second := r.push("Second")
	mustPoll(t, one, true)
	mustPoll(t, two, true)
	mustHave(t, two, second, "flumen.yaml", "two")
}

func TestOneRepositoryHasOneDirectoryHoweverItIsWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range [][]string{
		{"lake", "./lake/", "file://" + here + "/lake", here + "/lake.git"},
		{"https://a:b@git.example.org/team/lake.git", "https://git.example.org/team/lake", "https://git.example.org/team/lake/"},
		{"git@example.org:team/lake.git", "example.org:team/lake"},
	} {
		for _, url := range same {
			if got, want := (Options{URL: url}).Key(), (Options{URL: same[0], Branch: "x", Path: "flumen.yaml"}).Key(); got != want || !strings.HasPrefix(got, "lake-") {
				t.Errorf("%s: %s, expected %s", url, got, want)
			}
		}
	}
	if (Options{URL: "lake"}).Key() == (Options{URL: "lake", Path: "other.yaml"}).Key() {
		t.Error("two specs of a repository share a directory")
	}
}

func TestTreesAreReadAndMovedWhileTheRemoteIsSlow(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	slow, asked := make(chan struct{}), make(chan struct{}, 1)
	var late atomic.Bool
	s := r.source(Options{URL: r.overHTTP(func(given string) bool {
		if late.Load() {
			asked <- struct{}{}
			<-slow
		}
		return given == password
	}), Access: Access{User: user, Token: password}})
	mustPoll(t, s, true)
	late.Store(true)
	var poll sync.WaitGroup
	poll.Go(func() { _, _ = s.Poll(t.Context()) })
	<-asked
	mustHave(t, s, first, "flumen.yaml", "one")
	mustEnter(t, s, first, "")
	mustRead(t, s.Live()+"/flumen.yaml", "one")
	late.Store(false)
	close(slow)
	poll.Wait()
}

func TestTreeStaysAsItIsWhileItIsRead(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	o := Options{URL: r.bare, Dir: t.TempDir()}
	one, two := r.source(o), r.source(o)
	mustPoll(t, one, true)
	r.write("flumen.yaml", "two")
	second := r.push("Second")
	mustPoll(t, two, true)
	var other sync.WaitGroup
	err := one.Read(t.Context(), first, func(snap spec.Snapshot) error {
		began := make(chan struct{})
		other.Go(func() { close(began); mustHave(t, two, second, "flumen.yaml", "two") })
		<-began
		for range 20 {
			mustRead(t, snap.Dir+"/flumen.yaml", "one")
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	other.Wait()
}

// Many agents that follow one server are not to ask it all at the same moment.
func TestRepositoryIsAskedOnceAnIntervalAndNotInStep(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	r.push("First")
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := r.source(Options{URL: r.bare, Dir: dir, Interval: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		var watch sync.WaitGroup
		watch.Go(func() { s.Watch(ctx, func(string) {}) })
		synctest.Wait()
		last, _ := s.Reached()
		gaps := map[time.Duration]bool{}
		for range 3600 {
			time.Sleep(time.Second)
			synctest.Wait()
			at, _ := s.Reached()
			if gap := at.Sub(last); gap > 0 {
				gaps[gap] = true
				if gap < 57*time.Second || gap > 63*time.Second {
					t.Errorf("asked again after %s", gap)
				}
			}
			last = at
		}
		if len(gaps) < 10 {
			t.Errorf("always after the same time: %v", gaps)
		}
		cancel()
		watch.Wait()
	})
}
