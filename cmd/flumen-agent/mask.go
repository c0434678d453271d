package main

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/flumendata/flumen-agent/spec"
)

// masker writes what it is given with every secret it has learnt replaced by ***. It
// is the last line of defence: what is known to be sensitive is masked where it is
// printed, but an engine's error or a container's log may quote anything.
//
// The end of what was written is held back while it may be the beginning of a secret.
// A line is never held back, unless a secret goes over its end.
type masker struct {
	mu    sync.Mutex
	to    io.Writer
	forms map[string]struct{} // every text that gives a secret away
	held  []byte
	fault error // the first that writing gave
}

func newMasker(to io.Writer) *masker {
	return &masker{to: to, forms: map[string]struct{}{}}
}

// Learn adds secrets. Those shorter than four characters are too much like any other
// text to be looked for.
func (m *masker) Learn(secrets []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, secret := range secrets {
		for _, form := range formsOf(secret) {
			m.forms[form] = struct{}{}
		}
	}
}

// Write takes all of p, though the end of it may be written later.
func (m *masker) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, p...)
	if err := m.pass(m.safe()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Pass writes a text that was masked value by value: what is left is the form of a document,
// which is not to be broken where a secret happens to be one of its words.
func (m *masker) Pass(text []byte) error {
	if err := m.Flush(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.to.Write(text)
	m.fault = cmp.Or(m.fault, err)
	return err
}

// Flush writes what is held back, for a text that ends without a newline: a question.
func (m *masker) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pass(len(m.held))
}

// Close flushes, and gives the first error there was. What the masker writes to stays
// open.
func (m *masker) Close() error {
	err := m.Flush()
	m.mu.Lock()
	defer m.mu.Unlock()
	return cmp.Or(m.fault, err)
}

// Mask gives a text with its secrets replaced. Whoever shortens a text masks it first:
// half a secret cannot be told from any other text.
func (m *masker) Mask(text string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return string(masked([]byte(text), m.find([]byte(text))))
}

// pass writes the first n held bytes, or fewer where that would cut a secret.
func (m *masker) pass(n int) error {
	secrets := m.find(m.held)
	for i, s := range secrets {
		if s.from < n && n < s.to {
			n = s.from
		}
		if s.from >= n {
			secrets = secrets[:i]
			break
		}
	}
	if n == 0 {
		return nil
	}
	_, err := m.to.Write(masked(m.held[:n], secrets))
	m.held = append(m.held[:0], m.held[n:]...)
	if m.fault == nil {
		m.fault = err
	}
	return err
}

// safe is how much of what is held cannot be part of a secret that is still to come.
func (m *masker) safe() int {
	safe := len(m.held)
	for form := range m.forms {
		from := max(0, len(m.held)-len(form)+1)
		for from < safe {
			i := bytes.IndexByte(m.held[from:safe], form[0])
			if i < 0 {
				break
			}
			from += i
			if strings.HasPrefix(form, string(m.held[from:])) {
				safe = from
			}
			from++
		}
	}
	return safe
}

// span is a part of a text.
type span struct{ from, to int }

// find gives the parts of text that are secrets, in order. Secrets that overlap make
// one part: the rest of the longer one is as secret as the shorter one.
func (m *masker) find(text []byte) []span {
	var all []span
	for form := range m.forms {
		for from := 0; ; {
			i := bytes.Index(text[from:], []byte(form))
			if i < 0 {
				break
			}
			all = append(all, span{from + i, from + i + len(form)})
			from += i + 1
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var joined []span
	for _, s := range all {
		if last := len(joined) - 1; last >= 0 && s.from < joined[last].to {
			joined[last].to = max(joined[last].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// masked is text with those parts replaced.
func masked(text []byte, secrets []span) []byte {
	if len(secrets) == 0 {
		return text
	}
	var b bytes.Buffer
	at := 0
	for _, s := range secrets {
		b.Write(text[at:s.from])
		b.WriteString(spec.Masked)
		at = s.to
	}
	b.Write(text[at:])
	return b.Bytes()
}
