package proof

import (
	"errors"
	"fmt"
	"slices"
)

// Head is what the newest version says about the table itself.
type Head struct {
	Version  int64
	Protocol Protocol
	Metadata Metadata

	clocked      bool  // commits carry their own time
	clockedSince int64 // from this version on
}

// Refusal is why a table is left alone.
type Refusal struct {
	Why     string
	Feature string // the table feature that is the reason, if one is
}

func (r *Refusal) Error() string {
	if r.Feature != "" {
		return fmt.Sprintf("%s: %s", r.Feature, r.Why)
	}
	return r.Why
}

// NewHead looks whether a table may be treated at all.
func NewHead(version int64, p *Protocol, m *Metadata) (Head, error) {
	switch {
	case p == nil:
		return Head{}, &Refusal{Why: "its log has no protocol"}
	case m == nil:
		return Head{}, &Refusal{Why: "its log has no metadata"}
	}
	h := Head{Version: version, Protocol: *p, Metadata: *m}
	if err := h.admitProtocol(*p); err != nil {
		return h, err
	}
	var err error
	if h.clockedSince, h.clocked, err = m.Properties.clockedSince(); err != nil {
		return h, &Refusal{Why: err.Error()}
	}
	return h, nil
}

// admit looks at a commit of the past: it may have been made under another protocol.
func (h Head) admit(c Commit) error {
	if c.Unreadable != "" {
		return &Refusal{Why: fmt.Sprintf("version %d %s", c.Version, c.Unreadable)}
	}
	if c.Protocol != nil {
		return h.admitProtocol(*c.Protocol)
	}
	return nil
}

func (h Head) admitProtocol(p Protocol) error {
	if why, feature := p.Unknown(); why != "" {
		return &Refusal{Why: why, Feature: feature}
	}
	return nil
}

// Sum is what a .crc file says that its version holds. What is nil it does not say.
type Sum struct {
	Files, Bytes *int64
	Protocol     *Protocol
}

// Check holds the state against the sum of its version.
func (r *Replay) Check(s Sum) error {
	var wrong []error
	if s.Files != nil && *s.Files != r.liveFiles {
		wrong = append(wrong, fmt.Errorf("it has %d live files, and its .crc says %d", r.liveFiles, *s.Files))
	}
	if s.Bytes != nil && *s.Bytes != r.liveBytes {
		wrong = append(wrong, fmt.Errorf("its live files have %d bytes, and its .crc says %d", r.liveBytes, *s.Bytes))
	}
	if p := s.Protocol; p != nil && !p.same(r.Head.Protocol) {
		wrong = append(wrong, errors.New("its protocol is not the one in its .crc"))
	}
	if err := errors.Join(wrong...); err != nil {
		return &Refusal{Why: fmt.Sprintf("its log may be corrupt: version %d: %v", r.Log.Version, err)}
	}
	return nil
}

func (p Protocol) same(o Protocol) bool {
	return p.Reader == o.Reader && p.Writer == o.Writer && slices.Equal(p.Names(), o.Names())
}
