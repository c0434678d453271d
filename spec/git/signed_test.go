package git

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec/git/signature"
)

// signedRepository is one with people who sign, and the files that say who is trusted.
type signedRepository struct {
	repository
	dir   string
	trust signature.Trust
}

func newSignedRepository(t *testing.T) signedRepository {
	t.Helper()
	needs(t, "ssh-keygen")
	dir := t.TempDir()
	r := signedRepository{newRepository(t), dir, signature.Trust{AllowedSigners: filepath.Join(dir, "signers")}}
	r.allow("")
	return r
}

// allow writes the file of allowed signers.
func (r signedRepository) allow(lines ...string) {
	r.Helper()
	writeFile(r, r.trust.AllowedSigners, "# who may sign\n"+strings.Join(lines, "\n")+"\n")
}

// key makes an SSH key and gives its public half, without a comment.
func (r signedRepository) key(name string) (public string) {
	r.Helper()
	fields := strings.Fields(makeKey(r, filepath.Join(r.dir, name), ""))
	return strings.Join(fields[:2], " ")
}

// signAs has git sign with an SSH key from now on; "" has it sign no more.
func (r signedRepository) signAs(name string) {
	r.Helper()
	r.git("config", "commit.gpgsign", fmt.Sprint(name != ""))
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", filepath.Join(r.dir, name))
}

// pushAt pushes a commit of that time.
func (r signedRepository) pushAt(at time.Time) string {
	r.Helper()
	cmd := exec.Command("git", "commit", "-q", "--allow-empty", "-m", "Then")
	cmd.Dir = r.work
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_COMMITTER_DATE="+at.Format(time.RFC3339))
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("git commit: %v\n%s", err, out)
	}
	r.git("push", "-q", "--force", "origin", "HEAD")
	return r.git("rev-parse", "HEAD")
}

// rewrite pushes the newest commit with something of it replaced, and its signature as it is.
func (r signedRepository) rewrite(change func(raw string) string) string {
	r.Helper()
	cmd := exec.Command("git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	cmd.Dir = r.work
	cmd.Stdin = strings.NewReader(change(r.git("cat-file", "commit", "HEAD") + "\n"))
	hash, err := cmd.Output()
	if err != nil {
		r.Fatal(err)
	}
	r.git("reset", "-q", "--hard", strings.TrimSpace(string(hash)))
	r.git("push", "-q", "--force", "origin", "HEAD")
	return strings.TrimSpace(string(hash))
}

// follow gives a source that requires signatures.
func (r signedRepository) follow(change func(*Options)) *Source {
	r.Helper()
	o := Options{URL: r.bare, RequireSigned: true, Trust: r.trust}
	if change != nil {
		change(&o)
	}
	return r.source(o)
}

// head asks for the newest commit and verifies it.
func head(t testing.TB, s *Source) (commit string, err error) {
	t.Helper()
	if _, err := s.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit, err = s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return commit, s.Verify(t.Context(), commit)
}

func mustTake(t testing.TB, s *Source, commit string) {
	t.Helper()
	if got, err := head(t, s); err != nil || got != commit {
		t.Errorf("commit %s: %v", got, err)
	}
}

func mustRefuse(t testing.TB, s *Source, why signature.Reason, says ...string) {
	t.Helper()
	_, err := head(t, s)
	var unsigned *UnsignedError
	var refusal *signature.Refusal
	if !errors.As(err, &unsigned) || !errors.As(err, &refusal) || refusal.Reason != why {
		t.Errorf("not refused as %s: %v", why, err)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
}

func TestCommitSignedWithSSHIsTakenHoweverItCame(t *testing.T) {
	r := newSignedRepository(t)
	r.allow("a@example.org " + r.key("a"))
	r.signAs("a")
	r.write("flumen.yaml", "one")
	commit := r.push("First\n\nwith a body")
	for _, o := range []Options{{URL: "file://" + r.bare}, {URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}}} {
		mustTake(t, r.follow(func(to *Options) { to.URL, to.Access = o.URL, o.Access }), commit)
	}
}

func TestEveryKindOfSSHKeySigns(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newSignedRepository(t)
			if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", filepath.Join(r.dir, "k")).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			public, err := os.ReadFile(filepath.Join(r.dir, "k.pub"))
			if err != nil {
				t.Fatal(err)
			}
			r.allow(`"a@example.org,b@example.org" ` + string(public))
			r.signAs("k")
			mustTake(t, r.follow(nil), r.push("First"))
		})
	}
}

func TestCommitThatNobodyTrustedHasSignedIsRefused(t *testing.T) {
	r := newSignedRepository(t)
	a := r.key("a")
	r.key("foreign")
	r.allow("a@example.org " + a)
	r.signAs("")
	r.push("Unsigned")
	mustRefuse(t, r.follow(nil), signature.Unsigned, "(Unsigned) is refused", "is not signed")
	r.signAs("foreign")
	r.push("Foreign")
	mustRefuse(t, r.follow(nil), signature.Unknown, "is signed by an unknown key: SSH key SHA256:", r.trust.AllowedSigners)
	mustRefuse(t, r.follow(func(o *Options) { o.Trust = signature.Trust{Keyring: r.trust.AllowedSigners} }), signature.Unknown, "--allowed-signers")
	r.signAs("a")
	mustTake(t, r.follow(nil), r.push("Signed"))
}

func TestSignatureOfAnotherTextIsRefused(t *testing.T) {
	r := newSignedRepository(t)
	r.allow("a@example.org " + r.key("a"))
	r.signAs("a")
	r.write("flumen.yaml", "good")
	r.push("Good")
	r.write("flumen.yaml", "evil")
	r.git("add", "-A")
	evil := r.git("write-tree")
	r.git("reset", "-q", "--hard")
	raw := r.git("cat-file", "commit", "HEAD") + "\n"
	tree, rest, _ := strings.Cut(raw, "\n")
	for name, changed := range map[string]string{
		"another tree":        "tree " + evil + "\n" + rest,
		"another message":     strings.Replace(raw, "Good", "Bad", 1),
		"a second tree":       "tree " + evil + "\n" + raw,
		"a hidden tree":       strings.Replace(raw, "\n\nGood", "\ngpgsig-sha256 x\n tree "+evil+"\n\nGood", 1),
		"a tree behind it":    strings.Replace(raw, "\n\nGood", "\n tree "+evil+"\n\nGood", 1),
		"a tree after it all": tree + "\n" + strings.Replace(rest, "\n\nGood", "\ntree "+evil+"\n\nGood", 1),
		"another header":      strings.Replace(raw, "\n\nGood", "\nencoding latin-1\n\nGood", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r.rewrite(func(string) string { return changed })
			s := r.follow(nil)
			if _, err := s.Poll(t.Context()); err != nil {
				return // go-git does not even take it in
			}
			commit, err := s.Head(t.Context())
			if err != nil {
				return
			}
			var refusal *signature.Refusal
			if err := s.Verify(t.Context(), commit); !errors.As(err, &refusal) || refusal.Reason != signature.Forged && refusal.Reason != signature.Refused {
				t.Errorf("taken: %v", err)
			}
		})
	}
	r.rewrite(func(string) string { return "tree " + evil + "\n" + rest })
	mustRefuse(t, r.follow(nil), signature.Forged, "does not belong to it")
	r.rewrite(func(string) string { return raw })
	if _, err := head(t, r.follow(nil)); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

func TestSignerMustBeValidWhenACommitIsMadeAndWhenItIsNew(t *testing.T) {
	r := newSignedRepository(t)
	key := r.key("a")
	r.signAs("a")
	day := time.Now().Add(-24 * time.Hour).UTC()
	commit := r.pushAt(day)
	before := func(at time.Time) string {
		return `a@example.org valid-before="` + at.Format("20060102150405") + `Z" ` + key
	}
	r.allow(before(day.Add(-time.Hour)))
	mustRefuse(t, r.follow(nil), signature.Expired, "a@example.org", "had expired when it was made", "line 2")
	r.allow(before(day.Add(time.Hour)))
	mustRefuse(t, r.follow(nil), signature.Expired, "has expired since")
	r.allow(`a@example.org valid-after="` + day.Add(time.Hour).Format("200601021504") + `Z" ` + key)
	mustRefuse(t, r.follow(nil), signature.Expired, "was not valid yet when it was made")
	r.allow(before(day.Add(72 * time.Hour)))
	s := r.follow(nil)
	mustTake(t, s, commit)
	r.allow(before(day.Add(time.Hour)))
	mustTake(t, s, commit) // it was taken when the key was valid
	if _, err := s.Enter(t.Context(), commit, ""); err != nil {
		t.Fatal(err)
	}
	again := r.follow(func(o *Options) { o.Dir = s.options.Dir })
	mustTake(t, again, commit) // it is in force
}

func TestRevokedSignerIsRefusedAtTheNextLook(t *testing.T) {
	r := newSignedRepository(t)
	line := "a@example.org " + r.key("a")
	r.allow(line)
	r.signAs("a")
	commit := r.push("First")
	s := r.follow(nil)
	mustTake(t, s, commit)
	r.allow()
	mustRefuse(t, s, signature.Unknown, "is signed by an unknown key")
	r.allow(line)
	mustTake(t, s, commit)
}

func TestNamespacesOfASigner(t *testing.T) {
	r := newSignedRepository(t)
	key := r.key("a")
	r.signAs("a")
	commit := r.push("First")
	r.allow(`a@example.org namespaces="file,mail" ` + key)
	mustRefuse(t, r.follow(nil), signature.Unknown, "may not sign for git, only for file,mail")
	r.allow(`a@example.org namespaces="file,g?t" ` + key)
	mustTake(t, r.follow(nil), commit)

	// A signature that was made for something else, put into a commit.
	text := filepath.Join(r.dir, "text")
	raw := r.git("cat-file", "commit", "HEAD") + "\n"
	plain, _, err := splitCommit([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, text, string(plain))
	if out, err := exec.Command("ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", filepath.Join(r.dir, "a"), text).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sig, err := os.ReadFile(text + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	r.allow("a@example.org " + key)
	header := "gpgsig " + strings.ReplaceAll(strings.TrimSpace(string(sig)), "\n", "\n ") + "\n"
	r.rewrite(func(string) string { return strings.Replace(string(plain), "\n\n", "\n"+header+"\n", 1) })
	mustRefuse(t, r.follow(nil), signature.Refused, `was made for "file", not for git`)
}

func TestCertificateOfAnAuthoritySigns(t *testing.T) {
	r := newSignedRepository(t)
	authority := r.key("authority")
	r.key("a")
	certify := func(args ...string) {
		t.Helper()
		args = append([]string{"-q", "-s", filepath.Join(r.dir, "authority"), "-I", "a"}, append(args, filepath.Join(r.dir, "a.pub"))...)
		if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	certify("-n", "a@example.org")
	r.git("config", "commit.gpgsign", "true")
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", filepath.Join(r.dir, "a-cert.pub"))
	r.allow("*@example.org cert-authority " + authority)
	mustTake(t, r.follow(nil), r.push("Certified"))
	r.allow("*@example.com cert-authority " + authority)
	mustRefuse(t, r.follow(nil), signature.Unknown, "which are none of those")
	r.allow("*@example.org " + authority)
	mustRefuse(t, r.follow(nil), signature.Unknown, "unknown authority")
	r.allow("*@example.org cert-authority " + r.key("other"))
	mustRefuse(t, r.follow(nil), signature.Unknown, "unknown authority")

	r.allow("*@example.org cert-authority " + authority)
	certify("-n", "a@example.org", "-V", "20200101:20200102")
	r.push("With one that has expired")
	mustRefuse(t, r.follow(nil), signature.Expired, "not valid at")
	certify("-h", "-n", "a@example.org")
	r.push("With one of a host")
	mustRefuse(t, r.follow(nil), signature.Unknown, "not one of a user")
}

func TestAnnotatedTagVouchesForItsCommit(t *testing.T) {
	r := newSignedRepository(t)
	r.allow("a@example.org " + r.key("a"))
	r.signAs("")
	commit := r.push("Unsigned")
	follow := func(tag string) *Source { return r.follow(func(o *Options) { o.Tag = tag }) }
	tag := func(sign string, args ...string) {
		t.Helper()
		r.signAs(sign)
		r.git(append([]string{"tag", "-f"}, args...)...)
		r.git("push", "-q", "--force", "origin", "--tags")
		r.signAs("")
	}
	tag("", "-a", "-m", "not signed", "v1")
	mustRefuse(t, follow("v1"), signature.Unsigned, "and tag v1 is not signed")
	tag("", "light")
	mustRefuse(t, follow("light"), signature.Unsigned)
	tag("a", "-s", "-m", "signed", "v1")
	mustTake(t, follow("v1"), commit)
	// The signed tag under another name.
	r.git("push", "-q", "--force", "origin", "refs/tags/v1:refs/tags/v2")
	mustRefuse(t, follow("v2"), signature.Unsigned, "of another name")
	mustRefuse(t, r.follow(nil), signature.Unsigned) // the branch has no tag
}

func TestFilesOfTrustThatCannotBeReadRefuseEverything(t *testing.T) {
	r := newSignedRepository(t)
	key := r.key("a")
	r.signAs("a")
	r.push("First")
	for name, lines := range map[string]string{
		"unknown option": "a@example.org no-touch-required " + key,
		"no key":         "a@example.org",
		"no time":        `a@example.org valid-before="soon" ` + key,
		"private":        "a@example.org " + strings.Replace(key, "AAAA", "BBBB", 1),
	} {
		r.allow("b@example.org "+key, lines)
		if _, err := head(t, r.follow(nil)); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := head(t, r.follow(func(o *Options) { o.Trust.AllowedSigners = "/nowhere/signers" })); err == nil || !strings.Contains(err.Error(), "/nowhere/signers") {
		t.Errorf("no file: %v", err)
	}
	for _, o := range []Options{{URL: r.bare, RequireSigned: true}, {URL: r.bare, Trust: r.trust}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
