package delta

import (
	"bytes"
	"strconv"
)

// scanFile reads the body of add or remove as encoding/json does, in a fraction of the time: a log
// may have millions of them, each with statistics that nobody asks for. number is the name of the one
// number that counts. It gives up (ok is false) on what it does not know, which is left to
// encoding/json: what counts with escapes, letters beyond ASCII, null, or a fraction in it, and keys
// that come twice or in other letters.
func scanFile(body []byte, number string) (row fileRow, ok bool) {
	s := scanner{text: body}
	var seen fields
	ok = s.object(func(key []byte, plain bool) bool {
		switch {
		case !plain:
			return false
		case seen.is(key, 0, "path"):
			return s.plain(&row.path)
		case seen.is(key, 1, number):
			row.hasNumber = true
			return s.integer(&row.number)
		case seen.is(key, 2, "deletionVector"):
			return s.vector(&row)
		}
		return !seen.doubtful && s.skip(0)
	})
	return row, ok && s.ended()
}

// vector reads a deletion vector.
func (s *scanner) vector(row *fileRow) bool {
	var seen fields
	v := &row.vector
	return s.object(func(key []byte, plain bool) bool {
		switch {
		case !plain:
			return false
		case seen.is(key, 0, "storageType"):
			return s.plain(&v.Type)
		case seen.is(key, 1, "pathOrInlineDv"):
			return s.plain(&v.Path)
		case seen.is(key, 2, "offset"):
			v.HasOffset = true
			return s.integer(&v.Offset)
		}
		return !seen.doubtful && s.skip(0)
	})
}

// fields are the keys of an object that count, by bits.
type fields struct {
	seen     uint8
	doubtful bool // which field a key means encoding/json has to say
}

// is tells whether a key is the one of that name, for the first time.
func (f *fields) is(key []byte, bit int, name string) bool {
	if len(key) != len(name) || !bytes.EqualFold(key, []byte(name)) {
		return false
	}
	again := f.seen&(1<<bit) != 0
	f.seen |= 1 << bit
	if again || string(key) != name {
		f.doubtful = true
		return false
	}
	return true
}

// scanner goes through a text of JSON. Its methods read one thing each and tell whether it was
// there, and a thing that they know.
type scanner struct {
	text []byte
	at   int
}

// deepest bounds how many objects and lists lie in one another.
const deepest = 100

// peek is the next byte that is no space; 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) byte(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) ended() bool { return s.peek() == 0 && s.at == len(s.text) }

// object reads one; each reads the value of a key, which is plain or not as a string is.
func (s *scanner) object(each func(key []byte, plain bool) bool) bool {
	if !s.byte('{') {
		return false
	}
	if s.byte('}') {
		return true
	}
	for {
		key, plain, ok := s.string()
		if !ok || !s.byte(':') || !each(key, plain) {
			return false
		}
		if !s.byte(',') {
			return s.byte('}')
		}
	}
}

// string reads one. It is plain if it is ASCII and nothing in it is escaped.
func (s *scanner) string() (content []byte, plain, ok bool) {
	if !s.byte('"') {
		return nil, false, false
	}
	plain = true
	for start := s.at; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case ordinary[c]:
		case c == '"':
			s.at++
			return s.text[start : s.at-1], plain, true
		case c == '\\':
			plain = false
			if !s.escape() {
				return nil, false, false
			}
		case c < ' ':
			return nil, false, false
		default:
			plain = false
		}
	}
	return nil, false, false
}

// ordinary are the bytes that stand for themselves in a string: most, so that one look tells.
var ordinary = func() (all [256]bool) {
	for c := ' '; c < 0x80; c++ {
		all[c] = c != '"' && c != '\\'
	}
	return all
}()

// escape stands at a backslash, and then at the end of what it begins. Escapes by number are left
// to encoding/json.
func (s *scanner) escape() bool {
	if s.at++; s.at == len(s.text) {
		return false
	}
	switch s.text[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

func (s *scanner) plain(into *string) bool {
	content, plain, ok := s.string()
	*into = string(content)
	return ok && plain
}

func (s *scanner) integer(into *int64) bool {
	digits, ok := s.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64) // fails with a fraction
	*into = n
	return err == nil
}

func (s *scanner) number() (text []byte, ok bool) {
	s.peek()
	start := s.at
	s.take('-')
	if !s.take('0') && !s.digits() {
		return nil, false
	}
	if s.take('.') && !s.digits() {
		return nil, false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return nil, false
		}
	}
	return s.text[start:s.at], true
}

// take reads a byte if it is the very next one.
func (s *scanner) take(c byte) bool {
	if s.at == len(s.text) || s.text[s.at] != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// skip reads any value.
func (s *scanner) skip(depth int) bool {
	if depth > deepest {
		return false
	}
	switch s.peek() {
	case '"':
		_, _, ok := s.string()
		return ok
	case '{':
		return s.object(func([]byte, bool) bool { return s.skip(depth + 1) })
	case '[':
		return s.list(depth)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	_, ok := s.number()
	return ok
}

func (s *scanner) list(depth int) bool {
	s.at++
	if s.byte(']') {
		return true
	}
	for {
		if !s.skip(depth + 1) {
			return false
		}
		if !s.byte(',') {
			return s.byte(']')
		}
	}
}

func (s *scanner) word(word string) bool {
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		return false
	}
	s.at += len(word)
	return true
}
