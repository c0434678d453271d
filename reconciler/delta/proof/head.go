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
	Do      string // what a person does next
}

func (r *Refusal) Error() string {
	text := r.Why + "; " + r.Do
	if r.Feature != "" {
		return r.Feature + ": " + text
	}
	return text
}

// What a person does next.
const (
	// MendLog is for a log of which something is missing or wrong.
	MendLog = "before anybody writes to the table, put back what is missing or wrong in its log, from the versions of the bucket or a backup"
	// MendProperty is for a property that cannot be read.
	MendProperty = "set the property right with Spark (ALTER TABLE ... SET TBLPROPERTIES)"
)

// NewHead looks whether a table may be treated at all.
func NewHead(version int64, p *Protocol, m *Metadata) (Head, error) {
	switch {
	case p == nil:
		return Head{}, &Refusal{Why: "its log has no protocol", Do: MendLog}
	case m == nil:
		return Head{}, &Refusal{Why: "its log has no metadata", Do: MendLog}
	}
	h := Head{Version: version, Protocol: *p, Metadata: *m}
	if err := h.admitProtocol(*p); err != nil {
		return h, err
	}
	var err error
	if h.clockedSince, h.clocked, err = m.Properties.clockedSince(); err != nil {
		return h, &Refusal{Why: err.Error(), Do: MendProperty}
	}
	return h, nil
}

// admit looks at a commit of the past: it may have been made under another protocol.
func (h Head) admit(c Commit) error {
	if c.Unreadable != "" {
		return &Refusal{Why: fmt.Sprintf("version %d %s", c.Version, c.Unreadable), Do: MendLog}
	}
	if c.Protocol != nil {
		return h.admitProtocol(*c.Protocol)
	}
	return nil
}

// WitnessProtocol hears of the protocol under which the second witness was written, which is one of the past too.
func (r *Replay) WitnessProtocol(p Protocol) error { return r.Head.admitProtocol(p) }

func (h Head) admitProtocol(p Protocol) error {
	if r := p.Unknown(); r != nil {
		return r
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
		return &Refusal{Why: fmt.Sprintf("its log may be corrupt: version %d: %v", r.Log.Version, err), Do: "hold that against DESCRIBE DETAIL of Spark: if it says what the .crc does, the log is damaged: " + MendLog + "; if not, the .crc is wrong, and the next version has another"}
	}
	return nil
}

func (p Protocol) same(o Protocol) bool {
	return p.Reader == o.Reader && p.Writer == o.Writer && slices.Equal(p.Names(), o.Names())
}
