package file

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// lookEvery is how long a change can go unnoticed where no events are to be had.
	lookEvery = 2 * time.Second
	// lookAnyway is that where they are: a network file system tells of no change that
	// another machine makes.
	lookAnyway = 15 * time.Second
)

// Watcher tells when one of the paths it follows may have changed.
type Watcher struct {
	settle  time.Duration
	every   time.Duration     // between two looks that no event asks for
	inotify *fsnotify.Watcher // nil if there is none to be had
	watches watches           // what of it places watches

	stirred chan struct{} // capacity one: something happened to a name in seen
	changed chan struct{} // capacity one: two looks differ
	settled chan struct{} // capacity one: what Changed gives

	seen atomic.Pointer[view] // by the last look

	mu       sync.Mutex // guards what follows, and looks: one at a time
	paths    []string
	signaled time.Time
	polling  string
}

// watches is the part of fsnotify that looking needs.
type watches interface {
	Add(dir string) error
	Remove(dir string) error
	WatchList() []string
}

// New gives a watcher that follows nothing yet. A change is told of once nothing has
// changed for the settle time, and at the latest five settle times after it. A system
// without a free inotify instance is no error: see Polling.
func New(settle time.Duration) (*Watcher, error) {
	if settle <= 0 {
		return nil, fmt.Errorf("a settle time of %s cannot be waited for: it must be above 0", settle)
	}
	inotify, err := fsnotify.NewWatcher()
	if err != nil {
		return newWatcher(settle, nil, nil, remedy(err)), nil
	}
	return newWatcher(settle, inotify, inotify, ""), nil
}

func newWatcher(settle time.Duration, inotify *fsnotify.Watcher, watches watches, polling string) *Watcher {
	w := &Watcher{
		settle: settle, every: lookEvery, inotify: inotify, watches: watches, polling: polling,
		stirred: make(chan struct{}, 1), changed: make(chan struct{}, 1), settled: make(chan struct{}, 1),
		signaled: time.Now(),
	}
	w.seen.Store(takeView(nil))
	return w
}

// Follow replaces the set of paths. They may be files or directories, lead through
// symlinks, and need not exist yet. A directory is followed with all that is in it, up
// to 1000 entries.
//
// A caller that reads files, then follows them, misses nothing: a path that is new to
// the watcher and was modified after the last signal counts as changed. Follow may be
// called at any time, also before Run.
func (w *Watcher) Follow(paths []string) error {
	absolute := make([]string, len(paths))
	for i, path := range paths {
		var err error
		if absolute[i], err = filepath.Abs(path); err != nil {
			return fmt.Errorf("follow %s: %w", path, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paths = absolute
	w.look()
	return nil
}

// Changed gives a value when what is followed may have changed since the last one. It
// says "look again", never what changed.
func (w *Watcher) Changed() <-chan struct{} { return w.settled }

// Polling gives the reason why some changes are only seen every two seconds, with what
// to do about it, or "".
func (w *Watcher) Polling() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.polling
}

// Run watches until ctx is done, and gives back the system's watches. It is called
// once.
func (w *Watcher) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	if w.inotify != nil {
		parts.Go(w.sift)
		defer w.inotify.Close() // which ends sift
	}
	parts.Go(func() { debounce(ctx, w.changed, w.settle, w.signal) })
	next := time.NewTimer(w.pause())
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.stirred:
		case <-next.C:
		}
		w.mu.Lock()
		w.look()
		w.mu.Unlock()
		next.Reset(w.pause())
	}
}

// pause is how long to wait for an event before a look.
func (w *Watcher) pause() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches == nil || w.polling != "" {
		return w.every
	}
	return max(w.every, lookAnyway)
}

func (w *Watcher) signal() {
	w.mu.Lock()
	w.signaled = time.Now()
	w.mu.Unlock()
	poke(w.settled)
}

// sift reads events and passes on that there were some which matter. It takes no lock:
// inotify holds its own while it waits for a reader of an error.
func (w *Watcher) sift() {
	for {
		select {
		case event, open := <-w.inotify.Events:
			if !open {
				return
			}
			if w.seen.Load().concerns(event.Name) {
				poke(w.stirred)
			}
		case _, open := <-w.inotify.Errors:
			if !open {
				return
			}
			poke(w.stirred) // events may have been lost: a look finds out
		}
	}
}

// look takes a view, compares it with the last one, and watches what it shows. It goes
// on until there is nothing new to watch, since what happens between the look and the
// watch is seen by neither. Where directories come and go all the time, the next look
// goes on.
func (w *Watcher) look() {
	const mostRounds = 5
	for range mostRounds {
		before, now := w.seen.Load(), takeView(w.paths)
		w.seen.Store(now)
		if now.changedFrom(before, w.signaled) {
			poke(w.changed)
		}
		if w.watches == nil {
			return
		}
		w.watch(now)
		if now.sameDirs(before) {
			return
		}
	}
}

// watch places a watch on each directory that needs one and takes the others away. All
// are placed anew each time, which costs nothing where one is: a directory may have
// been replaced by another of the same name.
func (w *Watcher) watch(v *view) {
	w.polling = ""
	for dir := range v.dirs {
		err := w.watches.Add(dir)
		if err != nil && !errors.Is(err, syscall.ENOENT) { // gone again: its parent tells
			w.polling = fmt.Sprintf("watch %s: %s", dir, remedy(err))
		}
	}
	for _, dir := range w.watches.WatchList() {
		if _, needed := v.dirs[dir]; !needed {
			// The only way to fail is that the watch has gone with its directory.
			_ = w.watches.Remove(dir)
		}
	}
}

// remedy is an error of inotify with what helps.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "the system's limit of watches is reached; raise it with: sysctl fs.inotify.max_user_watches=524288"
	case errors.Is(err, syscall.EMFILE):
		return "the system's limit of inotify instances or open files is reached; raise it with: sysctl fs.inotify.max_user_instances=1024"
	}
	return err.Error()
}
