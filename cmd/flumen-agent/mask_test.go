package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// Secrets and text are drawn from few letters, so that secrets overlap, contain one
// another, and are nearly there in the text. The mask's own star is not among them.
var (
	secretGen = rapid.StringOfN(rapid.RuneFrom([]rune(`abc'"/\$&<+ é`)), 4, 10, -1).
			Filter(func(s string) bool { return len(strings.TrimSpace(s)) >= shortestSecret })
	noiseGen = rapid.StringOfN(rapid.RuneFrom([]rune("abc'\"/ \nxyz=")), 0, 12, -1)
)

// encodings are how a secret may be written, said independently of the masker.
var encodings = []func(string) string{
	func(s string) string { return s },
	url.QueryEscape,
	url.PathEscape,
	func(s string) string { b, _ := json.Marshal(s); return string(b) },
	strconv.Quote,
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("admin:" + s)) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("admins:" + s + "!")) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("an-admin:" + s)) },
	func(s string) string { return `'` + strings.ReplaceAll(s, `'`, `'\''`) + `'` },
	func(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` },
}

// writeInPieces writes text through a masker that knows the secrets, cut anywhere.
func writeInPieces(t *rapid.T, secrets []string, text string) string {
	var out bytes.Buffer
	m := newMasker(&out)
	m.Learn(secrets)
	for rest := []byte(text); len(rest) > 0; {
		n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
		if wrote, err := m.Write(rest[:n]); wrote != n || err != nil {
			t.Fatalf("wrote %d of %d: %v", wrote, n, err)
		}
		rest = rest[n:]
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNoSecretPassesHoweverItIsCutOrWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretGen, 1, 4).Draw(t, "secrets")
		var text strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			text.WriteString(noiseGen.Draw(t, "noise"))
			encode := rapid.SampledFrom(encodings).Draw(t, "encoding")
			text.WriteString(encode(rapid.SampledFrom(secrets).Draw(t, "secret")))
		}
		out := writeInPieces(t, secrets, text.String())
		for _, secret := range secrets {
			for _, encode := range encodings {
				if written := encode(strings.TrimSpace(secret)); strings.Contains(out, written) {
					t.Fatalf("%q passed as %q: %q became %q", secret, written, text.String(), out)
				}
			}
		}
	})
}

func TestTextWithoutSecretsPassesUnchanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretGen, 0, 4).Draw(t, "secrets")
		text := rapid.StringOf(rapid.RuneFrom([]rune("abc'\"/ \nxyz="))).Draw(t, "text")
		for _, secret := range secrets {
			for _, form := range formsOf(secret) {
				text = strings.ReplaceAll(text, form, "")
			}
		}
		for _, secret := range secrets {
			for _, form := range formsOf(secret) {
				if strings.Contains(text, form) {
					t.Skip("taking one away made another")
				}
			}
		}
		if out := writeInPieces(t, secrets, text); out != text {
			t.Fatalf("%q became %q", text, out)
		}
	})
}

func TestMaskerHoldsNoLineBack(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := newMasker(&out)
	m.Learn([]string{"hunter22", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END KEY-----\n"})
	fmt.Fprint(m, "the password is hunt\n")
	if got := out.String(); got != "the password is hunt\n" {
		t.Errorf("passed so far: %q, expected the whole line", got)
	}
}

func TestMaskerFlushesAQuestion(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := newMasker(&out)
	m.Learn([]string{"[y/N] is my password"})
	fmt.Fprint(m, "Apply? [y/N]")
	if got := out.String(); got != "Apply? " {
		t.Errorf("passed before the flush: %q", got)
	}
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "Apply? [y/N]" {
		t.Errorf("passed after the flush: %q", got)
	}
}

func TestMaskerHidesTheLinesOfAKeyOneByOne(t *testing.T) {
	t.Parallel()
	m := newMasker(&bytes.Buffer{})
	m.Learn([]string{"-----BEGIN KEY-----\r\n  MIIEvQIBADANBgkqhkiG\r\n-----END KEY-----\n"})
	if got := m.Mask("app | MIIEvQIBADANBgkqhkiG"); got != "app | ***" {
		t.Errorf("a line of the key came out as %q", got)
	}
}

func TestMaskerHidesAllOfSecretsThatOverlap(t *testing.T) {
	t.Parallel()
	m := newMasker(&bytes.Buffer{})
	m.Learn([]string{"abcd", "cdef", "abcdefgh"})
	for text, want := range map[string]string{"abcdef.": "***.", "abcdefgh": "***", "abcdx": "***x"} {
		if got := m.Mask(text); got != want {
			t.Errorf("%s became %s, expected %s", text, got, want)
		}
	}
}

func TestMaskerLeavesShortSecretsAlone(t *testing.T) {
	t.Parallel()
	m := newMasker(&bytes.Buffer{})
	m.Learn([]string{"", "1", "yes", "    ", "ab\n\n"})
	if text := "yes, 1    ab\n\n"; m.Mask(text) != text {
		t.Errorf("became %q", m.Mask(text))
	}
}

func TestMaskerLearnsWhileItIsWrittenTo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	m := newMasker(&out)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			secret := fmt.Sprintf("secret-%d!", i)
			m.Learn([]string{secret})
			fmt.Fprintf(m, "it is %s\n", secret)
		})
	}
	all.Wait()
	if got, want := out.String(), strings.Repeat("it is ***\n", 8); got != want {
		t.Errorf("came out as %q", got)
	}
}
