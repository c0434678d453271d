package git

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

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

// A server that takes connections and then says nothing, as behind a broken proxy, must not hold
// up what follows: the next commit is taken when it answers again.
func TestRemoteThatSaysNothingIsGivenUp(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "x")
	commit := r.push("First")
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	key := r.overSSH("")
	for name, url := range map[string]string{
		"http": "http://" + silent.Addr().String() + "/lake.git", "ssh": "ssh://git@" + silent.Addr().String() + "/lake.git",
	} {
		s := r.source(Options{URL: url, Access: Access{Key: key.key, KnownHosts: key.knownHosts}, Dir: t.TempDir()})
		s.patience = 100 * time.Millisecond
		_, err := s.Poll(t.Context())
		if err == nil || !strings.Contains(err.Error(), "cannot be reached: no answer in time") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	hangs, answers := make(chan struct{}), atomic.Bool{}
	s := r.source(Options{URL: r.overHTTP(func(given string) bool {
		if !answers.Load() {
			<-hangs
		}
		return given == password
	}), Access: Access{User: user, Token: password}, Dir: t.TempDir()})
	s.patience = 100 * time.Millisecond
	if _, err := s.Poll(t.Context()); err == nil {
		t.Error("no error")
	}
	answers.Store(true)
	close(hangs)
	s.patience = time.Minute
	mustHave(t, s, commit, "flumen.yaml", "x")
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
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
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
