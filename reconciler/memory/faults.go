package memory

import (
	"errors"

	"github.com/flumendata/flumen-agent/spec"
)

var (
	// ErrKilled is what every call answers after the end that KillAfter set.
	ErrKilled = errors.New("the agent was killed")
	// ErrInjected is what a call answers that FailCall picked.
	ErrInjected = errors.New("the engine failed, as the test asked")
	// ErrCut is what the call answers that CutCall picked, and every one after it; and what the
	// one answers that LoseAnswer picked.
	ErrCut = errors.New("the connection to the engine was cut")
)

// faults are what a test has asked to go wrong.
type faults struct {
	calls  int // mutating calls so far
	failAt int // the number of the call that fails; 0: none
	killAt int // the number of the first call that does not happen any more; 0: none
	cutAt  int // the number of the call whose answer is lost, and the last that happens; 0: none
	loseAt int // the number of the call whose answer alone is lost; 0: none
	blind  map[spec.Ref]string
	absent map[string]bool // references that no registry has
	down   error           // why the engine cannot be reached
	log    []Call
}

// Call is one mutating call that an engine was asked for.
type Call struct {
	Ref  spec.Ref
	What string
}

// admit counts a call and tells whether it may go on.
func (f *faults) admit(ref spec.Ref, what string) error {
	if f.down != nil {
		return f.down
	}
	if f.killAt > 0 && f.calls+1 >= f.killAt {
		return ErrKilled
	}
	if err := f.cut(); err != nil {
		return err
	}
	f.calls++
	f.log = append(f.log, Call{ref, what})
	if f.calls == f.failAt {
		return ErrInjected
	}
	return nil
}

// Calls are all mutating calls so far.
func (e *Engine) Calls() []Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Call(nil), e.faults.log...)
}

// FailCall lets the n-th mutating call from now, counted from 1, fail.
func (e *Engine) FailCall(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.failAt = e.faults.calls + n
}

// cut tells whether the answer to the call that was just made is lost.
func (f *faults) cut() error {
	if f.cutAt > 0 && f.calls >= f.cutAt {
		return ErrCut
	}
	return nil
}

// lost tells whether the answer to the call that was just made is lost, be it that alone.
func (f *faults) lost() error {
	if f.loseAt > 0 && f.calls == f.loseAt {
		return ErrCut
	}
	return f.cut()
}

// LoseAnswer lets the n-th mutating call from now, counted from 1, happen and its answer be
// lost. Those after it happen again.
func (e *Engine) LoseAnswer(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.loseAt = e.faults.calls + n
}

// CutCall lets the n-th mutating call from now, counted from 1, happen and its answer be
// lost. Those after it answer ErrCut and do nothing.
func (e *Engine) CutCall(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.cutAt = e.faults.calls + n
}

// KillAfter lets n more mutating calls happen. Those after it answer ErrKilled and do
// nothing, as if whoever makes them had been killed in between.
func (e *Engine) KillAfter(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.killAt = e.faults.calls + n + 1
}

// Recover takes back all that was set to go wrong, but not what is absent.
func (e *Engine) Recover() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.failAt, e.faults.killAt, e.faults.cutAt, e.faults.loseAt, e.faults.down = 0, 0, 0, 0, nil
	clear(e.faults.blind)
}

// Blind makes targets unable to see a thing, or a whole kind.
func (e *Engine) Blind(ref spec.Ref, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.blind[ref] = reason
}

// Unreachable lets every call fail with err, until Recover.
func (e *Engine) Unreachable(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.down = err
}

// Publish says whether registries have an image. All are there at first.
func (e *Engine) Publish(reference string, there bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults.absent[reference] = !there
}
