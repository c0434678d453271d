package compose

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/flumendata/flumen-agent/spec"
)

// Fault is one thing that is wrong with a file, and where.
type Fault struct {
	File         string
	Line, Column int    // from 1; 0 when the whole file is meant
	Message      string // what is wrong
	Hint         string // what to do about it, or ""
	// Passing: it may be gone without a change of the files: a key is missing, or a program
	// failed.
	Passing bool
}

// Error is as in `flumen.yaml:12:5: unknown key "volumnes" (did you mean "volumes"?)`.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	b.WriteString(": " + f.Message)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

func (f *Fault) compare(o *Fault) int {
	return cmp.Or(
		cmp.Compare(f.File, o.File),
		cmp.Compare(f.Line, o.Line),
		cmp.Compare(f.Column, o.Column),
		cmp.Compare(f.Message, o.Message),
	)
}

// place is where in a file something stands.
type place struct {
	file         string
	line, column int
}

func (p place) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }

// findings gathers what is wrong while a spec is read.
type findings struct {
	faults   []*Fault
	warnings []*Fault
	// broken: what was read cannot be handed to compose-go.
	broken bool
}

func (f *findings) fault(at place, hint, format string, args ...any) {
	f.faults = append(f.faults, newFault(at, hint, format, args...))
}

func (f *findings) warn(at place, hint, format string, args ...any) {
	f.warnings = append(f.warnings, newFault(at, hint, format, args...))
}

// passing is a fault that no file is to blame for.
func (f *findings) passing(at place, hint, format string, args ...any) {
	one := newFault(at, hint, format, args...)
	one.Passing = true
	f.faults = append(f.faults, one)
}

// Passes tells of an error of Load whether it may be gone without a change of the files.
func Passes(err error) bool {
	var all *multierror.Error
	if !errors.As(err, &all) {
		return false
	}
	return !slices.ContainsFunc(all.Errors, func(err error) bool {
		var one *Fault
		return !errors.As(err, &one) || !one.Passing
	})
}

func newFault(at place, hint, format string, args ...any) *Fault {
	return &Fault{File: at.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// has tells whether a fault stands at that place already.
func (f *findings) has(at place) bool {
	return slices.ContainsFunc(f.faults, func(one *Fault) bool {
		return one.File == at.file && one.Line == at.line && one.Column == at.column
	})
}

// finish puts everything in order and says each thing once. In strict mode the
// warnings are faults. No message keeps a secret.
func (f *findings) finish(strict bool, secrets []string) (warnings []*Fault, err error) {
	if strict {
		f.faults, f.warnings = append(f.faults, f.warnings...), nil
	}
	f.faults, f.warnings = tidy(f.faults, secrets), tidy(f.warnings, secrets)
	var all *multierror.Error
	for _, one := range f.faults {
		all = multierror.Append(all, one)
	}
	return f.warnings, all.ErrorOrNil()
}

func tidy(faults []*Fault, secrets []string) []*Fault {
	for _, one := range faults {
		one.Message, one.Hint = mask(one.Message, secrets), mask(one.Hint, secrets)
	}
	slices.SortFunc(faults, (*Fault).compare)
	return slices.CompactFunc(faults, func(a, b *Fault) bool { return a.compare(b) == 0 })
}

func mask(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, spec.Masked)
	}
	return text
}
