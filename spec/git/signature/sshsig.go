package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	sshEnds      = "-----END SSH SIGNATURE-----"
	sshMagic     = "SSHSIG"
	gitNamespace = "git"
	// maxSSHSIG is far more than the largest key and signature take.
	maxSSHSIG = 64 << 10
)

// sshsig is a signature as ssh-keygen -Y sign makes it (OpenSSH's PROTOCOL.sshsig).
type sshsig struct {
	key       ssh.PublicKey
	namespace string
	reserved  string
	hash      string
	signature ssh.Signature
}

// envelope is how the parts of a signature lie behind the magic word.
type envelope struct {
	Version   uint32
	Key       []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// what is signed: the magic word, and this.
type signedPart struct {
	Namespace string
	Reserved  string
	Hash      string
	Digest    []byte
}

// String names the key, as in "SSH key SHA256:…".
func (s sshsig) String() string { return "SSH key " + ssh.FingerprintSHA256(s.key) }

// parseSSHSIG reads an armored signature.
func parseSSHSIG(armored string) (s sshsig, err error) {
	armored = strings.TrimSpace(armored)
	body, ok := strings.CutPrefix(armored, sshBegins)
	body, ended := strings.CutSuffix(body, sshEnds)
	if !ok || !ended || len(body) > maxSSHSIG {
		return s, errors.New("it does not begin and end as one does")
	}
	blob, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		return s, errors.New("it is not base64")
	}
	rest, ok := bytes.CutPrefix(blob, []byte(sshMagic))
	if !ok {
		return s, errors.New("it is no " + sshMagic)
	}
	var e envelope
	if err := ssh.Unmarshal(rest, &e); err != nil {
		return s, errors.New("it is cut off, or has something behind it")
	}
	if e.Version != 1 {
		return s, fmt.Errorf("it is of version %d, and version 1 is known", e.Version)
	}
	if s.key, err = ssh.ParsePublicKey(e.Key); err != nil {
		return s, errors.New("its key cannot be read")
	}
	if err := ssh.Unmarshal(e.Signature, &s.signature); err != nil {
		return s, errors.New("what it signs with cannot be read")
	}
	s.namespace, s.reserved, s.hash = e.Namespace, e.Reserved, e.Hash
	return s, s.sound()
}

// sound refuses what OpenSSH refuses too: hashes and algorithms that no longer prove anything.
func (s sshsig) sound() error {
	if s.hash != "sha256" && s.hash != "sha512" {
		return fmt.Errorf("its hash %q is not sha256 or sha512", s.hash)
	}
	switch s.signature.Format {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return nil
	}
	return fmt.Errorf("its algorithm %q is not one that counts", s.signature.Format)
}

// verify tells whether the signature is of a text.
func (s sshsig) verify(text []byte) error {
	var digest []byte
	if s.hash == "sha256" {
		sum := sha256.Sum256(text)
		digest = sum[:]
	} else {
		sum := sha512.Sum512(text)
		digest = sum[:]
	}
	signed := append([]byte(sshMagic), ssh.Marshal(signedPart{s.namespace, s.reserved, s.hash, digest})...)
	return s.key.Verify(signed, &s.signature)
}
