package spec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Policy says who may do what with a store, as AWS and the servers that are like it
// understand it. It holds what the text means and no more: names of statements and of the
// policy itself, the order of things, and whether one thing stands in a list do not count.
// So two policies are the same if and only if their texts (String) are.
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows or denies something. Its lists are sorted.
type Statement struct {
	Effect       string     `json:"Effect"` // "Allow" or "Deny"
	Principal    Principals `json:"Principal,omitempty"`
	NotPrincipal Principals `json:"NotPrincipal,omitempty"`
	Action       OneOrMore  `json:"Action,omitempty"`
	NotAction    OneOrMore  `json:"NotAction,omitempty"`
	Resource     OneOrMore  `json:"Resource,omitempty"`
	NotResource  OneOrMore  `json:"NotResource,omitempty"`
	// Condition are values by operator and key: "StringLike", "s3:prefix".
	Condition map[string]map[string]OneOrMore `json:"Condition,omitempty"`
}

// Principals are who is meant, by their sort. Everybody is {"AWS": ["*"]}.
type Principals map[string]OneOrMore

// OneOrMore is a list that may be written as a single text.
type OneOrMore []string

// PolicyError is what is wrong with the text of a policy.
type PolicyError struct {
	Line int // from 1
	Says string
}

func (e *PolicyError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Says) }

// defaultVersion is that of a policy which names none, as MinIO takes it.
const defaultVersion = "2012-10-17"

// ParsePolicy reads the JSON of a policy. What it cannot understand is a *PolicyError.
func ParsePolicy(text string) (Policy, error) {
	p, err := decodePolicy(text)
	if err != nil {
		return Policy{}, err
	}
	for i, s := range p.Statement {
		if says := s.wrong(); says != "" {
			return Policy{}, &PolicyError{lineOfStatement(text, i), says}
		}
		s.settle()
		p.Statement[i] = s
	}
	return p.tidy(), nil
}

// written is a policy as it stands in a file.
type written struct {
	Version   string
	ID        string // means nothing
	Statement statements
}

// statements may be a single one.
type statements []Statement

func decodePolicy(text string) (Policy, error) {
	var w written
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&w)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("there is more after the end of the policy")
		}
	}
	switch {
	case err != nil:
		return Policy{}, &PolicyError{lineOfError(text, err, d.InputOffset()), strings.TrimPrefix(err.Error(), "json: ")}
	case w.Version != "" && w.Version != defaultVersion && w.Version != "2008-10-17":
		return Policy{}, &PolicyError{1, fmt.Sprintf("there is no Version %q: write %q", w.Version, defaultVersion)}
	case len(w.Statement) == 0:
		return Policy{}, &PolicyError{1, "a policy needs a Statement"}
	}
	return Policy{cmp.Or(w.Version, defaultVersion), w.Statement}, nil
}

// UnmarshalJSON reads a statement or a list of some.
func (s *statements) UnmarshalJSON(b []byte) error {
	raw := []json.RawMessage{b}
	if bytes.HasPrefix(b, []byte("[")) {
		if err := json.Unmarshal(b, &raw); err != nil {
			return err
		}
	}
	for _, one := range raw {
		var w struct {
			Statement
			Sid string // means nothing
		}
		d := json.NewDecoder(bytes.NewReader(one))
		d.DisallowUnknownFields()
		if err := d.Decode(&w); err != nil {
			return err
		}
		*s = append(*s, w.Statement)
	}
	return nil
}

// UnmarshalJSON reads "*" or lists by sort.
func (p *Principals) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*p = Principals{"AWS": nil}
		var all OneOrMore
		err := all.UnmarshalJSON(b)
		(*p)["AWS"] = all
		return err
	}
	return json.Unmarshal(b, (*map[string]OneOrMore)(p))
}

// UnmarshalJSON reads a text, a number or a truth, or a list of some.
func (l *OneOrMore) UnmarshalJSON(b []byte) error {
	raw := []json.RawMessage{b}
	if bytes.HasPrefix(b, []byte("[")) {
		if err := json.Unmarshal(b, &raw); err != nil {
			return err
		}
	}
	*l = make(OneOrMore, 0, len(raw))
	for _, one := range raw {
		text := string(one)
		if strings.HasPrefix(text, `"`) {
			if err := json.Unmarshal(one, &text); err != nil {
				return err
			}
		} else if strings.ContainsAny(text[:1], "{[n") {
			return fmt.Errorf("%s stands where a text or a list of texts belongs", text)
		}
		*l = append(*l, text)
	}
	return nil
}

// wrong says what a statement lacks or has too much of, "" if it is sound.
func (s Statement) wrong() string {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Sprintf(`the Effect of a statement is "Allow" or "Deny", not %q`, s.Effect)
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return "a statement has either an Action or a NotAction"
	case len(s.Resource) > 0 && len(s.NotResource) > 0:
		return "a statement has either a Resource or a NotResource"
	case len(s.Principal) > 0 && len(s.NotPrincipal) > 0:
		return "a statement has either a Principal or a NotPrincipal"
	}
	return ""
}

// settle puts a statement into the one form that all that mean the same have.
func (s *Statement) settle() {
	for _, list := range []*OneOrMore{&s.Action, &s.NotAction, &s.Resource, &s.NotResource} {
		*list = list.sorted()
	}
	for _, who := range []Principals{s.Principal, s.NotPrincipal} {
		for sort, list := range who {
			who[sort] = list.sorted()
		}
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			if strings.HasSuffix(operator, "IpAddress") {
				for i := range values {
					values[i] = network(values[i])
				}
			}
			keys[key] = values.sorted()
		}
	}
}

func (l OneOrMore) sorted() OneOrMore {
	slices.Sort(l)
	return slices.Compact(l)
}

// network is an address or a network of addresses as a network that begins where it does.
func network(text string) string {
	if address, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(address, address.BitLen()).String()
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked().String()
	}
	return text
}

// String is the JSON of a policy in its one form, on one line.
func (p Policy) String() string { return oneLine(p) }

// String is the JSON of a statement, on one line.
func (s Statement) String() string { return oneLine(s) }

func oneLine(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // these types always can be
	return strings.TrimSpace(b.String())
}

// JoinPolicies gives the policy that allows and denies what all of them together do.
func JoinPolicies(all ...Policy) Policy {
	var sum Policy
	for _, p := range all {
		sum.Version = cmp.Or(sum.Version, p.Version)
		sum.Statement = append(sum.Statement, p.Statement...)
	}
	return sum.tidy()
}

// tidy puts the statements in order, each once.
func (p Policy) tidy() Policy {
	slices.SortFunc(p.Statement, func(a, b Statement) int { return cmp.Compare(a.String(), b.String()) })
	p.Statement = slices.CompactFunc(p.Statement, func(a, b Statement) bool { return a.String() == b.String() })
	return p
}

// IsZero tells whether there is no policy.
func (p Policy) IsZero() bool { return len(p.Statement) == 0 }

// lineOfError is the line on which decoding a policy failed.
func lineOfError(text string, err error, offset int64) int {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	return 1 + strings.Count(text[:min(max(int(offset), 0), len(text))], "\n")
}

// lineOfStatement is the line on which statement i (from 0) of a well-formed policy ends.
func lineOfStatement(text string, i int) int {
	d := json.NewDecoder(strings.NewReader(text))
	depth, inside := 0, false
	for {
		token, err := d.Token()
		if err != nil {
			return 1
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
			if inside && token == json.Delim('}') && (depth == 1 || depth == 2) {
				if i == 0 {
					return lineOfError(text, nil, d.InputOffset())
				}
				i--
			}
		default:
			if name, ok := token.(string); ok && depth == 1 {
				inside = strings.EqualFold(name, "Statement")
			}
		}
	}
}
