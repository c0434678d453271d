package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockAgain is how often a lock that another process holds is asked for.
const lockAgain = 200 * time.Millisecond

// lockProject keeps other agents of this machine from changing a project of an engine.
// The lock is the process's own: a killed agent cannot leave it behind. It waits for its
// turn, and says once for whom.
func lockProject(ctx context.Context, dir, engineID, project string, say io.Writer) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of locks: %w", err)
	}
	key := sha256.Sum256([]byte(engineID + "\n" + project))
	path := filepath.Join(dir, project+"-"+hex.EncodeToString(key[:4])+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of project %s: %w", project, err)
	}
	if err := waitForLock(ctx, f, project, say); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return func() { f.Close() }, nil
}

func waitForLock(ctx context.Context, f *os.File, project string, say io.Writer) error {
	tick := time.NewTicker(lockAgain)
	defer tick.Stop()
	for said := false; ; said = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock project %s: %w", project, err)
		}
		if !said {
			fmt.Fprintf(say, "waiting: another flumen-agent (process %s) is changing project %s\n", holder(f), project)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the flumen-agent that is changing project %s: %w", project, context.Cause(ctx))
		}
	}
}

// holder is the process that wrote its number into the lock.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return pid
	}
	return "unknown"
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
