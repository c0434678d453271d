package forge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Note is the name under which it is remembered what was told.
	Note = "commit statuses"
	// mostCommits is of how many commits that is remembered.
	mostCommits  = 32
	attemptBound = 10 * time.Second // how long one attempt may take
	farewell     = 2 * time.Second  // how long one may still take when the agent ends
	// A forge that is down is asked again after this, doubling up to the longest.
	firstPause, longestPause = 2 * time.Second, 5 * time.Minute
)

// Memory outlives the agent.
type Memory interface {
	Recall(ctx context.Context, name string, into any) error
	Remember(ctx context.Context, name string, value any) error
}

// Teller tells a forge the states of commits, when they change. Its methods may be called from
// any goroutine; none waits for the forge.
type Teller struct {
	client *Client
	hide   func(text string) string
	log    *slog.Logger
	wake   chan struct{} // capacity one: something waits

	mu      sync.Mutex
	name    string // of the statuses
	memory  Memory
	told    []Status // the last of each commit, the newest commit at the end
	waiting []Status // one of each commit at most
}

// NewTeller gives one that has told nothing. hide takes the secrets out of a text.
func NewTeller(client *Client, hide func(text string) string, log *slog.Logger) *Teller {
	return &Teller{client: client, hide: hide, log: log, wake: make(chan struct{}, 1)}
}

// Know takes up what was told before of a project, and has it remembered from here on.
func (t *Teller) Know(ctx context.Context, project string, m Memory) {
	var told []Status
	if err := m.Recall(ctx, Note, &told); err != nil {
		t.log.Warn("nobody knows which commit statuses were told before, so they may be told again", "err", err)
		told = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name, t.memory, t.told = "flumen-agent/"+project, m, told
}

// Began tells that a commit is on its way, unless something was told of it before: a heal
// changes nothing about it. Another one that is still on its way will not arrive.
func (t *Teller) Began(s Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.last(s.Commit); known {
		return
	}
	for _, one := range slices.Concat(t.told, t.waiting) {
		if last, _ := t.last(one.Commit); last == Pending {
			t.put(Status{one.Commit, Error, "another commit came before it was done"})
		}
	}
	t.put(s)
}

// Tell has a status told, if it is news.
func (t *Teller) Tell(s Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, known := t.last(s.Commit); !known || last != s.State {
		t.put(s)
	}
}

// last is what was told of a commit, or will be.
func (t *Teller) last(commit string) (state State, known bool) {
	for _, list := range [][]Status{t.waiting, t.told} {
		if i := of(list, commit); i >= 0 {
			return list[i].State, true
		}
	}
	return "", false
}

// put has a status wait. Of a commit only the newest is worth telling.
func (t *Teller) put(s Status) {
	if s.Commit == "" {
		return
	}
	s.Description = t.hide(strings.Join(strings.Fields(s.Description), " "))
	t.waiting = set(t.waiting, s)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func of(list []Status, commit string) int {
	return slices.IndexFunc(list, func(s Status) bool { return s.Commit == commit })
}

// set gives a list with a status in it, as the only one of its commit, and with no more than
// are remembered.
func set(list []Status, s Status) []Status {
	list = slices.DeleteFunc(slices.Clone(list), func(one Status) bool { return one.Commit == s.Commit })
	list = append(list, s)
	return list[max(0, len(list)-mostCommits):]
}

// Run tells what waits, until ctx is done.
func (t *Teller) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		next, name, ok := t.next()
		if !ok {
			select {
			case <-t.wake:
			case <-ctx.Done():
			}
			continue
		}
		err := t.say(ctx, next, name)
		if err == nil || errors.Is(err, ErrRefused) {
			t.settle(ctx, next, err)
			pause = firstPause
			continue
		}
		t.log.Debug("a commit status is told again later", "forge", t.client.Name(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

func (t *Teller) next() (s Status, name string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 || t.name == "" {
		return Status{}, "", false
	}
	return t.waiting[0], t.name, true
}

// say tells one status, and lets that end when ctx does: cut at once, what the forge has just
// taken would be repeated by a new agent.
func (t *Teller) say(ctx context.Context, s Status, name string) error {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptBound)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(farewell):
			cancel()
		case <-bound.Done():
		}
	})
	defer stop()
	return t.client.Say(bound, s, name)
}

// settle takes note of a status that the forge has taken, or will never take. What came
// meanwhile of the same commit still waits.
func (t *Teller) settle(ctx context.Context, s Status, err error) {
	if err != nil {
		t.log.Error("a commit status is not told", "forge", t.client.Name(), "commit", s.Commit, "err", err)
	}
	t.mu.Lock()
	if i := of(t.waiting, s.Commit); i >= 0 && t.waiting[i] == s {
		t.waiting = slices.Delete(slices.Clone(t.waiting), i, i+1)
	}
	t.told = set(t.told, s)
	memory, told := t.memory, t.told
	t.mu.Unlock()
	if err != nil || memory == nil {
		return // a new agent, with another token perhaps, tells it
	}
	if err := memory.Remember(context.WithoutCancel(ctx), Note, told); err != nil {
		t.log.Warn("a new agent may repeat a commit status", "err", err)
	}
}
