package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Kind is how a file is encrypted.
type Kind string

// The kinds.
const (
	None   Kind = ""
	Age    Kind = "age"           // a whole file, armored or not
	Dotenv Kind = "SOPS (dotenv)" // NAME=value
	YAML   Kind = "SOPS (YAML)"   // values in their places
	JSON   Kind = "SOPS (JSON)"   // the same
	Binary Kind = "SOPS (binary)" // any file, as one value
	INI    Kind = "SOPS (INI)"    // not opened
)

// Of tells how a file is encrypted, by what it holds.
func Of(content []byte) Kind {
	switch {
	case bytes.HasPrefix(content, []byte(ageBegins)), bytes.HasPrefix(bytes.TrimSpace(content), []byte(armor.Header)):
		return Age
	case !bytes.Contains(content, []byte(valueBegins)):
		return None // a SOPS file has a MAC at least
	case hasLine(content, "sops_mac="):
		return Dotenv
	case hasLine(content, "[sops]"):
		return INI
	}
	return kindOfDocument(content)
}

const ageBegins = "age-encryption.org/v1\n"

// hasLine tells whether a line begins with a text.
func hasLine(content []byte, begins string) bool {
	return bytes.HasPrefix(content, []byte(begins)) || bytes.Contains(content, []byte("\n"+begins))
}

// Opened is what a file holds.
type Opened struct {
	Kind    Kind
	Content []byte
	// Secrets are the texts that were encrypted: all of the content, or values in it.
	Secrets []string
	// Open are the names of a dotenv file whose values were not encrypted.
	Open map[string]bool
}

// Key is where a key may be: a file of keys as age-keygen makes it, or such a text.
type Key struct {
	Name string // as a user knows it: "--age-key-file"
	File string
	Text string
}

// Keys are all that may be tried.
type Keys struct {
	All []Key
	// Hide is told of each key before it is used, so that no output shows it; nil: nobody is.
	Hide func(secret string)

	read       bool
	identities []age.Identity
	fault      error
}

// KeyError says that a file cannot be opened with the keys that there are: another key may do
// it, without a change of the file.
type KeyError struct{ Said string }

func (e *KeyError) Error() string { return e.Said }

// Open gives what a file holds. Errors are a *KeyError, or say what is wrong with the file;
// they quote nothing of it.
func (k *Keys) Open(content []byte) (o Opened, err error) {
	kind := Of(content)
	switch kind {
	case None:
		return o, errors.New("it is not encrypted")
	case INI:
		return o, errors.New("it is an INI file of SOPS, which is not read: use dotenv, YAML, JSON or a binary file")
	case Age:
		plain, err := k.openAge(content)
		return Opened{Kind: Age, Content: plain, Secrets: []string{string(plain)}}, err
	case Dotenv:
		o, err = k.openDotenv(content)
	default:
		o, err = k.openDocument(content, kind)
	}
	o.Kind = kind
	return o, err
}

// openAge opens a text that is encrypted for age.
func (k *Keys) openAge(content []byte) ([]byte, error) {
	identities, err := k.all()
	if err != nil {
		return nil, err
	}
	var from io.Reader = bytes.NewReader(content)
	if trimmed := bytes.TrimSpace(content); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		from = armor.NewReader(bytes.NewReader(trimmed))
	}
	plain, err := age.Decrypt(from, identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, &KeyError{k.mismatch(none.StanzaTypes)}
	}
	if err != nil {
		return nil, errors.New("it is broken: its header cannot be read")
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return nil, errors.New("it is broken: it was cut off or changed after it was encrypted")
	}
	return text, nil
}

// mismatch says why no key opens a file.
func (k *Keys) mismatch(kinds []string) string {
	for _, kind := range kinds {
		switch kind {
		case "scrypt":
			return "it is encrypted with a passphrase, which nobody is here to type: encrypt it for a key (age -r)"
		case "ssh-ed25519", "ssh-rsa":
			return "it is encrypted for an SSH key, which is not used here: encrypt it for a key of age-keygen"
		}
	}
	var names []string
	for _, one := range k.All {
		names = append(names, one.Name)
	}
	return "none of the keys of " + strings.Join(names, ", ") + " opens it: it is encrypted for somebody else"
}

// all reads the keys, once.
func (k *Keys) all() ([]age.Identity, error) {
	if k == nil || len(k.All) == 0 {
		return nil, &KeyError{"no key is named: give one with --age-key-file, FLUMEN_AGE_KEY, SOPS_AGE_KEY_FILE or SOPS_AGE_KEY"}
	}
	if k.read {
		return k.identities, k.fault
	}
	k.read = true
	for _, one := range k.All {
		found, err := k.readKey(one)
		if err != nil {
			k.fault = &KeyError{err.Error()}
			return nil, k.fault
		}
		k.identities = append(k.identities, found...)
	}
	return k.identities, nil
}

func (k *Keys) readKey(one Key) ([]age.Identity, error) {
	text := one.Text
	if one.File != "" {
		content, err := os.ReadFile(one.File)
		if err != nil {
			return nil, fmt.Errorf("the key file of %s: %w", one.Name, err)
		}
		text = string(content)
	}
	if k.Hide != nil {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				k.Hide(line)
			}
		}
	}
	found, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil { // it may quote the key
		return nil, fmt.Errorf("%s has no key that can be read: age-keygen makes one, which begins with AGE-SECRET-KEY-", one.Name)
	}
	return found, nil
}
