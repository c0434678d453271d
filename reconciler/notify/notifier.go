package notify

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

const (
	// Note is the name under which it is remembered what receivers were told.
	Note = "notified"
	// mostWaiting is how many messages wait for one receiver. The oldest makes room.
	mostWaiting = 16
	// attempts is how often a message is tried, over four minutes.
	attempts     = 8
	firstPause   = 2 * time.Second // between the first two, doubling
	rest         = 10 * time.Minute
	attemptBound = 10 * time.Second // how long one may take
	// farewell is how long one may still take when the agent ends: cut at once, what the
	// receiver has just taken would be repeated by a new agent.
	farewell = 2 * time.Second
)

// ErrRefused is in the error of a receiver that will not take a message however often it is
// tried.
var ErrRefused = errors.New("refused")

// Receiver takes messages. Send is called by one goroutine at a time, and repeated with the
// same body until it gives nil, or ErrRefused. Its error names no secret.
type Receiver interface {
	Name() string // for people: without what is secret of its address
	Key() string  // under which it is remembered what it was told
	Send(ctx context.Context, body []byte) error
}

// Memory outlives the agent. Both methods may be called from any goroutine.
type Memory interface {
	Recall(ctx context.Context, name string, into any) error
	Remember(ctx context.Context, name string, value any) error
}

// Counts say what became of messages, since the notifier was made.
type Counts struct {
	Sent    int
	Dropped int // too many waited, or the receiver did not take it
}

// Notifier tells receivers. Its methods may be called from any goroutine.
type Notifier struct {
	lines []*line
	hide  func(json []byte) []byte
	log   *slog.Logger

	mu     sync.Mutex
	memory Memory
	told   map[string]State // that receivers have taken, by their keys
	counts Counts
}

// line is the way to one receiver. What is below last is guarded by the notifier's mutex.
type line struct {
	receiver Receiver
	wake     chan struct{} // capacity one: something waits

	last    State // that it was told, or will be
	waiting []letter
}

// letter is a message on its way.
type letter struct {
	state State
	body  []byte
}

// New gives a notifier that has told nobody anything. hide takes the secrets out of a JSON
// text.
func New(receivers []Receiver, hide func(json []byte) []byte, log *slog.Logger) *Notifier {
	n := &Notifier{hide: hide, log: log, told: map[string]State{}}
	for _, r := range receivers {
		n.lines = append(n.lines, &line{receiver: r, wake: make(chan struct{}, 1)})
	}
	return n
}

// Know takes up what was told before, and has it remembered from here on.
func (n *Notifier) Know(ctx context.Context, m Memory) {
	told := map[string]State{}
	if err := m.Recall(ctx, Note, &told); err != nil {
		n.log.Warn("nobody knows what was notified before, so it may be notified again", "err", err)
		clear(told)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.memory = m
	maps.Copy(n.told, told)
	for _, l := range n.lines {
		if l.last == (State{}) {
			l.last = n.told[l.receiver.Key()]
		}
	}
}

// Reported takes in a run, and has those told for whom it is news. It waits for nobody. A
// run beside another one says little of the whole, and nothing here.
func (n *Notifier) Reported(rep report.Report, kept report.Kept) {
	if rep.Beside || rep.CutShort {
		return
	}
	now := Of(rep, kept)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.lines {
		if l.last == now || l.last == (State{}) && now.Condition == InSync {
			continue
		}
		n.put(l, now, newMessage(rep, kept, l.last, now))
		l.last = now
	}
}

// put has a message wait for its turn.
func (n *Notifier) put(l *line, now State, m Message) {
	body, err := json.Marshal(m)
	if err != nil {
		n.log.Error("a notification cannot be written", "err", err)
		return
	}
	if len(l.waiting) == mostWaiting {
		l.waiting = l.waiting[1:]
		n.counts.Dropped++
		n.log.Warn("a notification is dropped: too many wait", "receiver", l.receiver.Name())
	}
	l.waiting = append(l.waiting, letter{now, n.hide(body)})
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run sends what waits, until ctx is done. What is under way then is told by the next agent,
// if it still holds.
func (n *Notifier) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, l := range n.lines {
		all.Go(func() { n.serve(ctx, l) })
	}
	all.Wait()
}

func (n *Notifier) serve(ctx context.Context, l *line) {
	for {
		next, ok := n.take(l)
		if !ok {
			select {
			case <-l.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := n.try(ctx, l.receiver, next.body)
		switch {
		case err == nil: // also when the agent ends now: a new one is not to repeat it
			n.delivered(ctx, l, next)
		case ctx.Err() != nil:
			return
		default:
			n.givenUp(l, err)
			if !sleep(ctx, rest) {
				return
			}
		}
	}
}

func (n *Notifier) take(l *line) (next letter, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(l.waiting) == 0 {
		return letter{}, false
	}
	next, l.waiting = l.waiting[0], l.waiting[1:]
	return next, true
}

// try sends one message, again and again for a while.
func (n *Notifier) try(ctx context.Context, to Receiver, body []byte) (err error) {
	pause := firstPause
	for i := range attempts {
		if i > 0 {
			n.log.Debug("a notification is tried again", "receiver", to.Name(), "err", err)
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
			pause *= 2
		}
		err = once(ctx, to, body)
		if err == nil || errors.Is(err, ErrRefused) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// once sends a message, and lets that end when ctx does.
func once(ctx context.Context, to Receiver, body []byte) error {
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptBound)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		sleep(bound, farewell)
		cancel()
	})
	defer stop()
	return to.Send(bound, body)
}

// delivered remembers that a receiver has been told.
func (n *Notifier) delivered(ctx context.Context, l *line, sent letter) {
	n.mu.Lock()
	n.counts.Sent++
	n.told[l.receiver.Key()] = sent.state
	memory, told := n.memory, maps.Clone(n.told)
	n.mu.Unlock()
	if memory == nil {
		return
	}
	if err := memory.Remember(context.WithoutCancel(ctx), Note, told); err != nil {
		n.log.Warn("a new agent may repeat a notification", "receiver", l.receiver.Name(), "err", err)
	}
}

// givenUp says that a message was not taken. Where none waits behind it, the next run is
// news again if things still stand so.
func (n *Notifier) givenUp(l *line, err error) {
	n.log.Error("a notification is dropped", "receiver", l.receiver.Name(), "err", err)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts.Dropped++
	if len(l.waiting) == 0 {
		l.last = n.told[l.receiver.Key()]
	}
}

// Counts gives what has become of messages so far.
func (n *Notifier) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts
}

// sleep waits, and tells whether ctx has let it.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
