package file

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// start runs a watcher that looks only when an event asks for it, so that a test does
// not pass by the backstop.
func start(t *testing.T, paths ...string) *Watcher {
	t.Helper()
	w, err := New(30 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if reason := w.Polling(); reason != "" {
		t.Skipf("no inotify to test with: %s", reason)
	}
	w.every = time.Hour
	if err := w.Follow(paths); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return w
}

// awaitContent does what the loop does: it reads the file at each signal, until it
// finds what it waits for.
func awaitContent(t *testing.T, w *Watcher, path, want string) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		select {
		case <-w.Changed():
			if got, _ := os.ReadFile(path); string(got) == want {
				return
			}
		case <-deadline:
			got, err := os.ReadFile(path)
			t.Fatalf("no signal after which %s reads %q; it is %q (%v)", path, want, got, err)
		}
	}
}

// place is a directory of a test, with the few steps editors are made of.
type place struct {
	t   *testing.T
	dir string
}

func (p place) path(name string) string { return filepath.Join(p.dir, name) }

func (p place) write(name, content string) {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	p.must(os.WriteFile(p.path(name), []byte(content), 0o644))
}

func (p place) rename(from, to string) { p.t.Helper(); p.must(os.Rename(p.path(from), p.path(to))) }
func (p place) remove(name string)     { p.t.Helper(); p.must(os.RemoveAll(p.path(name))) }
func (p place) link(target, name string) {
	p.t.Helper()
	p.must(os.MkdirAll(filepath.Dir(p.path(name)), 0o755))
	p.must(os.Symlink(target, p.path(name)))
}

func (p place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func newPlace(t *testing.T) place {
	// The real path: a temporary directory may itself be behind a symlink.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return place{t, dir}
}

// Every way of replacing a file that is known of programs which do it. Each leaves
// "second" in conf/flumen.yaml.
var replacements = map[string]func(p place){
	"written in place": func(p place) { p.write("conf/flumen.yaml", "second") },
	"truncated, then written": func(p place) {
		p.must(os.Truncate(p.path("conf/flumen.yaml"), 0))
		p.write("conf/flumen.yaml", "second")
	},
	"renamed over (sed -i, git)": func(p place) {
		p.write("conf/sedXYZ", "second")
		p.rename("conf/sedXYZ", "conf/flumen.yaml")
	},
	"moved to a backup and written anew (vim)": func(p place) {
		p.write("conf/4913", "")
		p.remove("conf/4913")
		p.rename("conf/flumen.yaml", "conf/flumen.yaml~")
		p.write("conf/flumen.yaml", "second")
		p.remove("conf/flumen.yaml~")
	},
	"exchanged for a temporary file (JetBrains)": func(p place) {
		p.write("conf/flumen.yaml___jb_tmp___", "second")
		p.rename("conf/flumen.yaml", "conf/flumen.yaml___jb_old___")
		p.rename("conf/flumen.yaml___jb_tmp___", "conf/flumen.yaml")
		p.remove("conf/flumen.yaml___jb_old___")
	},
	"deleted and made again": func(p place) {
		p.remove("conf/flumen.yaml")
		p.write("conf/flumen.yaml", "second")
	},
	"deleted with its directory and made again": func(p place) {
		p.remove("conf")
		p.write("conf/flumen.yaml", "second")
	},
	"in a directory that another one takes the place of": func(p place) {
		p.write("next/flumen.yaml", "second")
		p.rename("conf", "old")
		p.rename("next", "conf")
		p.remove("old")
	},
	"made a symlink": func(p place) {
		p.write("elsewhere/real.yaml", "second")
		p.remove("conf/flumen.yaml")
		p.link("../elsewhere/real.yaml", "conf/flumen.yaml")
	},
}

func TestWatcherSignalsHoweverAFileIsReplaced(t *testing.T) {
	t.Parallel()
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("conf/flumen.yaml", "first")
			w := start(t, p.path("conf/flumen.yaml"))
			replace(p)
			awaitContent(t, w, p.path("conf/flumen.yaml"), "second")
			p.write("conf/flumen.yaml", "third, which shows that it is still followed")
			awaitContent(t, w, p.path("conf/flumen.yaml"), "third, which shows that it is still followed")
		})
	}
}

func TestWatcherSeesAConfigMapSwitch(t *testing.T) {
	t.Parallel()
	for _, followed := range []string{"mount/app.conf", "mount"} {
		t.Run(followed, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("mount/..2024_01/app.conf", "first")
			p.link("..2024_01", "mount/..data")
			p.link("..data/app.conf", "mount/app.conf")
			w := start(t, p.path(followed))
			for _, next := range []string{"2024_02", "2024_03"} {
				p.write("mount/.."+next+"/app.conf", next)
				p.link(".."+next, "mount/..data_tmp")
				p.rename("mount/..data_tmp", "mount/..data")
				awaitContent(t, w, p.path("mount/app.conf"), next)
			}
		})
	}
}

func TestWatcherSeesALinkedFileChangeWhereItReallyIs(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("releases/one/flumen.yaml", "first")
	p.link(p.path("releases/one"), "current")
	p.link("current/flumen.yaml", "flumen.yaml")
	w := start(t, p.path("flumen.yaml"))
	p.write("releases/one/flumen.yaml", "second")
	awaitContent(t, w, p.path("flumen.yaml"), "second")
}

func TestWatcherSeesAFileTurnUp(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	w := start(t, p.path("not/yet/there.yaml"))
	p.write("not/yet/there.yaml", "first")
	awaitContent(t, w, p.path("not/yet/there.yaml"), "first")
}

func TestWatcherFollowsADirectoryToItsDepth(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("conf/a/one", "first")
	w := start(t, p.path("conf"))
	p.write("conf/a/one", "second")
	awaitContent(t, w, p.path("conf/a/one"), "second")
	p.write("conf/b/c/two", "new directories too")
	awaitContent(t, w, p.path("conf/b/c/two"), "new directories too")
	p.write("conf/b/c/two", "and what changes in them")
	awaitContent(t, w, p.path("conf/b/c/two"), "and what changes in them")
	p.remove("conf")
	awaitContent(t, w, p.path("conf/a/one"), "")
	p.write("conf/a/one", "back")
	awaitContent(t, w, p.path("conf/a/one"), "back")
}

// still looks once, and tells whether the watcher finds that nothing has changed.
func still(t *testing.T, w *Watcher) bool {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look()
	select {
	case <-w.changed:
		return false
	default:
		return true
	}
}

// idle is a watcher that does not run: a test looks when it wants to.
func idle(t *testing.T, paths ...string) *Watcher {
	t.Helper()
	w := newWatcher(time.Second, nil, nil, "for the test")
	if err := w.Follow(paths); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWatcherIgnoresWhatLiesBeside(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("flumen.yaml", "")
	p.write("conf/mounted", "")
	w := idle(t, p.path("flumen.yaml"), p.path("conf"))
	p.write("flumen.yaml.swp", "")
	p.write("data/log", "")
	if !still(t, w) {
		t.Error("a sibling counts as a change")
	}
	for _, name := range []string{"flumen.yaml.swp", "data"} {
		if w.seen.Load().concerns(p.path(name)) {
			t.Errorf("events of %s cause a look", name)
		}
	}
	for _, name := range []string{"flumen.yaml", "conf", "conf/mounted", "conf/new"} {
		if !w.seen.Load().concerns(p.path(name)) {
			t.Errorf("events of %s cause no look", name)
		}
	}
}

func TestWatcherTakesAnOutsideLinkInADirectoryAlong(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("outside", "first")
	p.link("../outside", "conf/linked")
	w := idle(t, p.path("conf"))
	p.write("outside", "second")
	if still(t, w) {
		t.Error("a file linked from a followed directory changed unseen")
	}
}

func TestWatcherSurvivesLinksThatGoRound(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.link("b", "a")
	p.link("a", "b")
	w := idle(t, p.path("a"))
	p.remove("b")
	p.write("b", "an end to it")
	if still(t, w) {
		t.Error("the end of the circle was not seen")
	}
}

func TestWatcherDoesNotWalkThroughAHugeDirectory(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i := range mostEntries + 1 {
		p.write(filepath.Join("huge", strings.Repeat("x", 1+i%40)+string(rune('0'+i/40))), "")
	}
	p.write("huge/small/file", "")
	w := idle(t, p.path("huge"), p.path("huge/small"))
	if n := len(w.seen.Load().sights[p.path("huge")]); n != 1 {
		t.Errorf("%d entries of it are followed, expected only itself", n)
	}
	p.write("huge/small/file", "changed")
	if still(t, w) {
		t.Error("a small directory inside it is not followed")
	}
}

func TestFollowSignalsWhatChangedWhileItWasRead(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("flumen.yaml", "")
	w := idle(t, p.path("flumen.yaml"))
	for name, changed := range map[string]bool{"earlier.env": false, "later.env": true} {
		p.write(name, "")
		age := -time.Minute
		if changed {
			age = time.Minute
		}
		p.must(os.Chtimes(p.path(name), time.Time{}, w.signaled.Add(age)))
		still(t, w)
		w.mu.Lock()
		w.paths = append(w.paths, p.path(name))
		w.mu.Unlock()
		if still(t, w) == changed {
			t.Errorf("%s: counts as changed: %t, expected %t", name, !changed, changed)
		}
	}
}

func TestWatcherStopsFollowing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("conf/a", "")
	p.write("other/b", "")
	w := start(t, p.path("conf/a"), p.path("other/b"))
	if err := w.Follow([]string{p.path("conf/a")}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range w.watches.WatchList() {
		if strings.HasSuffix(dir, "other") {
			t.Errorf("%s is still watched", dir)
		}
	}
}

// full is a system that has no watches left.
type full struct{}

func (full) Add(string) error    { return syscall.ENOSPC }
func (full) Remove(string) error { return nil }
func (full) WatchList() []string { return nil }

func TestWatcherPollsWhereTheSystemHasNoWatchesLeft(t *testing.T) {
	p := newPlace(t)
	p.write("above/conf/flumen.yaml", "first")
	synctest.Test(t, func(t *testing.T) {
		p.must(os.Chtimes(p.path("above/conf/flumen.yaml"), time.Time{}, time.Now().Add(-time.Hour)))
		w := newWatcher(200*time.Millisecond, nil, full{}, "")
		if err := w.Follow([]string{p.path("above/conf/flumen.yaml")}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.Polling(), "max_user_watches") {
			t.Errorf("polling says %q, not how to raise the limit", w.Polling())
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.Run(ctx)
		began := time.Now()
		p.rename("above", "gone") // no watch would tell of this: it is on conf
		p.write("above/conf/flumen.yaml", "second")
		<-w.Changed()
		if took := time.Since(began); took != lookEvery+200*time.Millisecond {
			t.Errorf("the change was told after %s, expected one look and the settle time", took)
		}
	})
}

func TestNewRefusesASettleTimeOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := New(0); err == nil {
		t.Error("a settle time of 0 was taken")
	}
}
