package delta

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// Memory is what retention remembers of a project: a folder of this machine. Everything in it
// but the journals of runs may be lost: then files go later.
type Memory struct{ dir string }

// NewMemory is the memory in a folder, which is made when something is to be remembered.
func NewMemory(dir string) *Memory { return &Memory{dir} }

// Check tells whether anything can be remembered.
func (m *Memory) Check() error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(m.dir, ".check-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Known is what is remembered of one table.
type Known struct {
	Name  string `json:"name,omitempty"`
	Place string `json:"place"`
	Store string `json:"store"`
	ID    string `json:"id"` // its metadata's, at the last look

	Clean *Clean `json:"clean,omitempty"`
	Full  *Full  `json:"full,omitempty"`
	Lock  *Lock  `json:"lock,omitempty"`
	Last  *Last  `json:"last_run,omitempty"`
	// Points are what earlier looks have shown, oldest first.
	Points []proof.Point `json:"points,omitempty"`
}

// Clean is a report of a table that would have let a run begin.
type Clean struct {
	At     time.Time `json:"at"`
	Policy string    `json:"policy"` // a digest of the rule
	ID     string    `json:"id"`     // of the table
}

// Lock keeps runs from a table until an operator acts.
type Lock struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
	Run string    `json:"run,omitempty"`
}

// Last is the last run.
type Last struct {
	At time.Time `json:"at"`
	proof.Removal
	Stopped string `json:"stopped,omitempty"` // why it ended early
}

// tableMemory is the memory of one table.
type tableMemory struct{ dir string }

func (m *Memory) table(p Place, root proof.Root) tableMemory {
	return tableMemory{filepath.Join(m.dir, "tables", short(p.Name+"\n"+string(root)))}
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

const knownFile = "known.json"

// read gives what is remembered; nothing where there is nothing.
func (m tableMemory) read() (k Known, err error) {
	content, err := os.ReadFile(filepath.Join(m.dir, knownFile))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &k)
	}
	if err != nil {
		return k, fmt.Errorf("read what is remembered of the table: %w; a file that is broken may be removed: %s", err, filepath.Join(m.dir, knownFile))
	}
	return k, nil
}

// change reads, changes and writes what is remembered. Two processes take turns.
func (m tableMemory) change(change func(*Known)) error {
	release, err := m.hold("known.lock", syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer release()
	k, err := m.read()
	if err != nil {
		return err
	}
	change(&k)
	content, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(m.dir, knownFile), func(f *os.File) error {
		_, err := f.Write(content)
		return err
	})
}

// errBusy says that another process has what was asked for.
var errBusy = errors.New("another process is at this table")

// lease keeps a table for this process; errBusy where another one has it. It ends with the
// process, however that ends.
func (m tableMemory) lease() (release func(), err error) {
	return m.hold("lease", syscall.LOCK_EX|syscall.LOCK_NB)
}

func (m tableMemory) hold(name string, how int) (release func(), err error) {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("remember a table: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(m.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("remember a table: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errBusy
		}
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}

// writeWhole writes a file so that it is there whole or not at all, also when the power fails.
func writeWhole(path string, write func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Tables gives what is remembered of all tables, in the order of their places.
func (m *Memory) Tables() ([]Known, error) {
	all, err := filepath.Glob(filepath.Join(m.dir, "tables", "*", knownFile))
	if err != nil {
		return nil, err
	}
	var known []Known
	for _, path := range all {
		k, err := tableMemory{filepath.Dir(path)}.read()
		if err != nil {
			return nil, err
		}
		known = append(known, k)
	}
	slices.SortFunc(known, func(a, b Known) int { return cmp.Compare(a.Place, b.Place) })
	return known, nil
}

// Unlock lets runs go on with a table, by its name or its place.
func (m *Memory) Unlock(table string) (Lock, error) {
	all, err := filepath.Glob(filepath.Join(m.dir, "tables", "*", knownFile))
	if err != nil {
		return Lock{}, err
	}
	var found []tableMemory
	var lock Lock
	for _, path := range all {
		one := tableMemory{filepath.Dir(path)}
		k, err := one.read()
		if err != nil {
			return Lock{}, err
		}
		if k.Lock != nil && (table == k.Place || k.Name != "" && table == k.Name) {
			found, lock = append(found, one), *k.Lock
		}
	}
	switch len(found) {
	case 0:
		return Lock{}, fmt.Errorf("no table %s is locked: see flumen-agent retention status", table)
	case 1:
		return lock, found[0].change(func(k *Known) { k.Lock, k.Clean = nil, nil })
	}
	return Lock{}, fmt.Errorf("several tables are called %s: name one by its place, as in s3://bucket/folder", table)
}
