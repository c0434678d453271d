package signature

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Trust names the files that say whose signatures count. "" is none.
type Trust struct {
	AllowedSigners string // SSH: as in ssh-keygen(1), ALLOWED SIGNERS
	Keyring        string // OpenPGP: public keys, armored
}

// Any tells whether anybody is trusted at all.
func (t Trust) Any() bool { return t != Trust{} }

// Signed is a text with its signature, and the times at which its key must be valid.
type Signed struct {
	Text      []byte
	Signature string    // armored; "" is none
	Made      time.Time // when whoever signed it says that it was made
	Now       time.Time // zero: the key may have expired since
}

// Reason is why a signature does not count.
type Reason string

// The reasons.
const (
	Unsigned Reason = "unsigned" // there is none
	Unknown  Reason = "unknown"  // by a key that is not trusted
	Expired  Reason = "expired"  // by one that is not valid at the time
	Forged   Reason = "forged"   // it is of another text
	Refused  Reason = "refused"  // it cannot count whoever made it: another purpose, another kind, not readable
)

// Refusal says why a signature does not count. Its text goes on after the name of what was
// signed: "is not signed".
type Refusal struct {
	Reason Reason
	Said   string
}

func (r *Refusal) Error() string { return r.Said }

func refuse(why Reason, format string, args ...any) *Refusal {
	return &Refusal{why, fmt.Sprintf(format, args...)}
}

// How signatures begin.
const (
	sshBegins = "-----BEGIN SSH SIGNATURE-----"
	pgpBegins = "-----BEGIN PGP SIGNATURE-----"
)

// Check gives who has signed a text: a principal, or a user of a key. The error is a
// *Refusal, unless a file cannot be read.
func (t Trust) Check(s Signed) (signer string, err error) {
	armored := strings.TrimSpace(s.Signature)
	switch {
	case armored == "":
		return "", refuse(Unsigned, "is not signed")
	case strings.HasPrefix(armored, sshBegins):
		return t.checkSSH(s, armored)
	case strings.HasPrefix(armored, pgpBegins), strings.HasPrefix(armored, "-----BEGIN PGP MESSAGE-----"):
		return t.checkOpenPGP(s, armored)
	case strings.HasPrefix(armored, "-----BEGIN SIGNED MESSAGE-----"):
		return "", refuse(Refused, "is signed with X.509 (gpgsm), which is not supported: sign with SSH or OpenPGP")
	}
	return "", refuse(Refused, "has a signature of an unknown kind")
}

func (t Trust) checkSSH(s Signed, armored string) (string, error) {
	sig, err := parseSSHSIG(armored)
	if err != nil {
		return "", refuse(Refused, "has an SSH signature that cannot be read: %v", err)
	}
	if t.AllowedSigners == "" {
		return "", refuse(Unknown, "is signed with SSH, and no allowed signers are named: name them with --allowed-signers")
	}
	content, err := os.ReadFile(t.AllowedSigners)
	if err != nil {
		return "", fmt.Errorf("cannot be checked: the file of allowed signers: %w", err)
	}
	signers, err := parseSigners(string(content))
	if err != nil {
		return "", fmt.Errorf("cannot be checked: %s: %w", t.AllowedSigners, err)
	}
	if err := sig.verify(s.Text); err != nil {
		return "", refuse(Forged, "has a signature (%s) that does not belong to it: it was changed after it was signed, or the signature is of something else", sig)
	}
	if sig.namespace != gitNamespace {
		return "", refuse(Refused, "has a signature (%s) that was made for %q, not for git", sig, sig.namespace)
	}
	signer, refused := signers.trusted(sig, s, t.AllowedSigners)
	if refused != nil {
		return "", refused
	}
	return signer, nil
}
