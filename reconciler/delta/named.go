package delta

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

const (
	// lookedAtOnce is how many files are looked at by name before they are judged.
	lookedAtOnce = 8192
	// looksAtOnce is in how many parts that is done side by side.
	looksAtOnce = 4
)

// beside gives what counts a file that is listed and is no data of the table; nil for its data.
func (t *looked) beside(f proof.File) (count func(size int64)) {
	if _, ok := f.InLog(); ok {
		return t.CountLog
	}
	if f.InFolder(quarantineFolder) {
		return t.CountAside // it is no file of the table any more, and is never judged
	}
	return nil
}

// files gives each file of a list that is to be judged. What was only named, and is live, needs no look: its
// state has heard that it is there, and its size is that of the log.
func (l *listing) files(ctx context.Context, r reading) func(do func(proof.File) error) error {
	if !l.named {
		return func(do func(proof.File) error) error {
			return l.each(func(f proof.File, _ int) error { return do(f) })
		}
	}
	return func(do func(proof.File) error) error {
		ctx, cancel := context.WithCancel(ctx)
		var keys []string
		under := r.lookAt(ctx, nil) // what is looked at while more is read
		defer func() { cancel(); <-under.done }()
		turn := func() error {
			looked := under
			under, keys = r.lookAt(ctx, keys), nil
			return r.hear(looked, do)
		}
		err := l.each(func(f proof.File, _ int) error {
			if r.one.beside(f) == nil && r.one.state.Lives(f.Key) {
				return nil
			}
			if keys = append(keys, f.Key); len(keys) < lookedAtOnce {
				return nil
			}
			return turn()
		})
		for range 2 { // the rest, and then what is under way
			if err == nil {
				err = turn()
			}
		}
		r.one.CountLive(r.one.state.Lived())
		return err
	}
}

// looking is a look at files that were named, which goes on meanwhile.
type looking struct {
	done  chan struct{}
	files []*proof.File
	err   error
}

func (r reading) lookAt(ctx context.Context, keys []string) *looking {
	l := &looking{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.files, l.err = r.t.statAll(ctx, keys)
	}()
	return l
}

// hear gives the files that were looked at to do. One that is not there any more is none.
func (r reading) hear(l *looking, do func(proof.File) error) error {
	if <-l.done; l.err != nil {
		return l.err
	}
	for _, f := range l.files {
		if f == nil {
			continue
		}
		if count := r.one.beside(*f); count != nil {
			count(f.Size)
		} else if err := do(*f); err != nil {
			return err
		}
	}
	return nil
}

// statAll looks for files by their names; nil for one that is not there.
func (t *table) statAll(ctx context.Context, keys []string) ([]*proof.File, error) {
	files := make([]*proof.File, len(keys))
	paths := make([]string, len(keys))
	for i, key := range keys {
		paths[i] = t.folder + key
	}
	g, ctx := errgroup.WithContext(ctx)
	part := max(1, (len(keys)+looksAtOnce-1)/looksAtOnce)
	for from := 0; from < len(keys); from += part {
		g.Go(func() error {
			err := t.store.(Naming).StatAll(ctx, paths[from:min(from+part, len(paths))], func(i int, size int64, written time.Time, tag string) {
				files[from+i] = &proof.File{Key: keys[from+i], Size: size, Written: written, Tag: tag}
			})
			if err != nil {
				return &storeError{cause: err}
			}
			return nil
		})
	}
	return files, g.Wait()
}
