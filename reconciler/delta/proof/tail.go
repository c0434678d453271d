package proof

import (
	"fmt"
	"strings"
)

// Tail hears of the versions that come after a plan, while the plan is carried out: what they
// name stays, and some of them are the end of it.
type Tail struct {
	facts
	root    Root
	planned LogFile // the newest commit that the plan knows
	version int64   // the newest that was heard of
}

// NewTail begins with the newest version of a plan.
func (s *State) NewTail() *Tail {
	t := &Tail{facts: facts{}, root: s.Root, version: s.Log.Version}
	if n := len(s.Log.Run); n > 0 {
		t.planned = s.Log.Run[n-1]
	}
	return t
}

// Version is the newest that was heard of.
func (t *Tail) Version() int64 { return t.version }

// After is a name in the log that what Next needs comes after: the newest commit of the plan is the
// first that does. "": all of it is needed.
func (t *Tail) After() string {
	if t.planned.Kind != LogCommit {
		return ""
	}
	return t.planned.Name[:versionDigits]
}

// Planned is the newest commit that the plan knows; ok is false where there was none.
func (t *Tail) Planned() (f LogFile, ok bool) { return t.planned, t.planned.Kind == LogCommit }

// Next gives the commits of a log that were not heard of yet, in order. The error says that the
// log is not the one of the plan any more.
func (t *Tail) Next(files []LogFile) ([]LogFile, error) {
	l, err := ReadLog(files)
	switch {
	case err != nil && t.planned.Kind == LogCommit:
		return nil, fmt.Errorf("version %d of its log is not there any more: %w", t.planned.Version, err)
	case err != nil:
		return nil, err
	case l.Version < t.version:
		return nil, fmt.Errorf("its log went back from version %d to %d", t.version, l.Version)
	case !t.holds(l):
		return nil, fmt.Errorf("version %d of its log is not the one of the plan any more", t.planned.Version)
	}
	next := l.After(t.version)
	if int64(len(next)) != l.Version-t.version {
		return nil, fmt.Errorf("its log lacks versions between %d and %d", t.version, l.Version)
	}
	return next, nil
}

// holds tells whether the newest commit of the plan is there, and is the same.
func (t *Tail) holds(l Log) bool {
	if t.planned.Kind != LogCommit {
		return true // there was none
	}
	for _, f := range l.Run {
		if f.Version == t.planned.Version {
			return f.Name == t.planned.Name && f.Size == t.planned.Size && f.Written.Equal(t.planned.Written)
		}
	}
	return false
}

// enders are operations that may bring back files of any age, or make the table another one.
var enders = []string{"RESTORE", "CLONE", "CONVERT", "REPLACE"}

// Hear takes in the next version, or the next part of it. The error says why the plan does not hold any more.
func (t *Tail) Hear(c Commit) error {
	switch operation := strings.ToUpper(c.Info.Operation); {
	case c.Version != t.version+1:
		return fmt.Errorf("version %d comes after %d", c.Version, t.version)
	case c.Unreadable != "":
		return fmt.Errorf("version %d %s", c.Version, c.Unreadable)
	case c.Protocol != nil:
		return fmt.Errorf("version %d changes its protocol", c.Version)
	case c.Metadata != nil:
		return fmt.Errorf("version %d changes its metadata", c.Version)
	case containsAny(operation, enders):
		return fmt.Errorf("version %d is a %s", c.Version, c.Info.Operation)
	}
	for _, a := range c.Adds {
		if err := t.hearOf(a.Path, a.Vector); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
	}
	for _, m := range c.Removes {
		if err := t.hearOf(m.Path, m.Vector); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
	}
	for _, raw := range c.Changes {
		if err := t.hearOf(raw, Vector{}); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
	}
	return t.Pass(c)
}

// Pass takes a version for heard, once all of it was.
func (t *Tail) Pass(c Commit) error {
	if c.Version != t.version+1 {
		return fmt.Errorf("version %d comes after %d", c.Version, t.version)
	}
	if !c.More {
		t.version = c.Version
	}
	return nil
}

func containsAny(text string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// hearOf keeps everything that a path and its vector may mean.
func (t *Tail) hearOf(raw string, vector Vector) error {
	p, v, err := readPath(t.root, raw, vector)
	if err != nil {
		return err
	}
	t.protect(p, v)
	return nil
}

// Names tells whether a version that was heard of names a file of the plan.
func (t *Tail) Names(key string) bool {
	own, byName := t.at(key)
	return (own|byName)&markProtected != 0
}
