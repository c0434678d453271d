package signature

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	pgpKeys = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	// pgpSkew is by how much the clock of who signs may be ahead.
	pgpSkew = 5 * time.Minute
)

func (t Trust) checkOpenPGP(s Signed, armored string) (string, error) {
	sig, raw, err := readOpenPGP(armored)
	if err != nil {
		return "", refuse(Refused, "has an OpenPGP signature that cannot be read: %v", err)
	}
	key := fmt.Sprintf("OpenPGP key %016X", *sig.IssuerKeyId)
	if !slices.Contains([]crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512}, sig.Hash) {
		return "", refuse(Refused, "has a signature (%s) whose hash %v no longer proves anything", key, sig.Hash)
	}
	if t.Keyring == "" {
		return "", refuse(Unknown, "is signed with OpenPGP, and no keyring is named: name it with --keyring")
	}
	content, err := os.ReadFile(t.Keyring)
	if err != nil {
		return "", fmt.Errorf("cannot be checked: the keyring: %w", err)
	}
	ring, err := parseKeyring(string(content))
	if err != nil {
		return "", fmt.Errorf("cannot be checked: keyring %s: %w", t.Keyring, err)
	}
	if len(ring.KeysById(*sig.IssuerKeyId)) == 0 {
		return "", refuse(Unknown, "is signed by an unknown key: %s is not in %s", key, t.Keyring)
	}
	if !s.Now.IsZero() && sig.CreationTime.After(s.Now.Add(pgpSkew)) {
		return "", refuse(Expired, "has a signature (%s) of a time that is still to come: %s", key, stamp(sig.CreationTime))
	}
	name, err := verifyOpenPGP(ring, s.Text, raw, sig.CreationTime)
	if err != nil {
		return "", refusal(err, key, name, "had expired when it was made")
	}
	if now := s.Now; now.After(sig.CreationTime) {
		if _, err := verifyOpenPGP(ring, s.Text, raw, now); err != nil {
			return "", refusal(err, key, name, "has expired since")
		}
	}
	return name, nil
}

// readOpenPGP reads an armored signature: one packet, or it would not be clear whose it is.
func readOpenPGP(armored string) (sig *packet.Signature, raw []byte, err error) {
	block, err := armor.Decode(strings.NewReader(armored))
	if err != nil {
		return nil, nil, errors.New("it is not armored")
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(block.Body); err != nil {
		return nil, nil, errors.New("it is cut off")
	}
	packets := packet.NewReader(bytes.NewReader(b.Bytes()))
	p, err := packets.Next()
	if err != nil {
		return nil, nil, errors.New("it is no OpenPGP packet")
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.IssuerKeyId == nil {
		return nil, nil, errors.New("it is no signature with the number of a key")
	}
	if _, err := packets.Next(); err == nil {
		return nil, nil, errors.New("there are several")
	}
	return sig, b.Bytes(), nil
}

// parseKeyring reads public keys, which may be in several blocks, one after the other.
func parseKeyring(text string) (all openpgp.EntityList, err error) {
	_, text, ok := strings.Cut(text, pgpKeys)
	if !ok {
		return nil, errors.New("it has no armored public key: gpg --armor --export makes one")
	}
	for block := range strings.SplitSeq(text, pgpKeys) {
		keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(pgpKeys + block))
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

// verifyOpenPGP gives who has signed a text, also where the key is not valid at the time.
func verifyOpenPGP(ring openpgp.EntityList, text, raw []byte, at time.Time) (name string, err error) {
	_, entity, err := openpgp.VerifyDetachedSignature(ring, bytes.NewReader(text), bytes.NewReader(raw), &packet.Config{Time: func() time.Time { return at }})
	if entity == nil {
		return "", err
	}
	if identity := entity.PrimaryIdentity(); identity != nil {
		return identity.Name, err
	}
	if names := slices.Sorted(maps.Keys(entity.Identities)); len(names) > 0 {
		return names[0], err
	}
	return fmt.Sprintf("%X", entity.PrimaryKey.Fingerprint), err
}

// refusal says what an error of the library means.
func refusal(err error, key, name, expired string) error {
	switch {
	case errors.Is(err, pgperrors.ErrKeyExpired), errors.Is(err, pgperrors.ErrSignatureExpired):
		return refuse(Expired, "is signed by %s (%s), whose key or signature %s", name, key, expired)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return refuse(Unknown, "is signed by %s (%s), whose key was revoked", name, key)
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return refuse(Unknown, "is signed by %s, which is no key for signing", key)
	}
	return refuse(Forged, "has a signature (%s) that does not belong to it: it was changed after it was signed, or the signature is of something else", key)
}
