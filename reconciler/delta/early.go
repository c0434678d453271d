package delta

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// early is a replay of the log that goes on while the table's files are listed. It is of the log as it was before, and
// counts only if the log is the same when all are listed: then it says what a replay would say that begins now.
type early struct {
	end  context.CancelFunc
	done chan struct{}
	told told
	err  error
}

// errAnew says that only a replay that begins anew will do.
var errAnew = errors.New("the log is to be read anew")

// early begins one. Whoever asks ends it.
func (r reading) early(ctx context.Context) *early {
	ctx, cancel := context.WithCancel(ctx)
	e := &early{done: make(chan struct{})}
	e.end = func() { cancel(); <-e.done }
	go func() {
		defer close(e.done)
		e.told, e.err = r.ahead(ctx)
	}()
	return e
}

// ahead replays the log that was looked at.
func (r reading) ahead(ctx context.Context) (told, error) {
	if r.watch != nil {
		return told{}, errAnew // who watches a file hears of each thing once
	}
	now, err := r.moment()
	if err != nil {
		return told{}, err
	}
	all, err := r.replayOnce(ctx, r.before, now)
	var corrupt *corruptError
	if errors.As(err, &corrupt) {
		err = errAnew
	}
	return all, err
}

// of gives what it was told of a log that had some files before and has others now.
func (e *early) of(before, now []proof.LogFile) (told, error) {
	if !unchanged(before, now) {
		e.end()
		return told{}, errAnew
	}
	<-e.done
	return e.told, e.err
}

// unchanged tells whether a log has the same files, and none was written again. A store that does not say whether one was
// proves nothing.
func unchanged(before, now []proof.LogFile) bool {
	byName := func(a, b proof.LogFile) int { return cmp.Compare(a.Name, b.Name) }
	before, now = slices.SortedFunc(slices.Values(before), byName), slices.SortedFunc(slices.Values(now), byName)
	return slices.EqualFunc(before, now, func(a, b proof.LogFile) bool {
		return a.Name == b.Name && a.Size == b.Size && a.Written.Equal(b.Written) && a.Tag == b.Tag && a.Tag != ""
	})
}
