package delta_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/deltatest"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// versioned is a store that keeps versions, which a test makes up.
type versioned struct {
	*deltatest.Store
	of  map[string][]string // tags by the names of files, newest first; "" is a removal
	not string
	err error
}

var _ delta.Versioned = (*versioned)(nil)

func (s *versioned) Versions(_ context.Context, folder string, each func(path, tag string, marker bool)) (string, error) {
	for name, tags := range s.of {
		for _, tag := range tags {
			each(folder+name, tag, tag == "")
		}
	}
	return s.not, s.err
}

const secondCommit = "00000000000000000001.json"

// kept plans a table whose log has had these versions.
func (l *lake) kept(s *versioned) proof.Table {
	l.Helper()
	o := l.options()
	s.Store = l.Store
	o.Places[0].Store = s
	report, err := delta.Plan(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	l.report = report
	return report.Tables[0]
}

func TestCommitThatWasWrittenOverIsCritical(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	one := l.kept(&versioned{of: map[string][]string{secondCommit: {"new", "old"}, "00000000000000000002.json": {"a"}}})
	f, ok := one.Find(proof.FoundLostCommit)
	if !ok || !strings.Contains(f.Says, "version 1.") || one.Goes.Files > 0 || l.report.Status() != proof.StatusCritical {
		t.Error(l.text())
	}
}

func TestVersionsOfALogThatLoseNothingAreNoFinding(t *testing.T) {
	for name, of := range map[string]map[string][]string{
		"sent twice":               {secondCommit: {"same", "same"}},
		"of a table that was here": {secondCommit: {"new", "", "old"}},
		"removed":                  {secondCommit: {"", "old"}},
		"a checkpoint":             {"00000000000000000001.checkpoint.parquet": {"new", "old"}, "_last_checkpoint": {"new", "old"}},
		"a sum":                    {"00000000000000000001.crc": {"new", "old"}},
	} {
		l := newLake(t)
		l.usual("t")
		if one := l.kept(&versioned{of: of}); one.Goes.Files != 1 {
			t.Errorf("%s:\n%s", name, l.text())
		}
	}
}

func TestVersionsThatCannotBeListedAreSaidToBeUnseen(t *testing.T) {
	l := newLake(t)
	l.usual("t")
	l.usual("u")
	if one := l.kept(&versioned{not: "the key may not"}); one.Goes.Files != 1 || len(l.report.Notes) != 1 || !strings.Contains(l.text(), "not looked for: the key may not") {
		t.Error(l.text())
	}
	one := l.kept(&versioned{err: errors.New("the store ends the connection")})
	if _, unseen := one.Find(proof.FoundUnseen); !unseen || one.Goes.Files > 0 {
		t.Error(l.text())
	}
}
