package git

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/spec/git/signature"
)

// keychain is a real GnuPG with keys of its own.
type keychain struct {
	testing.TB
	home string
}

func newKeychain(t testing.TB) keychain {
	t.Helper()
	needs(t, "gpg")
	home, err := os.MkdirTemp("", "gpg") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	return keychain{t, home}
}

// gpg runs it at a time; zero is now.
func (k keychain) gpg(at time.Time, args ...string) string {
	k.Helper()
	out, err := exec.Command("gpg", append(k.flags(at), args...)...).CombinedOutput()
	if err != nil {
		k.Fatalf("gpg %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (k keychain) flags(at time.Time) []string {
	flags := []string{"--homedir", k.home, "--batch", "--quiet", "--no-tty", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", "--no-permission-warning"}
	if !at.IsZero() {
		flags = append(flags, fmt.Sprintf("--faked-system-time=%d!", at.Unix()))
	}
	return flags
}

// key makes one that is of that time; lasts is as in "1y" or "0", which is for ever.
func (k keychain) key(name string, at time.Time, lasts string) {
	k.Helper()
	k.gpg(at, "--quick-gen-key", name, "ed25519", "sign", lasts)
}

// number is the fingerprint of a key.
func (k keychain) number(name string) string {
	k.Helper()
	for line := range strings.Lines(k.gpg(time.Time{}, "--with-colons", "--list-keys", name)) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			return fields[9]
		}
	}
	k.Fatalf("no key of %s", name)
	return ""
}

// export writes the public keys of these names into one file, each armored by itself.
func (k keychain) export(file string, names ...string) {
	k.Helper()
	var all strings.Builder
	for _, name := range names {
		all.WriteString(k.gpg(time.Time{}, "--armor", "--export", name))
	}
	writeFile(k, file, all.String())
}

// program is gpg at that time, for git to call.
func (k keychain) program(at time.Time) string {
	k.Helper()
	file := filepath.Join(k.TempDir(), "gpg")
	var quoted []string
	for _, flag := range k.flags(at) {
		quoted = append(quoted, "'"+flag+"'")
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\nexec gpg "+strings.Join(quoted, " ")+` "$@"`+"\n"), 0o700); err != nil {
		k.Fatal(err)
	}
	return file
}

func (r signedRepository) signWith(k keychain, name string, at time.Time) {
	r.Helper()
	r.git("config", "commit.gpgsign", "true")
	r.git("config", "gpg.format", "openpgp")
	r.git("config", "gpg.program", k.program(at))
	r.git("config", "user.signingkey", name)
}

func TestCommitSignedWithOpenPGP(t *testing.T) {
	r, k := newSignedRepository(t), newKeychain(t)
	k.key("Ann <a@example.org>", time.Time{}, "0")
	k.key("Bob <b@example.org>", time.Time{}, "0")
	k.key("Eve <e@example.org>", time.Time{}, "0")
	ring := filepath.Join(r.dir, "ring.asc")
	k.export(ring, "b@example.org", "a@example.org")
	r.trust = signature.Trust{Keyring: ring}

	r.signWith(k, "a@example.org", time.Time{})
	r.write("flumen.yaml", "good")
	commit := r.push("Signed")
	for _, o := range []Options{{URL: "file://" + r.bare}, {URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}}} {
		mustTake(t, r.follow(func(to *Options) { to.URL, to.Access = o.URL, o.Access }), commit)
	}
	mustRefuse(t, r.follow(func(o *Options) { o.Trust = signature.Trust{AllowedSigners: ring} }), signature.Unknown, "--keyring")

	r.signWith(k, "e@example.org", time.Time{})
	r.push("Foreign")
	mustRefuse(t, r.follow(nil), signature.Unknown, "is signed by an unknown key: OpenPGP key ")

	r.signWith(k, "a@example.org", time.Time{})
	r.push("Signed again")
	r.rewrite(func(raw string) string { return strings.Replace(raw, "Signed again", "Changed", 1) })
	mustRefuse(t, r.follow(nil), signature.Forged, "does not belong to it")

	r.git("config", "commit.gpgsign", "false")
	r.push("Unsigned")
	mustRefuse(t, r.follow(nil), signature.Unsigned, "is not signed")
	r.git("tag", "-s", "-m", "signed", "v1")
	r.git("push", "-q", "--force", "origin", "v1")
	mustTake(t, r.follow(func(o *Options) { o.Tag = "v1" }), r.git("rev-parse", "HEAD"))

	// Revoked later.
	r.git("config", "commit.gpgsign", "true")
	commit = r.push("Signed once more")
	s := r.follow(nil)
	mustTake(t, s, commit)
	k.export(ring, "b@example.org")
	mustRefuse(t, s, signature.Unknown)
	revoke(k, "a@example.org")
	k.export(ring, "b@example.org", "a@example.org")
	mustRefuse(t, s, signature.Unknown, "key was revoked")
}

// revoke revokes a key by the certificate that GnuPG keeps ready.
func revoke(k keychain, name string) {
	k.Helper()
	text, err := os.ReadFile(filepath.Join(k.home, "openpgp-revocs.d", k.number(name)+".rev"))
	if err != nil {
		k.Fatal(err)
	}
	file := filepath.Join(k.TempDir(), "revoke")
	writeFile(k, file, strings.Replace(string(text), ":-----BEGIN", "-----BEGIN", 1))
	k.gpg(time.Time{}, "--import", file)
}

func TestOpenPGPKeyMustBeValidWhenACommitIsMadeAndWhenItIsNew(t *testing.T) {
	r, k := newSignedRepository(t), newKeychain(t)
	ring := filepath.Join(r.dir, "ring.asc")
	r.trust = signature.Trust{Keyring: ring}
	then := time.Now().Add(-30 * 24 * time.Hour)
	k.key("Ann <a@example.org>", then, "0")
	r.signWith(k, "a@example.org", then.Add(10*24*time.Hour))
	commit := r.pushAt(then.Add(10 * 24 * time.Hour))
	k.export(ring, "a@example.org")
	mustTake(t, r.follow(nil), commit)

	expire := func(after time.Duration, days int) {
		t.Helper()
		k.gpg(then.Add(after), "--quick-set-expire", k.number("a@example.org"), fmt.Sprint(days))
		k.export(ring, "a@example.org")
	}
	expire(time.Hour, 20)
	mustRefuse(t, r.follow(nil), signature.Expired, "Ann <a@example.org>", "has expired since")
	expire(2*time.Hour, 5)
	mustRefuse(t, r.follow(nil), signature.Expired, "had expired when it was made")
}
