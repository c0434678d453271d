package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strings"
)

// shortestSecret is the least length of a secret, in bytes: a shorter one can be found by
// trying.
const shortestSecret = 16

// Secret is what the agent and a forge share.
type Secret struct{ text []byte }

// ParseSecrets reads secrets, one a line.
func ParseSecrets(text string) ([]Secret, error) {
	var all []Secret
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "":
		case len(line) < shortestSecret:
			return nil, fmt.Errorf("the webhook's secret has %d characters, and needs %d at least: openssl rand -hex 32 makes one", len(line), shortestSecret)
		default:
			all = append(all, Secret{[]byte(line)})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the webhook's secret is empty")
	}
	return all, nil
}

// String hides the secret.
func (Secret) String() string { return "***" }

// GoString hides it too.
func (Secret) GoString() string { return "***" }

// proof is what a call shows to be believed.
type proof interface {
	// holds tells whether one of the secrets was known to who has made the call.
	holds(sums) bool
}

// signature is an HMAC-SHA256 of the body.
type signature []byte

// token is the secret itself, as GitLab sends it.
type token string

// signatures are the headers with an HMAC-SHA256 in hexadecimal, and what stands before
// it. Gitea and Forgejo send several of them; all are of the same secret.
var signatures = []struct{ header, before string }{
	{"X-Hub-Signature-256", "sha256="}, // GitHub
	{"X-Forgejo-Signature", ""},
	{"X-Gitea-Signature", ""},
	{"X-Hub-Signature", "sha256="}, // Bitbucket
	{"X-Flumen-Signature", "sha256="},
}

// tokenHeader is GitLab's.
const tokenHeader = "X-Gitlab-Token"

// proofOf reads what a call shows. It gives nil if that is nothing.
func proofOf(h http.Header) proof {
	for _, s := range signatures {
		text, ok := strings.CutPrefix(h.Get(s.header), s.before)
		if sum, err := hex.DecodeString(text); ok && err == nil && len(sum) == sha256.Size {
			return signature(sum)
		}
	}
	if text := h.Get(tokenHeader); text != "" {
		return token(text)
	}
	return nil
}

// sums take in a body and sign it with each secret.
type sums []secretSum

type secretSum struct {
	Secret
	hash.Hash
}

func newSums(secrets []Secret) sums {
	var all sums
	for _, s := range secrets {
		all = append(all, secretSum{s, hmac.New(sha256.New, s.text)})
	}
	return all
}

// Write takes in a part of the body.
func (s sums) Write(p []byte) (int, error) {
	for _, one := range s {
		one.Hash.Write(p)
	}
	return len(p), nil
}

func (s signature) holds(all sums) (holds bool) {
	for _, one := range all {
		holds = hmac.Equal(s, one.Sum(nil)) || holds
	}
	return holds
}

// holds compares digests, which are of one length whatever the token's is.
func (t token) holds(all sums) (holds bool) {
	given := sha256.Sum256([]byte(t))
	for _, one := range all {
		known := sha256.Sum256(one.text)
		holds = subtle.ConstantTimeCompare(given[:], known[:]) == 1 || holds
	}
	return holds
}
