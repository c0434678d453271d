package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// valueBegins is how a value begins that SOPS has encrypted.
const valueBegins = "ENC[AES256_GCM,"

// metadata is what SOPS keeps beside the values.
type metadata struct {
	Age []struct {
		Enc string `yaml:"enc"`
	} `yaml:"age"`
	KeyGroups         []any  `yaml:"key_groups"`
	MAC               string `yaml:"mac"`
	LastModified      string `yaml:"lastmodified"`
	UnencryptedSuffix string `yaml:"unencrypted_suffix"`
	EncryptedSuffix   string `yaml:"encrypted_suffix"`
	UnencryptedRegex  string `yaml:"unencrypted_regex"`
	EncryptedRegex    string `yaml:"encrypted_regex"`
	MACOnlyEncrypted  bool   `yaml:"mac_only_encrypted"`

	UnencryptedCommentRegex string `yaml:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string `yaml:"encrypted_comment_regex"`
}

// leaf is one value of a file. Its path has the names on the way to it, and no positions in
// lists.
type leaf struct {
	path []string
	text string // as it stands there
	// plain is the value for the MAC if it is not encrypted: text, as SOPS writes it.
	plain string
	null  bool
	set   func(plain string, kind string)
}

// macOnly begins a MAC that is over encrypted values alone, as SOPS has it.
var macOnly = []byte{0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0xb, 0xb, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69}

// open decrypts all values in the order in which they stand, and checks that none was changed,
// moved, added or taken away. It gives the texts that were encrypted.
func (k *Keys) open(m metadata, leaves []leaf) (secrets []string, err error) {
	rule, err := m.rule()
	if err != nil {
		return nil, err
	}
	key, err := k.dataKey(m)
	if err != nil {
		return nil, err
	}
	sum := sha512.New()
	if m.MACOnlyEncrypted {
		sum.Write(macOnly)
	}
	for _, one := range leaves {
		secret, err := openLeaf(one, key, rule(one.path), m.MACOnlyEncrypted, sum)
		if err != nil {
			return nil, err
		}
		if secret != "" {
			secrets = append(secrets, secret)
		}
	}
	return secrets, m.check(key, sum)
}

// openLeaf decrypts one value, if it is encrypted, and adds it to the MAC.
func openLeaf(one leaf, key []byte, encrypted, macOnlyEncrypted bool, sum hash.Hash) (secret string, err error) {
	switch {
	case one.null:
		return "", nil
	case !encrypted:
		if !macOnlyEncrypted {
			sum.Write([]byte(one.plain))
		}
		return "", nil
	case one.text == "":
		return "", nil // SOPS leaves empty texts as they are
	}
	at := strings.Join(one.path, ".")
	value, kind, err := decrypt(one.text, key, strings.Join(one.path, ":")+":")
	if err != nil {
		return "", fmt.Errorf("the value of %s %w", at, err)
	}
	if kind != "comment" {
		sum.Write([]byte(value))
	}
	one.set(value, kind)
	if kind == "bool" {
		return "", nil // a word that is everywhere hides nothing
	}
	return value, nil
}

// check compares the MAC.
func (m metadata) check(key []byte, sum hash.Hash) error {
	when, err := time.Parse(time.RFC3339, m.LastModified)
	if err != nil || m.MAC == "" {
		return errors.New("it has no MAC, so nobody can tell whether it was changed")
	}
	mac, _, err := decrypt(m.MAC, key, when.Format(time.RFC3339))
	want := fmt.Sprintf("%X", sum.Sum(nil))
	if err != nil || subtle.ConstantTimeCompare([]byte(mac), []byte(want)) != 1 {
		return errors.New("its MAC is not that of its values: it was changed by hand after it was encrypted; edit it with sops")
	}
	return nil
}

// dataKey opens the key of the file.
func (k *Keys) dataKey(m metadata) ([]byte, error) {
	if len(m.KeyGroups) > 0 {
		return nil, errors.New("it has several groups of keys (Shamir), of which one key is not enough")
	}
	if len(m.Age) == 0 {
		return nil, errors.New("it is not encrypted for age, and no other keys of SOPS are used here: add a recipient (sops rotate --add-age)")
	}
	var first error
	for _, one := range m.Age {
		key, err := k.openAge([]byte(one.Enc))
		if err == nil && len(key) != 32 {
			err = errors.New("its data key is not one")
		}
		if err == nil {
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// rule says which values are encrypted.
func (m metadata) rule() (func(path []string) bool, error) {
	if m.EncryptedCommentRegex != "" || m.UnencryptedCommentRegex != "" {
		return nil, errors.New("what in it is encrypted depends on comments, which is not supported: use encrypted_regex")
	}
	suffix := func(suffix string) func(string) bool {
		return func(name string) bool { return strings.HasSuffix(name, suffix) }
	}
	var fault error
	match := func(pattern string) func(string) bool {
		re, err := regexp.Compile(pattern)
		if err != nil {
			fault = errors.New("its encrypted_regex or unencrypted_regex is not a pattern")
			return func(string) bool { return false }
		}
		return re.MatchString
	}
	type test struct {
		matches   func(string) bool
		encrypted bool
	}
	var tests []test // in SOPS' order; each may turn round what those before it said
	for _, one := range []struct {
		text      string
		how       func(string) func(string) bool
		encrypted bool
	}{
		{m.UnencryptedSuffix, suffix, false}, {m.EncryptedSuffix, suffix, true}, {m.UnencryptedRegex, match, false}, {m.EncryptedRegex, match, true},
	} {
		if one.text != "" {
			tests = append(tests, test{one.how(one.text), one.encrypted})
		}
	}
	return func(path []string) bool {
		encrypted := true
		for _, t := range tests {
			switch hit := slices.ContainsFunc(path, t.matches); {
			case t.encrypted:
				encrypted = hit
			case hit:
				encrypted = false
			}
		}
		return encrypted
	}, fault
}

var value = regexp.MustCompile(`^ENC\[AES256_GCM,data:([^,]*),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]$`)

// decrypt opens one value, which must be the one of that place. It gives it as the text that
// SOPS has in the MAC.
func decrypt(text string, key []byte, place string) (plain, kind string, err error) {
	parts := value.FindStringSubmatch(text)
	if parts == nil {
		return "", "", errors.New("is not encrypted, and should be")
	}
	var raw [3][]byte
	for i := range raw {
		if raw[i], err = base64.StdEncoding.DecodeString(parts[i+1]); err != nil {
			return "", "", errors.New("is not as SOPS writes it")
		}
	}
	data, iv, tag := raw[0], raw[1], raw[2]
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", "", err
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil || len(tag) != gcm.Overhead() {
		return "", "", errors.New("is not as SOPS writes it")
	}
	opened, err := gcm.Open(nil, iv, append(data, tag...), []byte(place))
	if err != nil {
		return "", "", errors.New("was changed, or belongs somewhere else")
	}
	plain, kind = string(opened), parts[4]
	return plain, kind, checkKind(plain, kind)
}

func checkKind(plain, kind string) (err error) {
	switch kind {
	case "str", "bytes", "comment":
	case "int":
		_, err = strconv.Atoi(plain)
	case "float":
		_, err = strconv.ParseFloat(plain, 64)
	case "bool":
		_, err = strconv.ParseBool(plain)
	case "time":
		_, err = time.Parse(time.RFC3339Nano, plain)
	default:
		err = errors.New("unknown")
	}
	if err != nil {
		return fmt.Errorf("is no %s", kind)
	}
	return nil
}
