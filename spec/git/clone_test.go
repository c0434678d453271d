package git

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
	"github.com/flumendata/flumen-agent/spec"
)

func TestBrokenCloneIsMadeAnew(t *testing.T) {
	breaks := map[string]func(t *testing.T, clone string){
		"packs cut short": func(t *testing.T, clone string) {
			each(t, clone+"/objects/pack/*.pack", func(f string) error { return os.Truncate(f, 20) })
		},
		"packs gone":    func(t *testing.T, clone string) { each(t, clone+"/objects/pack/*", os.Remove) },
		"index garbage": func(t *testing.T, clone string) { each(t, clone+"/objects/pack/*.idx", scribble) },
		"objects gone":  func(t *testing.T, clone string) { each(t, clone+"/objects", os.RemoveAll) },
		"refs garbage":  func(t *testing.T, clone string) { each(t, clone+"/refs/flumen/head", scribble) },
		"head gone":     func(t *testing.T, clone string) { each(t, clone+"/HEAD", os.Remove) },
		"config garbage": func(t *testing.T, clone string) {
			each(t, clone+"/config", scribble)
		},
		"locks left": func(t *testing.T, clone string) {
			for _, lock := range []string{"shallow.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "refs/flumen/head.lock", "objects/pack/tmp_pack_1"} {
				writeFile(t, filepath.Join(clone, lock), "")
			}
		},
		"all gone": func(t *testing.T, clone string) { each(t, clone, os.RemoveAll) },
	}
	for name, harm := range breaks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.write("flumen.yaml", "one")
			first := r.push("First")
			o := Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}, Dir: t.TempDir()}
			s := r.source(o)
			mustHave(t, s, first, "flumen.yaml", "one")
			harm(t, filepath.Join(o.Dir, "clone"))
			if err := os.RemoveAll(filepath.Join(o.Dir, "candidate")); err != nil {
				t.Fatal(err)
			}
			s = r.source(o)
			if _, err := s.Poll(t.Context()); err != nil {
				t.Error(err)
			}
			mustHave(t, s, first, "flumen.yaml", "one")
			r.write("flumen.yaml", "two")
			second := r.push("Second")
			mustPoll(t, s, true)
			mustHave(t, s, second, "flumen.yaml", "two")
		})
	}
}

func each(t *testing.T, pattern string, do func(string) error) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v %v", pattern, files, err)
	}
	for _, f := range files {
		if err := os.Chmod(f, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := do(f); err != nil {
			t.Fatal(err)
		}
	}
}

func scribble(file string) error { return os.WriteFile(file, []byte("garbage\n"), 0o600) }

// tenThousand makes a history that is long and small.
func tenThousand(r repository) (last string) {
	var script strings.Builder
	for i := 1; i <= 10_000; i++ {
		fmt.Fprintf(&script, "commit refs/heads/main\nmark :%d\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n", i, 1_700_000_000+i)
		if i > 1 {
			fmt.Fprintf(&script, "from :%d\n", i-1)
		}
		content := fmt.Sprintf("commit %d", i)
		fmt.Fprintf(&script, "M 100644 inline flumen.yaml\ndata %d\n%s\n", len(content), content)
	}
	file := filepath.Join(r.TempDir(), "import")
	writeFile(r, file, script.String())
	importInto(r, file)
	return r.run(r.bare, "rev-parse", "main")
}

func TestLongHistoryIsNotFetched(t *testing.T) {
	r := newRepository(t)
	last := tenThousand(r)
	for name, o := range map[string]Options{
		"http": {URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}},
		"path": {URL: r.bare},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			s := repository{TB: t, bare: r.bare, work: r.work}.source(o)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			if _, err := s.Poll(ctx); err != nil {
				t.Fatal(err)
			}
			mustHave(t, s, last, "flumen.yaml", "commit 10000")
			packs, _ := filepath.Glob(filepath.Join(o.Dir, "clone/objects/pack/*.pack"))
			for _, p := range packs {
				if info, err := os.Stat(p); name == "http" && (err != nil || info.Size() > 10_000) {
					t.Errorf("%s has %d bytes: the history came along", p, info.Size())
				}
			}
		})
	}
}

func TestFullDiskLeavesWhatThereIs(t *testing.T) {
	dir := enginetest.SmallDisk(t, "2m")
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	s := r.source(Options{URL: r.overHTTP(rightPassword), Access: Access{User: user, Token: password}, Dir: dir})
	mustPoll(t, s, true)
	mustHave(t, s, first, "flumen.yaml", "one")
	mustEnter(t, s, first, "")

	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	r.write("big", string(noise))
	r.write("flumen.yaml", "two")
	second := r.push("Too big")
	_, pollErr := s.Poll(t.Context())
	_, enterErr := s.Enter(t.Context(), second, first)
	if err := errors.Join(pollErr, enterErr); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Enter(t.Context(), first, ""); err != nil {
		t.Error(err)
	}
	mustRead(t, s.Live()+"/flumen.yaml", "one")

	r.git("rm", "-q", "big")
	third := r.push("Small again")
	mustPoll(t, s, true)
	mustHave(t, s, third, "flumen.yaml", "two")
}

func TestCloneThatHasFetchedOftenIsMadeAnew(t *testing.T) {
	r := newRepository(t)
	r.write("flumen.yaml", "one")
	first := r.push("First")
	o := Options{URL: r.bare, Dir: t.TempDir()}
	s := r.source(o)
	mustPoll(t, s, true)
	c := openClone(s.cloneDir())
	for n := range mostPast + 1 {
		hash := plumbing.NewHash(fmt.Sprintf("%040x", n))
		if err := c.storage.SetReference(plumbing.NewHashReference(pastRef(hash), plumbing.NewHash(first))); err != nil {
			t.Fatal(err)
		}
	}
	r.write("flumen.yaml", "two")
	second := r.push("Second")
	mustPoll(t, s, true)
	mustHave(t, s, second, "flumen.yaml", "two")
	if openClone(s.cloneDir()).worn() {
		t.Error("it still is what it was")
	}
	if err := s.Read(t.Context(), first, func(spec.Snapshot) error { return nil }); err != nil {
		t.Errorf("an earlier commit: %v", err)
	}
}
