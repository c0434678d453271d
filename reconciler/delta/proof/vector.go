package proof

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Vector names the deletion vector of a file. The zero Vector is none.
type Vector struct {
	Type      string // "u", "p" or "i"
	Path      string // what it says of where it is
	Offset    int64
	HasOffset bool
}

// ID tells the vector from others of the same file; "" for none. No offset is not offset 0.
func (v Vector) ID() string {
	switch {
	case v.Type == "":
		return ""
	case v.HasOffset:
		return v.Type + v.Path + "@" + strconv.FormatInt(v.Offset, 10)
	}
	return v.Type + v.Path
}

// encodedUUID is the length of a UUID in Z85.
const encodedUUID = 20

// File is where the vector is kept: a path relative to the table with the UUID in its name, or a
// URI. Both are "" for one that is written into the log itself.
func (v Vector) File() (relative, uuid, uri string, err error) {
	switch v.Type {
	case "", "i":
		return "", "", "", nil
	case "p":
		return "", "", v.Path, nil
	case "u":
	default:
		return "", "", "", fmt.Errorf("deletion vectors of the storage type %q are unknown", v.Type)
	}
	if len(v.Path) < encodedUUID {
		return "", "", "", fmt.Errorf("%q is not the name of a deletion vector", v.Path)
	}
	prefix := v.Path[:len(v.Path)-encodedUUID]
	raw, err := z85(v.Path[len(prefix):])
	if err != nil {
		return "", "", "", err
	}
	h := hex.EncodeToString(raw)
	uuid = strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	relative = "deletion_vector_" + uuid + ".bin"
	if prefix != "" {
		relative = prefix + "/" + relative
	}
	return relative, uuid, "", nil
}

// z85Digits are those of ZeroMQ's base 85.
const z85Digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// z85 decodes groups of five digits into four bytes each.
func z85(text string) ([]byte, error) {
	if len(text)%5 != 0 {
		return nil, fmt.Errorf("%q is not Z85: its length is no multiple of 5", text)
	}
	var all []byte
	for i := 0; i < len(text); i += 5 {
		var n uint64
		for _, c := range []byte(text[i : i+5]) {
			digit := strings.IndexByte(z85Digits, c)
			if digit < 0 {
				return nil, fmt.Errorf("%q is not Z85", text)
			}
			n = n*85 + uint64(digit)
		}
		if n>>32 != 0 {
			return nil, fmt.Errorf("%q is not Z85: a group is too large", text)
		}
		all = append(all, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return all, nil
}

// uuids are the texts in a file's name that look like one, in lower case.
func uuids(name string) []string {
	var all []string
	for i := 0; i+uuidLength <= len(name); i++ {
		if one := name[i : i+uuidLength]; isUUID(one) {
			all = append(all, strings.ToLower(one))
		}
	}
	return all
}
