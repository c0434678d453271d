package proof

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Root is the folder of a table: "s3://bucket/folder", or the absolute path of a folder.
type Root string

// schemes that mean the same store.
var schemes = map[string]string{"s3a": "s3", "s3n": "s3", "s3": "s3", "file": ""}

// Path is what a path in a log may mean.
type Path struct {
	// Key is the file that it means, relative to the root, or its place if it lies elsewhere.
	Key    string
	Inside bool
	// Others are further files that it could mean if its writer spelled it in another way.
	Others []string
	// Base is the name without folders of a file that lies elsewhere: the place could be the
	// root under another name. "" for one inside.
	Base string
}

// Read tells what a path in the log of the table may mean. A path is a URI: what it means is
// decoded once. Some writers encode it twice or not at all, so that those are other files
// that it could mean.
func (r Root) Read(raw string) Path {
	if plain(raw) {
		return Path{Key: raw, Inside: true}
	}
	once := Decode(raw)
	p := r.place(once)
	for _, spelled := range []string{raw, once, Decode(once)} {
		// A store of objects keeps apart what a file system takes for the same folder.
		for _, other := range []Path{r.place(spelled), r.placed(spelled, plainly)} {
			p.add(other.Key)
		}
	}
	for _, key := range append([]string{p.Key}, p.Others...) {
		if !ascii(key) {
			p.add(norm.NFC.String(key))
			p.add(norm.NFD.String(key))
		}
	}
	return p
}

// plain tells whether a path can mean but one file: most can.
func plain(raw string) bool {
	for i := range len(raw) {
		if c := raw[i]; c >= utf8.RuneSelf || c == '%' || c == ':' {
			return false
		}
	}
	return !strings.HasPrefix(raw, "/") && clean(raw) == raw
}

// add adds a file that the path could mean.
func (p *Path) add(key string) {
	if key != p.Key && !slices.Contains(p.Others, key) {
		p.Others = append(p.Others, key)
	}
}

// place reads a path that is decoded.
func (r Root) place(text string) Path { return r.placed(text, clean) }

func plainly(text string) string { return text }

// placed reads a path that is decoded, as it is after it was cleaned up.
func (r Root) placed(text string, clean func(string) string) Path {
	scheme, rest, absolute := splitScheme(text)
	switch {
	case absolute:
	case strings.HasPrefix(text, "/"):
		scheme, rest = r.scheme(), r.host()+text
	default:
		return Path{Key: clean(text), Inside: true}
	}
	whole := clean(rest)
	if scheme != "" {
		whole = scheme + "://" + strings.TrimPrefix(whole, "/")
	}
	if key, inside := strings.CutPrefix(whole, string(r)+"/"); inside {
		return Path{Key: key, Inside: true}
	}
	return Path{Key: whole, Base: path.Base(whole)}
}

// scheme and host are what a path without them has in the store of the table.
func (r Root) scheme() string {
	scheme, _, _ := splitScheme(string(r))
	return scheme
}

func (r Root) host() string {
	scheme, rest, _ := splitScheme(string(r))
	if scheme == "" {
		return ""
	}
	bucket, _, _ := strings.Cut(rest, "/")
	return bucket
}

// splitScheme splits "s3a://bucket/key" and "file:/path". Schemes of one store become one. A
// colon in the name of a file is no scheme.
func splitScheme(text string) (scheme, rest string, ok bool) {
	name, rest, ok := strings.Cut(text, ":")
	if !ok || !strings.HasPrefix(rest, "/") || !isScheme(name) {
		return "", "", false
	}
	name = strings.ToLower(name)
	if one, known := schemes[name]; known {
		name = one
	}
	rest = strings.TrimPrefix(rest, "//")
	if name == "" && !strings.HasPrefix(rest, "/") {
		_, rest, _ = strings.Cut(rest, "/") // file://host/path
		rest = "/" + rest
	}
	return name, rest, true
}

func isScheme(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+.-", rune(c))) {
			return false
		}
	}
	return len(name) > 1
}

// clean takes "./" and empty parts out of a path.
func clean(text string) string {
	for i := range len(text) {
		if rest := text[i+1:]; text[i] == '/' && (strings.HasPrefix(rest, "/") || dotted(rest)) {
			return path.Clean(text)
		}
	}
	if dotted(text) {
		return path.Clean(text)
	}
	return text
}

// dotted tells whether a path begins with a part that stands for the folder it is in, or the one above.
func dotted(text string) bool {
	return strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../")
}

// Decode takes the %-escapes out of a text. One that holds a bad escape is none that was
// encoded, and stays as it is; a + is never a space.
func Decode(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		high, low := -1, -1
		if i+2 < len(text) {
			high, low = hexDigit(text[i+1]), hexDigit(text[i+2])
		}
		if high < 0 || low < 0 {
			return text
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String()
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
