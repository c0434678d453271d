package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unique"
)

// Masked is what a sensitive Value looks like wherever it is printed.
const Masked = "***"

// Value is the text of one field. A sensitive one prints and marshals as ***;
// only a target may Reveal it. The zero Value means "not there", which is not
// the same as an empty text.
type Value struct {
	text      string                // of one that is not sensitive
	secret    unique.Handle[string] // of one that is: printing finds no text behind it, however deep it lies
	present   bool
	sensitive bool
}

// Plain is a Value that everybody may see.
func Plain(text string) Value { return Value{text: text, present: true} }

// Sensitive is a Value that never leaves the process as it is.
func Sensitive(text string) Value {
	return Value{secret: unique.Make(text), present: true, sensitive: true}
}

// IsZero tells whether there is no value at all.
func (v Value) IsZero() bool { return !v.present }

// IsSensitive tells whether the value must not be shown.
func (v Value) IsSensitive() bool { return v.sensitive }

// Equal compares the texts; whether they are sensitive makes no difference.
func (v Value) Equal(o Value) bool { return v.present == o.present && v.Reveal() == o.Reveal() }

// Reveal gives the text itself. It is for targets, which hand it to the system
// they look after, and for nobody else.
func (v Value) Reveal() string {
	if v.sensitive {
		return v.secret.Value()
	}
	return v.text
}

// Hide is the same value, sensitive.
func (v Value) Hide() Value {
	if !v.present {
		return v
	}
	return Sensitive(v.Reveal())
}

func (v Value) String() string {
	if v.sensitive {
		return Masked
	}
	return v.text
}

// Format prints the text or the mask with any verb, so that none gets at more.
func (v Value) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), v.String())
}

// MarshalJSON writes null for a value that is not there.
func (v Value) MarshalJSON() ([]byte, error) {
	if !v.present {
		return []byte("null"), nil
	}
	return json.Marshal(v.String())
}

// UnmarshalJSON reads what MarshalJSON wrote: a masked value comes back as the
// mask, for what was hidden cannot be had again.
func (v *Value) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = Value{}
		return nil
	}
	*v = Value{present: true}
	return json.Unmarshal(b, &v.text)
}

// Fields is what a resource looks like, attribute by attribute, in canonical
// text: "env.TZ", "mount./data.source", "port.5432/tcp". An attribute that is
// left to the image or the engine is not in it.
type Fields map[string]Value

// Names gives the field names in order.
func (f Fields) Names() []string { return slices.Sorted(maps.Keys(f)) }

// set adds a plain field unless the text is empty.
func (f Fields) set(name, text string) {
	if text != "" {
		f[name] = Plain(text)
	}
}

// flag adds a field "true" if on.
func (f Fields) flag(name string, on bool) {
	if on {
		f[name] = Plain("true")
	}
}

// list adds a field with a JSON-like list, unless it is nil. An empty list
// counts: it says "nothing", which is not "as the image has it".
func (f Fields) list(name string, items []string) {
	if items != nil {
		b, _ := json.Marshal(items)
		f[name] = Plain(string(b))
	}
}

// sortedList is list for sets, where order means nothing and none is the default.
func (f Fields) sortedList(name string, items []string) {
	if len(items) > 0 {
		sorted := slices.Clone(items)
		slices.Sort(sorted)
		f.list(name, slices.Compact(sorted))
	}
}

// hiding are the fields in whose text a secret may have been put by the author of the
// spec. Ports, networks and names are not among them: they are compared with others.
var hiding = []string{"command", "entrypoint", "healthcheck.test", "working_dir", "user", "hostname", "label.", "logging.", "option."}

// hide makes those fields sensitive that hold one of the secrets, so that a secret is
// hidden on both sides of a difference, also the one that was replaced by another.
func (f Fields) hide(secrets []Value) {
	for name, v := range f {
		if !slices.ContainsFunc(hiding, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		if slices.ContainsFunc(secrets, func(s Value) bool { return strings.Contains(v.Reveal(), s.Reveal()) }) {
			f[name] = v.Hide()
		}
	}
}

// sensitiveWords make a variable or key a secret by its name.
var sensitiveWords = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential"}

// SensitiveName tells whether something of this name is likely a secret, from
// the words in it: POSTGRES_PASSWORD, AWS_SECRET_ACCESS_KEY, apiToken, GPG_KEY.
func SensitiveName(name string) bool {
	folded := strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(name))
	for _, w := range sensitiveWords {
		if strings.Contains(folded, w) {
			return true
		}
	}
	lower := strings.ToLower(name)
	return lower == "key" || strings.HasSuffix(lower, "_key") || strings.HasSuffix(lower, "-key") || strings.HasSuffix(lower, "_pass") || strings.HasSuffix(lower, "_pwd")
}

// urlPassword is user:password@ in the address of something.
var urlPassword = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@`)

// URLPassword gives the password of a URL that is in the text, or "".
func URLPassword(text string) string {
	if m := urlPassword.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
