package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
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
	whole      wholes          // of its state
	listedAt   time.Time       // when its log had been listed
	log        []proof.LogFile // what was listed then, where the store may list late
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
	one.Alter = proof.AlterStatement(f.inSQL(), one.Properties)
	return one, nil
}

// inSQL is what Spark calls a table.
func (f found) inSQL() string {
	if f.known {
		return proof.ByName(f.name)
	}
	return proof.ByPlace(f.root)
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
		one.Says += "; " + store.do()
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
	r := reading{planning: p, t: t, rule: rule, before: before, one: one}
	if rule.Exclude {
		return r.state(ctx) // it is read only for what it uses of other tables
	}
	if r.stream, err = p.streamsOf(ctx, rule, before.head.Metadata.ID); err != nil {
		one.find(proof.FoundStream, proof.EffectStop, "%v; see that its checkpoint is there, let it end its batch, or take it out of keep_streams", err)
	}
	if err := p.overwritten(ctx, t, one); err != nil {
		return err
	}
	why, full := p.lists(one, before.head.Metadata.ID)
	if !full {
		fresh := *one
		doubts, err := r.lite(ctx, why)
		if err != nil || doubts == "" {
			return err
		}
		closeAll([]*looked{one})
		*one, why = fresh, doubts
	}
	return r.full(ctx, why)
}

// reading is one look at a table whose log was found.
type reading struct {
	*planning
	t       *table
	rule    spec.RetentionRule
	before  snapshot // the log, before anything else was looked at
	one     *looked
	stream  *int64 // the oldest version that a stream needs; nil
	removed *spill // of a lite look: what was removed before the cutoff; nil: its files are listed
}

// full lists all files of the table and judges each. why: it does, "" where the rule says so.
func (r reading) full(ctx context.Context, why string) error {
	r.progress.listing(true)
	early := r.early(ctx)
	defer early.end()
	listed, err := r.list(ctx, r.t, r.one)
	r.progress.listing(false)
	if err != nil {
		return err
	}
	defer listed.close()
	if err := r.stateAfter(ctx, early); err != nil {
		return err
	}
	if err := r.one.state.LeaveAlone(listed.nested); err != nil {
		r.one.state = nil
		return err
	}
	if err := r.expired(ctx); err != nil {
		return err
	}
	seen, err := r.sightings(r.one, seenFile)
	if err != nil {
		return err
	}
	r.one.Vacuum, r.one.Because = spec.VacuumFull, why
	return r.judge(listed.files(ctx, r), seen, r.one)
}

// stateAfter is the state of a table whose files were listed, while an early replay went on.
func (r reading) stateAfter(ctx context.Context, e *early) error {
	files, err := r.t.listLog(ctx)
	if err != nil {
		return err
	}
	all, err := e.of(r.before.log.All, files)
	if errors.Is(err, errAnew) {
		return r.state(ctx)
	}
	if err == nil {
		r.one.learn(r.before, all)
	}
	return err
}

// state reads the whole log.
func (r reading) state(ctx context.Context) error {
	s, told, err := r.replay(ctx)
	if err == nil {
		r.one.learn(s, told)
	}
	return err
}

// listing are the files of a table, and the folders of other tables among them.
type listing struct {
	*spill
	nested []string
	named  bool // nothing but their names is known
}

// list lists the data of a table, all of it before the log is read: what is committed meanwhile
// is protected then, and what is made later is no candidate.
func (p *planning) list(ctx context.Context, t *table, one *looked) (*listing, error) {
	l := &listing{spill: &spill{}}
	hear := func(f proof.File) error {
		if p.saw != nil {
			p.saw(f.Key)
		}
		if count := one.beside(f); count != nil {
			if l.named {
				return l.add(f, 0)
			}
			count(f.Size)
			return nil
		}
		p.progress.listed(f.Size)
		if folder, ok := f.Nested(); ok && !slices.Contains(l.nested, folder) {
			l.nested = append(l.nested, folder)
		}
		return l.add(f, 0)
	}
	var err error
	if store, ok := t.store.(Naming); ok && p.watch == nil && one.rule.SparkFrom == 0 {
		l.named = true
		err = store.Names(ctx, t.folder, func(path string) error { return hear(proof.File{Key: path[len(t.folder):]}) })
	} else {
		err = t.store.List(ctx, t.folder, true, func(path string, size int64, written time.Time, tag string) error {
			return hear(proof.File{Key: path[len(t.folder):], Size: size, Written: written, Tag: tag})
		})
	}
	if err != nil {
		return nil, errors.Join(&storeError{cause: fmt.Errorf("list its files: %w", err)}, l.close())
	}
	return l, nil
}

// replay reads the whole log. A checkpoint that turns out to be corrupt on the way is dropped,
// and all is read again without it.
func (r reading) replay(ctx context.Context) (snapshot, told, error) {
	now, err := r.moment()
	if err != nil {
		return snapshot{}, told{}, err
	}
	var broken []string
	for {
		s, err := r.t.look(ctx, r.before.log.Version, broken)
		if err != nil {
			return s, told{}, err
		}
		all, err := r.replayOnce(ctx, s, now)
		var corrupt *corruptError
		if !errors.As(err, &corrupt) {
			return s, all, err
		}
		r.one.Findings = append(r.one.Findings, corruptFinding(corrupt))
		broken = append(broken, corrupt.checkpoint.String())
	}
}

// told is what a replay has told.
type told struct {
	state  *proof.State
	doubts []proof.Finding
	keep   time.Duration
	whole  wholes
}

// learn takes down what a replay has told of a log.
func (t *looked) learn(s snapshot, all told) {
	if t.listedAt = s.listedAt; t.mayListLate() {
		t.log = s.log.All
	}
	t.state, t.whole, t.now, t.Cutoff = all.state, all.whole, all.state.Now, all.state.Cutoff
	t.ID, t.Version, t.Features, t.Keep = s.head.Metadata.ID, s.log.Version, s.head.Protocol.Names(), spec.Span(all.keep)
	t.Choice = s.log.Choice()
	t.Findings = append(append(t.Findings, s.found...), all.doubts...)
}

// moment is the time of a replay, by the earlier of the two clocks.
func (r reading) moment() (time.Time, error) {
	now, err := proof.Now(r.now(), r.t.store.Clock())
	if err != nil {
		return now, &proof.Refusal{Why: err.Error(), Do: "set both right"}
	}
	return now, nil
}

// replayOnce reads what the log has in a snapshot.
func (r reading) replayOnce(ctx context.Context, s snapshot, now time.Time) (told, error) {
	cutoff, keep, err := proof.Cutoff(now, r.rule, s.head.Metadata.Properties)
	if err != nil {
		return told{}, &proof.Refusal{Why: err.Error(), Do: proof.MendProperty}
	}
	if r.old > 0 {
		cutoff = now.Add(-r.old)
	}
	if id := s.head.Metadata.ID; id != r.before.head.Metadata.ID {
		return told{}, &proof.Refusal{Why: "it was replaced by another table while it was looked at", Do: "look again"}
	}
	cutoff = cutoff.Add(r.lenient)
	terms := proof.Terms{
		Root: r.t.root, Log: s.log, Head: s.head, Rule: r.rule, Now: now, Cutoff: cutoff, Listed: r.before.log.Version,
		Newest: s.newest, Witness: s.witness(), Stream: r.stream, Watch: r.watch.in(r.t.root),
	}
	var kept error
	if r.removed != nil {
		if err := r.removed.reset(); err != nil {
			return told{}, err
		}
		terms.Expired = func(key string) { kept = cmp.Or(kept, r.removed.add(proof.File{Key: key}, 0)) }
	}
	replay := proof.NewReplay(terms)
	whole, err := r.tell(ctx, r.t, s, replay)
	if err = cmp.Or(err, kept); err != nil {
		return told{}, err
	}
	if f, ok := s.log.Sums[s.log.Version]; ok {
		sum, there, err := r.t.readSum(ctx, f)
		if err != nil {
			return told{}, err
		}
		if there {
			if err := replay.Check(sum); err != nil {
				return told{}, err
			}
		}
	}
	against, err := r.t.compacted(ctx, s.log, replay)
	if err != nil {
		return told{}, err
	}
	state, doubts := replay.Finish()
	return told{state, append(doubts, against...), keep, whole}, nil
}

// wholes are checkpoints that were read whole, by what they are called, and how many files each has.
type wholes map[string]int64

// tell has the replay hear of everything that the log holds, in the order that it needs.
func (p *planning) tell(ctx context.Context, t *table, s snapshot, r *proof.Replay) (wholes, error) {
	commits := append(slices.Clone(s.log.Below), s.log.Run...)
	slices.Reverse(commits)
	p.progress.reading(len(commits))
	err := t.readCommits(ctx, commits, func(c proof.Commit) error {
		if !c.More {
			p.progress.read()
		}
		if err := r.Commit(c); err != nil {
			var refusal *proof.Refusal
			if errors.As(err, &refusal) {
				return err
			}
			return &proof.Refusal{Why: err.Error(), Do: "if Spark reads the table, have a newer flumen-agent look at it; if not, " + proof.MendLog}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	whole := wholes{}
	read := func(c proof.Checkpoint, to files) error {
		n, hear := int64(0), to.add
		to.add = func(a proof.Add) error { n++; return hear(a) }
		err := t.readFiles(ctx, c, to)
		if err == nil {
			whole[c.String()] = n
		}
		return err
	}
	if w := r.Witness; w != nil {
		to := files{add: r.WitnessAdd, remove: func(m proof.Remove) error { return r.CheckpointRemove(w, m) }, protocol: r.WitnessProtocol}
		if err := read(*w, to); err != nil {
			return nil, err
		}
	}
	if n := r.Newest; n != nil {
		to := files{add: r.NewestAdd, remove: func(m proof.Remove) error { return r.CheckpointRemove(n, m) }}
		return whole, read(*n, to)
	}
	return whole, nil
}

// judge goes through files. Of a list it is remembered since when it shows those that the log does not
// name; seen is nil where that does not matter.
func (p *planning) judge(files func(func(proof.File) error) error, seen *sightings, one *looked) error {
	state := one.state
	candidates := &spill{}
	one.candidates = candidates
	anomalies := 0
	err := files(func(f proof.File) error {
		class := state.Judge(f)
		goes := state.Goes(class)
		var version int64
		var removed bool
		if goes {
			version, removed = state.Evidence(f.Key)
		}
		if goes && !removed && !seen.longEnough(f, one) {
			class, goes = proof.Waiting, false
		}
		goes = goes && (removed || one.rule.Vacuum != spec.VacuumLite) // which finds nothing else, though all is listed for who asks
		if one.rule.SparkFrom > 0 && state.Against(f, goes) {
			one.CountAgainst(f.Size)
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
