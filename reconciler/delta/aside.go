package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// setAside copies files into the quarantine, and gives those that may be removed then: of which
// the store shows a copy of the same size.
func (s *sweep) setAside(ctx context.Context, list []journalled) ([]journalled, error) {
	if err := s.journal.write(entry{Step: stepCopy, Batch: s.batch, Files: list}); err != nil {
		return nil, err
	}
	folder := beginning{Run: s.run, Folder: s.at.folder}.quarantine(s.batch)
	errs := s.pace.each(ctx, len(list), func(i int) error {
		f := list[i]
		return s.in.Copy(ctx, s.at.folder+f.Key, folder+aside(f.Key), f.Size, f.Tag)
	})
	var there []journalled
	for i, f := range list {
		switch err := errs[i]; {
		case err == nil, errors.Is(err, fs.ErrExist):
			there = append(there, f)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
			s.t.Removal.Spared++
		default:
			return nil, fmt.Errorf("set %s aside: %w", f.Key, err)
		}
	}
	return there, checkAside(ctx, s.in, folder, there)
}

// checkAside looks whether the store shows a copy of each file.
func checkAside(ctx context.Context, in Store, folder string, list []journalled) error {
	sizes := map[string]int64{}
	err := in.List(ctx, folder, true, func(path string, size int64, _ time.Time, _ string) error {
		sizes[strings.TrimPrefix(path, folder)] = size
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at what was set aside: %w", err)
	}
	for _, f := range list {
		if size, there := sizes[aside(f.Key)]; !there || size != f.Size {
			return fmt.Errorf("%s was set aside, and no copy of it with %d bytes is there: nothing more is removed", f.Key, f.Size)
		}
	}
	return nil
}

// pace is how much is asked of a store at a time, and how long it is left alone when it is busy.
type pace struct {
	mu      sync.Mutex
	atOnce  int
	busyFor int // how often in a row it said so
}

const (
	// copiesAtOnce is plenty: each is one request, and the store does the work.
	copiesAtOnce = 16
	// busyMost is how often in a row a store may say that it is busy: with waits that double up to
	// a minute that is some minutes.
	busyMost  = 10
	busyFirst = 500 * time.Millisecond
	busyLong  = time.Minute
)

func newPace() *pace { return &pace{atOnce: copiesAtOnce} }

// calm notes that the store did all that it was asked to.
func (p *pace) calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busyFor = 0
}

// busy halves what is asked of the store at a time, and waits: any time up to one that doubles,
// so that several agents do not come back at once. The error says that it was busy too often.
func (p *pace) busy(ctx context.Context) error {
	p.mu.Lock()
	p.busyFor++
	p.atOnce = max(1, p.atOnce/2)
	n := p.busyFor
	p.mu.Unlock()
	if n > busyMost {
		return errors.New("the store goes on saying that it is busy: the rest goes next time")
	}
	wait := time.NewTimer(jitter(min(busyLong, busyFirst<<(n-1))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it was ended while the store was busy: %w", context.Cause(ctx))
	}
}

// each does n things side by side and gives their errors. What the store was too busy for is
// done again, fewer at a time.
func (p *pace) each(ctx context.Context, n int, do func(i int) error) []error {
	errs := make([]error, n)
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	for len(todo) > 0 {
		p.round(todo, func(i int) { errs[i] = do(i) })
		var again []int
		for _, i := range todo {
			if isPassing(errs[i]) {
				again = append(again, i)
			}
		}
		if todo = again; len(todo) == 0 {
			break
		}
		if p.busy(ctx) != nil {
			return errs
		}
	}
	p.calm()
	return errs
}

func (p *pace) round(todo []int, do func(i int)) {
	p.mu.Lock()
	slots := make(chan struct{}, p.atOnce)
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, i := range todo {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}
