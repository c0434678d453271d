package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockAgain is how often a lock that another process holds is asked for.
const lockAgain = 200 * time.Millisecond

// errAgentHolds says that an agent keeps the project up, and will not let go of it.
var errAgentHolds = errors.New("stop it first, or change what it follows")

// lock is that of one project on one engine, for this machine. It is the process's own: a
// killed agent cannot leave it behind.
type lock struct{ dir, engineID, project string }

// path is the file of the lock.
func (l lock) path() string {
	return filepath.Join(l.dir, l.project+"-"+short(l.engineID, l.project)+".lock")
}

// short tells projects of one name on several engines apart.
func short(engineID, project string) string {
	key := sha256.Sum256([]byte(engineID + "\n" + project))
	return hex.EncodeToString(key[:4])
}

// holder is the process that has a lock, as it says itself.
type holder struct {
	process string
	agent   bool // it keeps the lock for as long as it lives
}

// asAgent is what an agent writes into the lock beside its process number.
const asAgent = "agent"

// try takes the lock, or says who has it.
func (l lock) try(as string) (release func(), other *holder, err error) {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the folder of locks: %w", err)
	}
	f, err := os.OpenFile(l.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the lock of project %s: %w", l.project, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		other := readHolder(f)
		return nil, &other, f.Close()
	case err != nil:
		return nil, nil, errors.Join(fmt.Errorf("lock project %s: %w", l.project, err), f.Close())
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d %s\n", os.Getpid(), as)
	}
	return func() { f.Close() }, nil, nil
}

// wait takes the lock when its turn comes, and says once for whom it waits. An agent is not
// waited for.
func (l lock) wait(ctx context.Context, say func(text string)) (release func(), err error) {
	tick := time.NewTicker(lockAgain)
	defer tick.Stop()
	for said := false; ; said = true {
		release, other, err := l.try("")
		switch {
		case err != nil:
			return nil, err
		case other == nil:
			return release, nil
		case other.agent:
			return nil, l.kept(*other)
		case !said:
			say(fmt.Sprintf("another flumen-agent (process %s) is changing project %s: waiting for it", other.process, l.project))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the flumen-agent that is changing project %s: %w", l.project, context.Cause(ctx))
		}
	}
}

// kept says that an agent has the lock, and will not let go of it.
func (l lock) kept(by holder) error {
	return fmt.Errorf("a flumen-agent (process %s) keeps project %s up: %w", by.process, l.project, errAgentHolds)
}

// refuseAgent errs when an agent has the lock.
func (l lock) refuseAgent() error {
	agent, err := l.agent()
	if agent != nil {
		return l.kept(*agent)
	}
	return err
}

// agent gives the agent that has the lock, or nil.
func (l lock) agent() (*holder, error) {
	release, other, err := l.try("")
	switch {
	case err != nil:
		return nil, err
	case other == nil:
		release()
		return nil, nil
	case !other.agent:
		return nil, nil
	}
	return other, nil
}

// readHolder reads what the process that has a lock wrote into it.
func readHolder(f *os.File) holder {
	b := make([]byte, 40)
	n, _ := f.ReadAt(b, 0)
	process, as, _ := strings.Cut(strings.TrimSpace(string(b[:n])), " ")
	if process == "" {
		process = "unknown"
	}
	return holder{process: process, agent: as == asAgent}
}

// lockDir is where locks live: where a reboot clears them away.
func (a *app) lockDir() string {
	if os.Geteuid() == 0 {
		return "/run/flumen-agent"
	}
	if dir := a.environ["XDG_RUNTIME_DIR"]; dir != "" {
		return filepath.Join(dir, "flumen-agent")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("flumen-agent-%d", os.Geteuid()))
}
