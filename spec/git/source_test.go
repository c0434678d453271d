package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
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
	if rev.Commit != commit || rev.Subject != "Subject" || !strings.HasSuffix(rev.Source, "lake.git (branch main)") || strings.Contains(fmt.Sprint(rev, s), "horse") {
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

func TestEveryFaultOfARemoteHasWordsOfItsOwn(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	r.push("First")
	http, ssh := r.overHTTP(rightPassword), r.overSSH("")
	other := r.overSSH("")
	right := Access{User: user, Token: password}
	emptied := newRepository(t)
	gone := fmt.Sprintf("http://127.0.0.1:%d/lake.git", freePort(t))
	for name, c := range map[string]struct {
		options Options
		says    []string
	}{
		"no branch":     {Options{URL: http, Branch: "prod", Access: right}, []string{"has no branch prod", "it has main"}},
		"no tag":        {Options{URL: http, Tag: "v1", Access: right}, []string{"has no tag v1"}},
		"no password":   {Options{URL: http}, []string{"asks for credentials", "FLUMEN_GIT_TOKEN"}},
		"wrong one":     {Options{URL: http, Access: Access{User: user, Token: "battery staple"}}, []string{"credentials", "--git-token-file"}},
		"no repository": {Options{URL: strings.Replace(http, "lake", "pond", 1), Access: right}, []string{"does not exist"}},
		"no path":       {Options{URL: "/nowhere/lake.git"}, []string{"does not exist"}},
		"no commit":     {Options{URL: emptied.overHTTP(rightPassword), Access: right}, []string{"is empty: push a commit with flumen.yaml"}},
		"none here":     {Options{URL: emptied.bare}, []string{"is empty: push a commit with flumen.yaml"}},
		"nobody there":  {Options{URL: gone, Access: right}, []string{"cannot be reached", "refused"}},
		"no such host":  {Options{URL: "https://git.invalid/lake.git"}, []string{"cannot be reached"}},
		"foreign key":   {Options{URL: ssh.url, Access: Access{Key: other.key, KnownHosts: ssh.knownHosts}}, []string{"refuses the credentials", "--ssh-key"}},
		"unknown host":  {Options{URL: ssh.url, Access: Access{Key: ssh.key, KnownHosts: other.knownHosts}}, []string{"is not known", "ssh-keyscan"}},
		"changed host":  {Options{URL: ssh.url, Access: Access{Key: ssh.key, KnownHosts: swappedHosts(t, ssh, other)}}, []string{"shows another key"}},
		"no known host": {Options{URL: ssh.url, Access: Access{Key: ssh.key, KnownHosts: "/nowhere/known_hosts"}}, []string{"known hosts", "--known-hosts"}},
		"no key":        {Options{URL: ssh.url, Access: Access{Key: "/nowhere/key", KnownHosts: ssh.knownHosts}}, []string{"SSH key /nowhere/key does not exist"}},
		"no token file": {Options{URL: http, Access: Access{TokenFile: "/nowhere/token"}}, []string{"/nowhere/token"}},
		"no answer":     {Options{URL: http, Access: Access{TokenCommand: "false"}}, []string{"the command for the git token: false: exit status 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Dir = t.TempDir()
			s, err := New(c.options)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Poll(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("it shows the password: %v", err)
			}
			if _, fault := s.Reached(); fault == nil {
				t.Error("it counts as reached")
			}
		})
	}
}

// swappedHosts are known hosts in which a server has the key of another one.
func swappedHosts(t *testing.T, server, other sshServer) string {
	t.Helper()
	mine, err := os.ReadFile(server.knownHosts)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile(other.knownHosts)
	if err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(string(mine), " ")
	_, key, _ := strings.Cut(string(theirs), " ")
	file := filepath.Join(t.TempDir(), "known")
	writeFile(t, file, name+" "+key)
	return file
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for _, o := range []Options{
		{URL: ""}, {URL: "https://x/y", Branch: "a", Tag: "b"}, {URL: "https://x/y", Commit: "abc"}, {URL: "https://x/y", Path: "../x.yaml"},
		{URL: "https://x/y", Access: Access{Token: "a", TokenFile: "b"}}, {URL: "https://x/y", Access: Access{CAFile: "/nowhere"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestKeyWithAPassphrase(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	commit := r.push("First")
	server := r.overSSH("open sesame")
	file := filepath.Join(t.TempDir(), "passphrase")
	writeFile(t, file, "open sesame\n")
	s := r.source(Options{URL: server.url, Access: Access{Key: server.key, PassphraseFile: file, KnownHosts: server.knownHosts}})
	mustHave(t, s, commit, "flumen.yaml", "x")
	s = r.source(Options{URL: server.url, Access: Access{Key: server.key, KnownHosts: server.knownHosts}})
	if _, err := s.Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a passphrase") {
		t.Errorf("got %v", err)
	}
}

func TestKeyOfAnSSHAgent(t *testing.T) {
	needs(t, "ssh-agent")
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	commit := r.push("First")
	server := r.overSSH("")
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	t.Setenv("SSH_AUTH_SOCK", socket)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if out, err := exec.Command("ssh-add", "-q", server.key).CombinedOutput(); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatalf("ssh-add: %v\n%s", err, out)
		}
	}
	mustHave(t, r.source(Options{URL: server.url, Access: Access{KnownHosts: server.knownHosts}}), commit, "flumen.yaml", "x")
}

func TestCertificateOfOnesOwnAuthority(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	commit := r.push("First")
	url, authority := r.overTLS()
	if _, err := r.source(Options{URL: url, Access: Access{Token: password}}).Poll(t.Context()); err == nil || !strings.Contains(err.Error(), "--git-ca-file") {
		t.Errorf("got %v", err)
	}
	mustHave(t, r.source(Options{URL: url, Access: Access{Token: password, CAFile: authority}}), commit, "flumen.yaml", "x")
}

func TestTokenOfACommandIsAskedForAgainWhenItIsRefused(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	r.push("First")
	var now atomic.Value
	now.Store("token-1")
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, "token-1\n")
	var hidden []string
	s := r.source(Options{URL: r.overHTTP(func(given string) bool { return given == now.Load() }), Access: Access{TokenCommand: "cat " + file},
		Hide: func(secret string) { hidden = append(hidden, secret) }})
	mustPoll(t, s, true)
	now.Store("token-2")
	writeFile(t, file, "token-2\n")
	mustPoll(t, s, false)
	if got := strings.Join(hidden, " "); !strings.Contains(got, "token-1") || !strings.Contains(got, "token-2") {
		t.Errorf("hidden: %s", got)
	}
	now.Store("token-3")
	if _, err := s.Poll(t.Context()); err == nil {
		t.Error("a refused token did")
	}
}

func TestBrokenCloneIsMadeAnew(t *testing.T) {
	breaks := map[string]func(t *testing.T, clone string){
		"packs cut short": func(t *testing.T, clone string) {
			each(t, clone+"/objects/pack/*.pack", func(f string) error { return os.Truncate(f, 20) })
		},
		"packs gone":    func(t *testing.T, clone string) { each(t, clone+"/objects/pack/*", os.Remove) },
		"index garbage": func(t *testing.T, clone string) { each(t, clone+"/objects/pack/*.idx", scribble) },
		"objects gone":  func(t *testing.T, clone string) { each(t, clone+"/objects", os.RemoveAll) },
		"refs garbage":  func(t *testing.T, clone string) { each(t, clone+"/refs/flumen/head", scribble) },
		"head gone":     func(t *testing.T, clone string) { each(t, clone+"/HEAD", os.Remove) },
		"config garbage": func(t *testing.T, clone string) {
			each(t, clone+"/config", scribble)
		},
		"all gone": func(t *testing.T, clone string) { each(t, clone, os.RemoveAll) },
	}
	for name, harm := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.write("flumen.yaml", "one")
			first := r.push("First")
			o := Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}, Dir: t.TempDir()}
			s := r.source(o)
			mustHave(t, s, first, "flumen.yaml", "one")
			harm(t, filepath.Join(o.Dir, "clone"))
			if err := os.RemoveAll(filepath.Join(o.Dir, "candidate")); err != nil {
				t.Fatal(err)
			}
			s = r.source(o)
			if _, err := s.Poll(t.Context()); err != nil {
				t.Error(err)
			}
			mustHave(t, s, first, "flumen.yaml", "one")
			r.write("flumen.yaml", "two")
			second := r.push("Second")
			mustPoll(t, s, true)
			mustHave(t, s, second, "flumen.yaml", "two")
		})
	}
}

func each(t *testing.T, pattern string, do func(string) error) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v %v", pattern, files, err)
	}
	for _, f := range files {
		if err := os.Chmod(f, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := do(f); err != nil {
			t.Fatal(err)
		}
	}
}

func scribble(file string) error { return os.WriteFile(file, []byte("garbage\n"), 0o600) }

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

// tenThousand makes a history that is long and small.
func tenThousand(r repository) (last string) {
	var script strings.Builder
	for i := 1; i <= 10_000; i++ {
		fmt.Fprintf(&script, "commit refs/heads/main\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n", i, 1_700_000_000+i)
		if i > 1 {
			fmt.Fprintf(&script, "from :%d\n", i-1)
		}
		content := fmt.Sprintf("commit %d", i)
		fmt.Fprintf(&script, "M 100644 inline flumen.yaml\ndata %d\n%s\n", len(content), content)
	}
	file := filepath.Join(r.TempDir(), "import")
	writeFile(r, file, script.String())
	importInto(r, file)
	return r.run(r.bare, "rev-parse", "main")
}

func TestLongHistoryIsNotFetched(t *testing.T) {
	r := newRepository(t)
	last := tenThousand(r)
	for name, o := range map[string]Options{
		"http": {URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}},
		"path": {URL: r.bare},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			s := repository{TB: t, bare: r.bare, work: r.work}.source(o)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := s.Poll(ctx); err != nil {
				t.Fatal(err)
			}
			mustHave(t, s, last, "flumen.yaml", "commit 10000")
			packs, _ := filepath.Glob(filepath.Join(o.Dir, "clone/objects/pack/*.pack"))
			for _, p := range packs {
				if info, err := os.Stat(p); name == "http" && (err != nil || info.Size() > 10_000) {
					t.Errorf("%s has %d bytes: the history came along", p, info.Size())
				}
			}
		})
	}
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

func TestFullDiskLeavesWhatThereIs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	s := r.source(Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}, Dir: dir})
	mustPoll(t, s, true)
	mustHave(t, s, first, "flumen.yaml", "one")
	mustEnter(t, s, first, "")

	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	r.write("big", string(noise))
	r.write("flumen.yaml", "two")
	second := r.push("Too big")
	_, pollErr := s.Poll(t.Context())
	_, enterErr := s.Enter(t.Context(), second, first)
	if err := errors.Join(pollErr, enterErr); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Enter(t.Context(), first, ""); err != nil {
		t.Error(err)
	}
	mustRead(t, s.Live()+"/flumen.yaml", "one")

	r.git("rm", "-q", "big")
	third := r.push("Small again")
	mustPoll(t, s, true)
	mustHave(t, s, third, "flumen.yaml", "two")
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
