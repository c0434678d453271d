package delta

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// Options say what to plan.
type Options struct {
	Places    []Place
	Unseen    []proof.Unseen // places that are known not to be seen
	Retention spec.Retention
	// Names asks a metastore for all its tables; nil: none is declared, and tables are named
	// after their folders.
	Names func(context.Context) ([]proof.Entry, error)
	// Open opens a store in which streams of a rule keep how far they have read; nil: none does.
	Open func(context.Context, *spec.Store) (Store, error)
	Now  func() time.Time // the agent's clock
	// Memory takes down what a run would remove, and knows since when orphans are seen; nil:
	// nothing is remembered, and orphans may go that were never seen before.
	Memory *Memory
	// Full has all files of each table be listed, whatever its rule says.
	Full bool
	// Goes hears of every file that may go, table by table; nil: nobody does. An error ends the
	// plan.
	Goes func(table proof.Table, f proof.File, c proof.Class) error
	// Progress hears how far a look has come, from one goroutine at a time; nil: nobody does.
	Progress func(Progress)

	watch *watch // a file to be explained; nil
}

// Progress is how far a look at all tables has come.
type Progress struct {
	Table         string // the one that is looked at
	Done, Tables  int
	Files, Listed int64        // of all tables so far: how many were listed, and their bytes as far as these are known by then
	Read, Commits int64        // of the table's log: how many were read, and how many there are; 0 before
	Goes          proof.Amount // of all tables so far: what their own logs let go
	Listing       bool         // its files are still listed, beside its log
}

// planning is one look at all tables.
type planning struct {
	retention spec.Retention
	now       func() time.Time
	memory    *Memory
	progress  *meter
	clones    proof.Clones
	watch     *watch
	full      bool
	open      func(context.Context, *spec.Store) (Store, error)
	streams   map[string]stream        // by their places
	notes     []string                 // what was left out
	keeping   map[string]proof.Keeping // what stores keep, by their buckets
	unread    string                   // the place of a table that is known and cannot be read, or ""

	old     time.Duration    // what left the table longer ago may go, whatever the rule and the table say by now; 0: as they say
	lenient time.Duration    // how much less is kept than is planned for; 0 but where Spark has vacuumed
	saw     func(key string) // hears of every file that is listed; nil
}

// Plan looks at every table below the places and says what of it could go. It changes nothing.
// The error is that of ctx; what else goes wrong is in the report.
func Plan(ctx context.Context, o Options) (proof.Report, error) {
	r, tables, err := newPlanning(o).all(ctx, o)
	closeAll(tables)
	return r, err
}

func newPlanning(o Options) *planning {
	return &planning{retention: o.Retention, now: o.Now, memory: o.Memory, progress: &meter{tell: o.Progress}, watch: o.watch, full: o.Full, open: o.Open}
}

// all plans every table. Whoever asks closes them.
func (p *planning) all(ctx context.Context, o Options) (r proof.Report, tables []*looked, err error) {
	var all []found
	var unseen []proof.Unseen
	for _, place := range o.Places {
		some, err := p.discover(ctx, place)
		if cause := context.Cause(ctx); cause != nil {
			return r, nil, cause
		}
		if err != nil {
			unseen = append(unseen, proof.Unseen{Place: place.URL, Why: err.Error()})
		}
		all = append(all, some...)
	}
	if r, err = p.named(ctx, o, all); err != nil {
		return r, nil, err
	}
	r.Unseen = append(r.Unseen, unseen...)
	if tables, err = p.lookAtAll(ctx, all); err != nil {
		return r, tables, err
	}
	r.Notes = p.notes
	if err := p.spare(tables, len(r.Unseen) > 0); err != nil {
		return r, tables, err
	}
	for _, t := range tables {
		p.recall(t)
		if t.Delegate(t.rule); t.BySpark {
			t.cleanup = nil
		}
		t.Guard(t.rule)
		if err := p.foresee(ctx, t); err != nil {
			return r, tables, err
		}
		if err := p.remember(t); err != nil {
			return r, tables, err
		}
		r.Tables = append(r.Tables, t.Table)
		r.Goes.Files += t.Goes.Files
		r.Goes.Bytes += t.Goes.Bytes
		if err := p.tellOf(t, o.Goes); err != nil {
			return r, tables, err
		}
	}
	return r, tables, nil
}

// lookAtAll looks at one table after the other: each takes memory and the store's attention.
func (p *planning) lookAtAll(ctx context.Context, all []found) (tables []*looked, err error) {
	for i, f := range all {
		p.progress.table(f, i, len(all))
		one, err := p.look(ctx, f)
		if err != nil {
			return tables, err
		}
		tables = append(tables, one)
	}
	return tables, nil
}

func closeAll(tables []*looked) {
	for _, t := range tables {
		if t.candidates != nil {
			_ = t.candidates.close() // it was read
		}
	}
}

// spare takes files from the plans that other tables use, and stops all plans while there is a
// table that may use some and could not be read.
func (p *planning) spare(tables []*looked, unseen bool) error {
	unknown := p.unread
	for _, t := range tables {
		if t.state == nil {
			unknown = t.Place
			continue
		}
		p.clones.Add(t.state)
		t.tail, t.clones = t.state.NewTail(), t.state.NewTail()
		t.state = nil // it holds most of the memory
	}
	for _, t := range tables {
		if t.candidates == nil {
			continue
		}
		n := 0
		err := t.candidates.each(func(f proof.File, class int) error {
			if p.clones.Use(t.root, f.Key) {
				t.Spare(f, classOf(class))
				n++
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", t.Place, err)
		}
		t.Findings = append(t.Findings, proof.Shared(n, unknown, unseen)...)
	}
	return nil
}

// tellOf tells of every file of a table that may go.
func (p *planning) tellOf(t *looked, goes func(proof.Table, proof.File, proof.Class) error) error {
	if goes == nil || t.Goes.Files == 0 {
		return nil
	}
	return t.candidates.each(func(f proof.File, class int) error {
		if p.clones.Use(t.root, f.Key) {
			return nil
		}
		return goes(t.Table, f, classOf(class))
	})
}

// meter counts what was done and tells of it now and then.
type meter struct {
	tell func(Progress)

	mu sync.Mutex // a table's log is read while its files are listed
	Progress
}

// tellEvery is how many files are listed between two reports of progress.
const tellEvery = 10_000

// change takes down that something was done, and tells of it.
func (m *meter) change(done func(*Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done(&m.Progress)
	if m.tell != nil {
		m.tell(m.Progress)
	}
}

// ask tells that a metastore is asked.
func (m *meter) ask() { m.change(func(*Progress) {}) }

func (m *meter) found(n int) { m.change(func(p *Progress) { p.Tables = n }) }

func (m *meter) table(f found, i, n int) {
	m.change(func(p *Progress) { p.Table, p.Done, p.Tables, p.Read, p.Commits = string(f.root), i, n, 0, 0 })
}

// listing tells that a table's files are listed, or that they have been.
func (m *meter) listing(going bool) { m.change(func(p *Progress) { p.Listing = going }) }

// reading tells that so many commits will be read, of all that the table has.
func (m *meter) reading(n int) { m.change(func(p *Progress) { p.Read, p.Commits = 0, int64(n) }) }

// read tells of a read of a store: whoever hears of it may let some pass.
func (m *meter) read() { m.change(func(p *Progress) { p.Read++ }) }

func (m *meter) goes(size int64) {
	m.Goes.Files++
	m.Goes.Bytes += size
}

func (m *meter) listed(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Files++
	m.Listed += size
	if m.Files%tellEvery == 0 && m.tell != nil {
		m.tell(m.Progress)
	}
}
