package delta

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// looked is a table that was looked at, and the files that could go.
type looked struct {
	proof.Table
	root       proof.Root
	found      found
	candidates *spill // noted with class and evidence; nil where nothing is known
	state      *proof.State
	// Where there was a state: what comes after the plan, for this table and for those that it
	// may use files of.
	tail, clones *proof.Tail
	cleanup      *logCleanup // nil: nothing of the log goes
	rule         spec.RetentionRule
	now          time.Time
	memory       tableMemory // where the plan has a Memory
	before       Known       // what was known before this look
}

// look plans one table. It returns an error only when ctx ends; what is wrong with the table or
// its store is a finding.
func (p *planning) look(ctx context.Context, f found) (*looked, error) {
	rule := f.rule
	one := &looked{root: f.root, found: f, rule: rule, Table: proof.Table{Name: f.name, Place: string(f.root), Version: -1}}
	one.Policy = rule.String()
	one.Excluded = rule.Exclude
	if f.wrong != nil {
		one.Findings = append(one.Findings, *f.wrong)
		// What is refused is read only for what it uses of other tables.
		rule.Exclude = rule.Exclude || f.wrong.Effect == proof.EffectRefuse
	}
	err := p.plan(ctx, f, rule, one)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		one.Findings = append(one.Findings, refused(err))
	}
	return one, nil
}

func refused(err error) proof.Finding {
	one := proof.Finding{Kind: proof.FoundRefused, Effect: proof.EffectRefuse, Says: err.Error()}
	var refusal *proof.Refusal
	var store *storeError
	switch {
	case errors.As(err, &refusal):
		one.Says = refusal.Error()
	case errors.As(err, &store):
		one.Kind = proof.FoundUnseen
	}
	return one
}

// plan fills in what is known about a table.
func (p *planning) plan(ctx context.Context, f found, rule spec.RetentionRule, one *looked) error {
	t := &table{f.Store, f.folder, f.root}
	if f.why != nil {
		return f.why
	}
	if err := t.staged(ctx); err != nil {
		return err
	}
	before, err := t.look(ctx, math.MaxInt64, nil)
	if err != nil {
		return err
	}
	one.Version, one.Features = before.log.Version, before.head.Protocol.Names()
	listed := &listing{}
	if !rule.Exclude {
		if err := p.overwritten(ctx, t, one); err != nil {
			return err
		}
		if listed, err = p.list(ctx, t, one); err != nil {
			return err
		}
		defer listed.close()
	}
	now, err := proof.Now(p.now(), t.store.Clock())
	if err != nil {
		return &proof.Refusal{Why: err.Error()}
	}
	state, err := p.replay(ctx, t, rule, now, before, one, listed.nested)
	if err != nil {
		return err
	}
	one.state, one.now = state, now
	if rule.Exclude {
		return nil // it was read only for what it uses of other tables
	}
	if err := p.expired(ctx, t, state, one); err != nil {
		return err
	}
	return p.judge(state, listed, one)
}

// listing are the files of a table, and the folders of other tables among them.
type listing struct {
	*spill
	nested []string
}

// list lists the data of a table, all of it before the log is read: what is committed meanwhile
// is protected then, and what is made later is no candidate.
func (p *planning) list(ctx context.Context, t *table, one *looked) (*listing, error) {
	files, err := newSpill()
	if err != nil {
		return nil, err
	}
	l := &listing{spill: files}
	err = t.store.List(ctx, t.folder, true, func(path string, size int64, written time.Time, tag string) error {
		file := proof.File{Key: path[len(t.folder):], Size: size, Written: written, Tag: tag}
		if _, ok := file.InLog(); ok {
			one.CountLog(size)
			return nil
		}
		if strings.HasPrefix(file.Key, quarantineFolder+"/") {
			one.CountAside(size) // it is no file of the table any more, and is never judged
			return nil
		}
		p.progress.listed(size)
		if folder, ok := file.Nested(); ok && !slices.Contains(l.nested, folder) {
			l.nested = append(l.nested, folder)
		}
		return l.add(file, 0)
	})
	if err != nil {
		return nil, errors.Join(&storeError{fmt.Errorf("list its files: %w", err)}, l.close())
	}
	return l, nil
}

// replay reads the whole log. A checkpoint that turns out to be corrupt on the way is dropped,
// and all is read again without it.
func (p *planning) replay(ctx context.Context, t *table, rule spec.RetentionRule, now time.Time, before snapshot, one *looked, nested []string) (*proof.State, error) {
	var broken []string
	for {
		s, err := t.look(ctx, before.log.Version, broken)
		if err != nil {
			return nil, err
		}
		state, err := p.replayOnce(ctx, t, rule, now, s, before, one, nested)
		var corrupt *corruptError
		if !errors.As(err, &corrupt) {
			return state, err
		}
		one.Findings = append(one.Findings, corruptFinding(corrupt))
		broken = append(broken, corrupt.checkpoint.String())
	}
}

func (p *planning) replayOnce(ctx context.Context, t *table, rule spec.RetentionRule, now time.Time, s, before snapshot, one *looked, nested []string) (*proof.State, error) {
	cutoff, keep, err := proof.Cutoff(now, rule, s.head.Metadata.Properties)
	if err != nil {
		return nil, &proof.Refusal{Why: err.Error()}
	}
	if id := s.head.Metadata.ID; id != before.head.Metadata.ID {
		return nil, &proof.Refusal{Why: "it was replaced by another table while it was looked at"}
	}
	r := proof.NewReplay(proof.Terms{
		Root: t.root, Log: s.log, Head: s.head, Rule: rule, Now: now, Cutoff: cutoff, Listed: before.log.Version,
		Newest: s.newest, Witness: s.witness(), Watch: p.watch.in(t.root),
	})
	if err := p.tell(ctx, t, s, r); err != nil {
		return nil, err
	}
	if f, ok := s.log.Sums[s.log.Version]; ok {
		sum, there, err := t.readSum(ctx, f)
		if err != nil {
			return nil, err
		}
		if there {
			if err := r.Check(sum); err != nil {
				return nil, err
			}
		}
	}
	state, doubts, err := r.Finish(nested)
	if err != nil {
		return nil, err
	}
	one.ID, one.Version, one.Features = s.head.Metadata.ID, s.log.Version, s.head.Protocol.Names()
	one.Keep, one.Cutoff = spec.Span(keep), cutoff
	one.Findings = append(append(one.Findings, s.found...), doubts...)
	return state, nil
}

// tell has the replay hear of everything that the log holds, in the order that it needs.
func (p *planning) tell(ctx context.Context, t *table, s snapshot, r *proof.Replay) error {
	commits := append(slices.Clone(s.log.Below), s.log.Run...)
	slices.Reverse(commits)
	p.progress.reading(len(commits))
	err := t.readCommits(ctx, commits, func(c proof.Commit) error {
		p.progress.read()
		if err := r.Commit(c); err != nil {
			var refusal *proof.Refusal
			if errors.As(err, &refusal) {
				return err
			}
			return &proof.Refusal{Why: err.Error()}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if w := r.Witness; w != nil {
		to := files{add: r.WitnessAdd, remove: func(m proof.Remove) error { return r.CheckpointRemove(w, m) }}
		if err := t.readFiles(ctx, *w, to); err != nil {
			return err
		}
	}
	if n := r.Newest; n != nil {
		to := files{add: r.NewestAdd, remove: func(m proof.Remove) error { return r.CheckpointRemove(n, m) }}
		return t.readFiles(ctx, *n, to)
	}
	return nil
}

// judge goes through the listed files.
func (p *planning) judge(state *proof.State, l *listing, one *looked) error {
	candidates, err := newSpill()
	if err != nil {
		return err
	}
	one.candidates = candidates
	seen, err := p.sightings(one)
	if err != nil {
		return err
	}
	anomalies := 0
	err = l.each(func(f proof.File, _ int) error {
		class := state.Judge(f)
		goes := state.Goes(class)
		version, removed := state.Evidence(f.Key)
		if goes && !removed && !seen.longEnough(f, one) {
			class, goes = proof.Waiting, false
		}
		p.watch.judged(one.root, state, f, class, goes)
		one.Count(f, class, goes)
		if class == proof.Anomaly {
			anomalies++
		}
		if goes {
			p.progress.goes(f.Size)
			return candidates.add(f, noteOf(class, version, removed))
		}
		return nil
	})
	if err == nil && p.watch == nil {
		err = seen.keep()
	}
	if err != nil {
		return err
	}
	one.Findings = append(one.Findings, state.Conclude(&one.Table, anomalies)...)
	return nil
}
