// Package command runs programs that print a secret: a client of Vault, of AWS Secrets Manager,
// of a password store. It knows no shell, and nothing of what a program prints is kept, logged
// or put into an error.
package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// timeLimit is how long a program may take: a call over a network, and no more, since the
	// agent waits for it.
	timeLimit = 10 * time.Second
	// maxOutput is what Docker takes for a secret at most.
	maxOutput = 500 << 10
	// failureCounts is for how long a program that failed is not run again: the agent asks at
	// every look.
	failureCounts = 30 * time.Second
	// waitDelay is how long the output of a program that was ended is waited for.
	waitDelay = time.Second
)

// Runner runs programs. Its methods may be called from any goroutine.
type Runner struct {
	// Environ is what programs get as their environment, as NAME=value.
	Environ []string

	mu     sync.Mutex
	failed map[string]failure
	limit  time.Duration // 0 is timeLimit
}

type failure struct {
	err error
	at  time.Time
}

// Run gives what a program prints, without the newline at its end. One that has failed a
// moment ago fails again at once.
func (r *Runner) Run(ctx context.Context, words []string) (string, error) {
	if err := check(words); err != nil {
		return "", err
	}
	key := strings.Join(words, "\x00")
	r.mu.Lock()
	last, failed := r.failed[key]
	r.mu.Unlock()
	if failed && time.Since(last.at) < failureCounts {
		return "", last.err
	}
	text, err := r.run(ctx, words)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.failed = map[string]failure{}
	}
	delete(r.failed, key)
	if err != nil && ctx.Err() == nil {
		r.failed[key] = failure{err, time.Now()}
	}
	return text, err
}

// check refuses what a repository could bring itself.
func check(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errors.New("there is no program to run")
	}
	if strings.Contains(words[0], "/") && !filepath.IsAbs(words[0]) {
		return fmt.Errorf("%s is a relative path: name a program by its absolute path, or by a name that is found in PATH", words[0])
	}
	return nil
}

func (r *Runner) run(ctx context.Context, words []string) (string, error) {
	limit := r.limit
	if limit == 0 {
		limit = timeLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	out := bounded{cancel: cancel}
	cmd.Stdout, cmd.Env, cmd.Dir, cmd.WaitDelay = &out, r.Environ, "/", waitDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // what it has started, too
	err := cmd.Run()
	switch {
	case out.over:
		return "", fmt.Errorf("%s printed more than %d KiB", words[0], maxOutput>>10)
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s did not end within %s", words[0], limit)
	case err != nil:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s: %w; run it by hand as the agent's user to see why, since nothing that it prints is shown", words[0], err)
		}
		if errors.Is(err, exec.ErrWaitDelay) {
			return "", fmt.Errorf("%s ended and left something running that holds its output", words[0])
		}
		return "", fmt.Errorf("%s cannot be run: %v", words[0], cmp.Or(errors.Unwrap(err), err))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(out.text.String(), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("%s printed nothing", words[0])
	}
	return text, nil
}

// bounded keeps what a program prints, and ends it when that is too much.
type bounded struct {
	text   bytes.Buffer
	over   bool
	cancel func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > maxOutput {
		b.over = true
		b.cancel()
		return 0, errors.New("too much")
	}
	return b.text.Write(p)
}
