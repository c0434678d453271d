package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// signers are the lines of a file of allowed signers.
type signers []signer

// signer is one line: who may sign with which key, for what, and when.
type signer struct {
	line       int
	principals string // patterns, with commas between them
	key        ssh.PublicKey
	authority  bool   // the key signs certificates, and those sign
	namespaces string // patterns; "" is all
	after      time.Time
	before     time.Time
}

// parseSigners reads a file of allowed signers. A line that cannot be read is an error, or it
// might be one that takes a right away.
func parseSigners(text string) (all signers, err error) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		one, err := parseSigner(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		one.line = i + 1
		all = append(all, one)
	}
	return all, nil
}

func parseSigner(line string) (one signer, err error) {
	var rest string
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		if one.principals, rest, ok = strings.Cut(quoted, `"`); !ok {
			return one, errors.New("a quoted principal does not end")
		}
	} else if i := strings.IndexAny(line, " \t"); i > 0 {
		one.principals, rest = line[:i], line[i:]
	}
	if rest = strings.TrimSpace(rest); one.principals == "" || rest == "" {
		return one, errors.New("it is not: PRINCIPALS [OPTIONS] KEYTYPE KEY")
	}
	key, _, options, more, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || len(bytes.TrimSpace(more)) > 0 {
		return one, errors.New("it has no SSH public key that can be read")
	}
	one.key = key
	for _, option := range options {
		if err := one.option(option); err != nil {
			return one, err
		}
	}
	if !one.before.IsZero() && !one.after.IsZero() && !one.after.Before(one.before) {
		return one, errors.New("valid-before is not after valid-after")
	}
	return one, nil
}

func (s *signer) option(text string) (err error) {
	name, value, valued := strings.Cut(text, "=")
	value = strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	switch name = strings.ToLower(name); {
	case name == "cert-authority" && !valued:
		s.authority = true
	case name == "namespaces" && value != "":
		s.namespaces = value
	case name == "valid-after" && valued:
		s.after, err = parseTime(value)
	case name == "valid-before" && valued:
		s.before, err = parseTime(value)
	default:
		err = fmt.Errorf("option %q is not one of cert-authority, namespaces=, valid-after=, valid-before=", name)
	}
	return err
}

// parseTime reads YYYYMMDD[HHMM[SS]], in the machine's time zone, or UTC with a Z.
func parseTime(text string) (time.Time, error) {
	digits, utc := strings.CutSuffix(text, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) == len(layout) {
			if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z for UTC", text)
}

// trusted gives the principals of the line by which a signature counts. If none does, it
// says why the one does not that comes closest.
func (all signers) trusted(sig sshsig, s Signed, file string) (principals string, refused *Refusal) {
	refused = refuse(Unknown, "is signed by an unknown key: %s is in no line of %s", sig, file)
	if cert, ok := sig.key.(*ssh.Certificate); ok {
		refused = refuse(Unknown, "is signed with a certificate of an unknown authority: %s is in no line of %s", sshsig{key: cert.SignatureKey}, file)
	}
	for _, one := range all {
		name, why := one.allows(sig, s)
		if name != "" {
			return name, nil
		}
		if why != nil {
			why.Said = fmt.Sprintf("is signed by %s (%s), %s (%s, line %d)", one.principals, sig, why.Said, file, one.line)
			refused = why
		}
	}
	return "", refused
}

// allows gives who may sign by this line, or why the signature does not count. Neither: the
// line is about another key.
func (one signer) allows(sig sshsig, s Signed) (name string, refused *Refusal) {
	cert, certified := sig.key.(*ssh.Certificate)
	switch {
	case certified != one.authority:
		return "", nil
	case certified && !bytes.Equal(cert.SignatureKey.Marshal(), one.key.Marshal()):
		return "", nil
	case !certified && !bytes.Equal(sig.key.Marshal(), one.key.Marshal()):
		return "", nil
	}
	if one.namespaces != "" && !matchesList(one.namespaces, gitNamespace) {
		return "", refuse(Unknown, "who may not sign for git, only for %s", one.namespaces)
	}
	name = one.principals
	for _, at := range []time.Time{s.Made, s.Now} {
		if at.IsZero() {
			continue
		}
		if refused := one.validAt(at, at.Equal(s.Now) && !at.Equal(s.Made)); refused != nil {
			return "", refused
		}
		if certified {
			if name, refused = one.certified(cert, at); refused != nil {
				return "", refused
			}
		}
	}
	return name, nil
}

func (one signer) validAt(at time.Time, now bool) *Refusal {
	when := "when it was made"
	if now {
		when = "now"
	}
	switch {
	case !one.after.IsZero() && at.Before(one.after):
		return refuse(Expired, "whose key was not valid yet %s: it is from %s on", when, stamp(one.after))
	case !one.before.IsZero() && at.After(one.before) && now:
		return refuse(Expired, "whose key has expired since: at %s", stamp(one.before))
	case !one.before.IsZero() && at.After(one.before):
		return refuse(Expired, "whose key had expired when it was made: at %s", stamp(one.before))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// certified gives the name in a certificate for which its authority counts.
func (one signer) certified(cert *ssh.Certificate, at time.Time) (string, *Refusal) {
	if cert.CertType != ssh.UserCert {
		return "", refuse(Unknown, "with a certificate that is not one of a user")
	}
	i := slices.IndexFunc(cert.ValidPrincipals, func(name string) bool { return matchesList(one.principals, name) })
	if i < 0 {
		return "", refuse(Unknown, "with a certificate for %q, which are none of those", cert.ValidPrincipals)
	}
	// What these options restrict is logging in.
	checker := ssh.CertChecker{Clock: func() time.Time { return at }, SupportedCriticalOptions: []string{"force-command", "source-address"}}
	if err := checker.CheckCert(cert.ValidPrincipals[i], cert); err != nil {
		if at.Unix() < int64(cert.ValidAfter) || cert.ValidBefore != ssh.CertTimeInfinity && at.Unix() >= int64(cert.ValidBefore) {
			return "", refuse(Expired, "with a certificate that is not valid at %s", stamp(at))
		}
		return "", refuse(Unknown, "with a certificate that is not good: %v", err)
	}
	return cert.ValidPrincipals[i], nil
}

// matchesList tells whether a name matches a list of patterns with commas between them, as
// OpenSSH has them: * and ? stand for any text and any character, ! takes away.
func matchesList(patterns, name string) bool {
	found := false
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if matches(pattern, name) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// matches goes back to the last * only, so that no pattern takes long.
func matches(pattern, name string) bool {
	p, n, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p, n = p+1, n+1
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
