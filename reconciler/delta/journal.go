package delta

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// step is what a line of a journal tells of.
type step string

const (
	stepBegin  step = "begin"  // of a run: what it is about
	stepCopy   step = "copy"   // these files are about to be copied into the quarantine
	stepRemove step = "remove" // these are about to be removed
	stepDone   step = "done"   // these were, and left these marks
	stepEnd    step = "end"    // the run is over

	stepVerified step = "verified" // a later run has seen that all live files are there
	stepUndone   step = "undone"   // all was brought back
	stepPurged   step = "purged"   // it cannot be undone any more
)

// entry is a line of a journal. It is on disk before what it announces is done.
type entry struct {
	At    time.Time      `json:"at"`
	Step  step           `json:"step"`
	Begin *beginning     `json:"about,omitempty"`
	Batch int            `json:"batch,omitempty"`
	Since time.Time      `json:"since,omitzero"` // of stepRemove: by the store's clock
	Files []journalled   `json:"files,omitempty"`
	Why   string         `json:"why,omitempty"`
	Sum   *proof.Removal `json:"sum,omitempty"`
}

// beginning says what a run does to which table.
type beginning struct {
	Run    string        `json:"run"`
	Table  string        `json:"table,omitempty"`
	Place  string        `json:"place"`
	Store  string        `json:"store"`
	Folder string        `json:"folder"` // in the store
	ID     string        `json:"id"`
	By     proof.By      `json:"by,omitempty"`
	Undo   spec.Undo     `json:"undo"`
	Keep   time.Duration `json:"keep"`           // how long it can be undone
	Lite   bool          `json:"lite,omitempty"` // by the log alone: it cannot be seen whether all live files are there
}

// journalled is one file.
type journalled struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Tag  string `json:"tag,omitempty"`
	Mark string `json:"mark,omitempty"`

	tries  int  // how often it was begun to remove it
	marked bool // what became of the last try is known
}

const (
	journalFile  = "journal.jsonl"
	manifestName = "manifest.jsonl.zst"
)

// runFolder is where what a run did to a table is written down.
func (m *Memory) runFolder(run string, t tableMemory) string {
	return filepath.Join(m.dir, "runs", run, filepath.Base(t.dir))
}

// journal is that of one run and table, open to be written on.
type journal struct {
	file *os.File
	now  func() time.Time
}

func openJournal(folder string, now func() time.Time) (*journal, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("write a journal: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, journalFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err == nil {
		err = cutTorn(f)
	}
	if err != nil {
		return nil, fmt.Errorf("write a journal: %w", err)
	}
	for dir := folder; ; dir = filepath.Dir(dir) { // a new folder is on disk when the one above it is
		if err := syncFolder(dir); err != nil {
			return nil, errors.Join(fmt.Errorf("write a journal: %w", err), f.Close())
		}
		if filepath.Base(dir) == "runs" || dir == filepath.Dir(dir) {
			return &journal{f, now}, nil
		}
	}
}

// cutTorn takes a last line away that was cut off while it was written.
func cutTorn(f *os.File) error {
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return f.Truncate(int64(bytes.LastIndexByte(content, '\n') + 1))
}

// write adds a line, and returns when it is on disk.
func (j *journal) write(e entry) error {
	e.At = j.now()
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

func (j *journal) close() { _ = j.file.Close() } // all of it is on disk

// past is what a journal tells of a run and a table.
type past struct {
	beginning
	folder  string // of the journal
	began   time.Time
	batches []pastBatch
	end     *entry // the last line, if the run has come to an end
	seen    bool   // all live files were there afterwards
	undone  bool
	purged  bool
}

// pastBatch is what was done at once.
type pastBatch struct {
	number int
	files  []journalled
	since  time.Time // by the store's clock, when it was first begun to remove some; zero: never
}

// readJournal reads one. A last line that was cut off announced something that was not begun.
func readJournal(folder string) (*past, error) {
	f, err := os.Open(filepath.Join(folder, journalFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &past{folder: folder}
	for in := bufio.NewReaderSize(f, 1<<16); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var e entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil {
			return nil, fmt.Errorf("read the journal in %s: %w", folder, err)
		}
		p.hear(e)
	}
	if p.Place == "" {
		return nil, fmt.Errorf("the journal in %s has no beginning: %w", folder, fs.ErrNotExist)
	}
	return p, nil
}

func (p *past) hear(e entry) {
	switch e.Step {
	case stepBegin:
		p.beginning, p.began = *e.Begin, e.At
	case stepCopy:
		p.batches = append(p.batches, pastBatch{number: e.Batch, files: e.Files})
	case stepRemove:
		if p.batch(e.Batch) == nil {
			p.batches = append(p.batches, pastBatch{number: e.Batch, files: e.Files})
		}
		p.batch(e.Batch).begin(e)
	case stepDone:
		p.batch(e.Batch).mark(e.Files)
	case stepEnd:
		p.end = &e
		p.seen = p.seen || e.Sum != nil && e.Sum.Verified
	case stepVerified:
		p.seen = true
	case stepUndone:
		p.undone, p.end = true, &e
	case stepPurged:
		p.purged = true
	}
}

// batch is the one with a number, or nil. The last one is asked for most.
func (p *past) batch(n int) *pastBatch {
	for i := len(p.batches) - 1; i >= 0; i-- {
		if p.batches[i].number == n {
			return &p.batches[i]
		}
	}
	return nil
}

func (b *pastBatch) begin(e entry) {
	if b.since.IsZero() {
		b.since = e.Since
	}
	b.each(e.Files, func(f *journalled, _ journalled) { f.tries++ })
}

// mark takes in what became of files.
func (b *pastBatch) mark(done []journalled) {
	b.each(done, func(f *journalled, now journalled) { f.Mark, f.marked = now.Mark, true })
}

func (b *pastBatch) each(some []journalled, do func(f *journalled, now journalled)) {
	byKey := map[string]journalled{}
	for _, f := range some {
		byKey[f.Key] = f
	}
	for i := range b.files {
		if now, ok := byKey[b.files[i].Key]; ok {
			do(&b.files[i], now)
		}
	}
}

// mark is what a removal left in the place of a file, "" if that is not known for sure.
func (f journalled) mark() string {
	if f.tries == 1 && f.marked {
		return f.Mark
	}
	return ""
}

// removed are the files that were removed, or may have been.
func (p *past) removed() (n proof.Amount) {
	for _, b := range p.batches {
		for _, f := range b.files {
			if f.tries > 0 {
				n.Files++
				n.Bytes += f.Size
			}
		}
	}
	return n
}

// quarantine is where a run sets the files of a batch aside, in the store.
func (b beginning) quarantine(batch int) string {
	return fmt.Sprintf("%s%s/%s/%05d/", b.Folder, quarantineFolder, b.Run, batch)
}

// aside is the name of a file in a quarantine. A folder called like that of a log would make a
// table of it, for whoever looks for tables.
func aside(key string) string {
	if name, in := strings.CutPrefix(key, logFolder); in {
		return "log/" + name
	}
	return key
}

// quarantineFolder is hidden from every reader of the table by its first letter.
const quarantineFolder = "_flumen_quarantine"

// pasts reads the journals of a run ("": of all) and a table (nil: of all), the oldest first, and
// gives each to do, one at a time: they may be long.
func (m *Memory) pasts(run string, t *tableMemory, do func(*past) error) error {
	runs, table := "*", "*"
	if run != "" {
		runs = run
	}
	if t != nil {
		table = filepath.Base(t.dir)
	}
	all, err := filepath.Glob(filepath.Join(m.dir, "runs", runs, table, journalFile))
	if err != nil {
		return err
	}
	slices.Sort(all)
	for _, path := range all {
		p, err := readJournal(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // nothing was begun
		}
		if err == nil {
			err = do(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
