package signature

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// made is a signature of "text\n" by ssh-keygen -Y sign -n git, and whose it is.
const (
	madeBy = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFkIQhAjhumP2hqiA5eQqllPWlt0juaAFDNm8FJR5Vao"
	made   = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgWQhCECOG6Y/aGqIDl5CqWU9aW3
SO5oAUM2bwUlHlVqgAAAADZ2l0AAAAAAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5
AAAAQDyF7GMkNVEAnhovIhjzsFSc/NWQM9rlhyYUiqdLu+Pvg2Q63X9yFa1agHsw+JJ5oE
D9Bsn5OMJeHbEt9IBaLQk=
-----END SSH SIGNATURE-----`
)

func TestSSHSIGOfSSHKeygenIsOfItsTextAlone(t *testing.T) {
	sig, err := parseSSHSIG(made)
	if err != nil {
		t.Fatal(err)
	}
	if err := sig.verify([]byte("text\n")); err != nil {
		t.Error(err)
	}
	if sig.verify([]byte("test\n")) == nil {
		t.Error("it is of another text too")
	}
	if !strings.HasPrefix(sig.String(), "SSH key SHA256:") || sig.namespace != gitNamespace {
		t.Errorf("%s %s", sig, sig.namespace)
	}
}

func FuzzSSHSIG(f *testing.F) {
	f.Add(made)
	f.Add(sshBegins + "\n" + sshEnds)
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(madeBy))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, armored string) {
		sig, err := parseSSHSIG(armored)
		if err != nil {
			return
		}
		// Nobody but the key's owner can make a signature of this text, and none is among the seeds.
		if bytes.Equal(sig.key.Marshal(), key.Marshal()) && sig.verify([]byte("another text")) == nil {
			t.Errorf("%q is a signature of another text", armored)
		}
	})
}

func FuzzSigners(f *testing.F) {
	f.Add("# a comment\na@example.org "+madeBy, int64(0))
	f.Add(`*@example.org,!b@* namespaces="git",valid-after="20200101",valid-before="20300101Z" `+madeBy+" comment", int64(1e9))
	f.Add(`"a b" cert-authority `+madeBy, int64(2e9))
	sig, err := parseSSHSIG(made)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		all, err := parseSigners(text)
		if err != nil {
			return
		}
		when := time.Unix(at, 0)
		name, refused := all.trusted(sig, Signed{Made: when, Now: when}, "signers")
		if (name == "") == (refused == nil) {
			t.Fatalf("neither trusted nor refused, or both: %q %v", name, refused)
		}
		for _, one := range all {
			if name != "" && one.principals == name && (!one.after.IsZero() && when.Before(one.after) || !one.before.IsZero() && when.After(one.before)) && len(all) == 1 {
				t.Errorf("trusted outside of its time: %q", text)
			}
		}
		if name != "" && !strings.Contains(text, strings.Fields(madeBy)[1]) {
			t.Errorf("trusted without its key: %q", text)
		}
	})
}

func FuzzPatterns(f *testing.F) {
	f.Add("*@example.org", "a@example.org")
	f.Add("a?c*", "abc")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 || strings.ContainsAny(pattern+name, "\n\r") {
			return
		}
		for _, s := range []string{pattern, name} {
			for _, r := range s {
				if r >= 0x80 { // OpenSSH matches bytes, and regexp characters
					return
				}
			}
		}
		quoted := regexp.QuoteMeta(pattern)
		quoted = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(quoted)
		if want := regexp.MustCompile("^" + quoted + "$").MatchString(name); matches(pattern, name) != want {
			t.Errorf("%q matches %q: want %v", pattern, name, want)
		}
	})
}

func TestTimesOfAllowedSigners(t *testing.T) {
	for text, want := range map[string]time.Time{
		"20260102":        time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local),
		"20260102Z":       time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		"202601020304Z":   time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		"20260102030405Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Z", "2026", "20261302", "2026010203040506", "2026-1-2"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestWordsThatTakeAwayWin(t *testing.T) {
	for patterns, want := range map[string]bool{"*@x": true, "a@x": true, "*,!a@x": false, "!a@x,*": false, "!b@x": false, "b@x": false, "?@x": true} {
		if matchesList(patterns, "a@x") != want {
			t.Errorf("%s: not %v", patterns, want)
		}
	}
}
