package delta

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// A candidate's note is its class, whether a version removed it, and that version or the one
// since which none knew it.
const noteClasses = 32

func noteOf(c proof.Class, version int64, removed bool) int {
	note := int(version)*2*noteClasses + int(c)*2
	if removed {
		note++
	}
	return note
}

func classOf(note int) proof.Class { return proof.Class(note / 2 % noteClasses) }

func evidenceOf(note int) (version int64, removed bool) {
	return int64(note / 2 / noteClasses), note%2 == 1
}

// policyOf is a digest of what a rule says about files. Which tables it is about, and whether it
// is carried out, are no part of that.
func policyOf(r spec.RetentionRule) string {
	r.Match, r.Mode = nil, ""
	return short(r.String())
}

// recall holds a table against what is remembered of it.
func (p *planning) recall(t *looked) {
	if p.memory == nil || t.Excluded {
		return
	}
	t.memory = p.memory.table(t.found.Place, t.root)
	var err error
	if t.before, err = t.memory.read(); err != nil {
		t.find(proof.FoundUnseen, proof.EffectStop, "%v", err)
		return
	}
	if l := t.before.Lock; l != nil {
		t.find(proof.FoundLocked, proof.EffectStop, "%s; when that is settled: flumen-agent retention unlock %s", l.Why, t.called())
	}
	if f := t.before.Full; t.Vacuum == spec.VacuumLite && f != nil && f.Found != nil && f.ID == t.ID {
		t.find(f.Found.Kind, proof.EffectStop, "when all files were listed the last time, on %s, which alone can show that it is over (vacuum: full): %s", stamp(f.At), f.Found.Says)
	}
	if t.rule.Mode != spec.ModeEnforce || t.ID == "" {
		return
	}
	switch c := t.before.Clean; {
	case c == nil || c.Policy != policyOf(t.rule):
		t.find(proof.FoundFirst, proof.EffectNote, "nothing is removed before a report by this rule was in order: a run after this one may remove")
	case c.ID != t.ID:
		t.find(proof.FoundFirst, proof.EffectNote, "the table is another one than it was at the last report: a run after this one may remove")
	}
}

func (t *looked) find(k proof.Kind, e proof.Effect, format string, args ...any) {
	t.Findings = append(t.Findings, proof.Finding{Kind: k, Effect: e, Says: fmt.Sprintf(format, args...)})
}

// called is the table's name, or its place.
func (t *looked) called() string {
	if t.Name == "" {
		return t.Place
	}
	return t.Name
}

// remember writes down what a run would remove, and whether this report lets one begin.
func (p *planning) remember(t *looked) error {
	if p.memory == nil || t.Excluded || p.watch != nil {
		return nil
	}
	path := filepath.Join(t.memory.dir, manifestName)
	if t.Goes.Files == 0 && t.LogGoes.Files == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget an earlier plan: %w", err)
		}
	} else if err := p.writeManifest(path, t); err != nil {
		return err
	}
	return t.memory.change(func(k *Known) {
		k.Name, k.Place, k.Store = t.Name, t.Place, t.found.Name
		if t.ID != "" {
			k.ID = t.ID
		}
		if point, ok := t.Point(t.now); ok {
			k.Points = proof.Remember(k.Points, point)
		}
		if t.ID != "" && t.Vacuum == spec.VacuumFull {
			k.Full = t.listed()
		}
		_, unseen := t.Find(proof.FoundUnseen)
		switch {
		case t.Worst() == proof.EffectNote && t.ID != "":
			k.Clean = &Clean{t.now, policyOf(t.rule), t.ID}
		case !unseen:
			k.Clean = nil
		}
	})
}

// writeManifest writes down which files of a table go, in the order in which they do: what the
// log says was removed before what it does not name, and deletion vectors last among each.
func (p *planning) writeManifest(path string, t *looked) error {
	head := manifestHead{t.Name, t.Place, t.found.Name, t.ID, t.Version, t.now, t.Cutoff, t.Keep, policyOf(t.rule)}
	return writeManifest(path, head, func(m *manifestWriter) error {
		for rank := range proof.Ranks {
			err := t.candidates.each(func(f proof.File, note int) error {
				version, removed := evidenceOf(note)
				if proof.Rank(f.Key, removed) != rank || p.clones.Use(t.root, f.Key) {
					return nil
				}
				return m.add(manifestFile{f.Key, f.Size, f.Written.UTC(), f.Tag, classOf(note).String(), version, removed})
			})
			if err != nil {
				return err
			}
		}
		return t.cleanup.write(m)
	})
}

// write writes down which files of the log go, after all others: the log is what proves that
// those may.
func (c *logCleanup) write(m *manifestWriter) error {
	if c == nil {
		return nil
	}
	for _, f := range c.files {
		if err := m.add(manifestFile{logFolder + f.Name, f.Size, f.Written.UTC(), f.Tag, "log", c.oldest.Version, false}); err != nil {
			return err
		}
	}
	return nil
}
