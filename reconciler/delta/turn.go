package delta

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// turnFile lies beside the memories of all projects: whoever has it looks at tables.
const turnFile = "look.lock"

// Turn takes the turn to look at tables, of which there is one for all projects that are remembered in the same
// place. by is the project that has it now; then there is no release. It ends with the process.
func (m *Memory) Turn() (release func(), by string, err error) {
	if err := os.MkdirAll(filepath.Dir(m.dir), 0o700); err != nil {
		return nil, "", fmt.Errorf("take turns with other agents: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(filepath.Dir(m.dir), turnFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("take turns with other agents: %w", err)
	}
	if by, err = taken(f, syscall.LOCK_EX); by != "" || err != nil {
		return nil, by, errors.Join(err, f.Close())
	}
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(filepath.Base(m.dir)), 0) // for people alone
	return func() { f.Close() }, "", nil
}

// Looking is the project whose agent looks at tables now; "" where none does, or nobody can tell.
func (m *Memory) Looking() string {
	f, err := os.Open(filepath.Join(filepath.Dir(m.dir), turnFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	by, _ := taken(f, syscall.LOCK_SH)
	return by
}

// taken locks a file, or tells who has it.
func taken(f *os.File, how int) (by string, err error) {
	err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return "", err
	}
	content, _ := io.ReadAll(f)
	if by = strings.TrimSpace(string(content)); by == "" {
		by = "another one" // which is about to write its name
	}
	return by, nil
}
