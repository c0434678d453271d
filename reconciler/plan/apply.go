package plan

import (
	"errors"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// ErrStale is what a target answers when the thing a change is about is no
// longer the one that was observed. Observing and planning again helps.
var ErrStale = errors.New("it changed since it was looked at")

// Progress is told how a change comes along. All methods may be called from any
// goroutine, and must not block.
type Progress interface {
	// Reached says that the thing has come to a phase. Steps that wait for it may
	// begin. It is called at most once for each phase, in order; phases may be
	// left out.
	Reached(spec.Phase)
	// Doing says what is being done now, in a few words: "pulling", "waiting for
	// health". done and total count bytes or steps; a total of 0 is not known.
	Doing(what string, done, total int64)
	// Left names something with data that nothing uses any more, and that stays:
	// "volume 3f9c…, which was /data in shop-db-1".
	Left(what string)
}

// Failure is why a service did not become ready.
type Failure struct {
	Ref    spec.Ref
	Reason string   // "exited with code 3", "not healthy within 5m"
	Log    []string // the last lines the container wrote, oldest first
	// RolledBack: the container that ran before runs again.
	RolledBack bool
	// FilesBack: what that container mounts was put back to what it was made with.
	FilesBack bool
	// CalledOff: it was not tried to the end, since what it needs has gone back on account
	// of something else that failed.
	CalledOff bool
	// Kept says why there was no rollback where one might be expected, or "".
	Kept string
}

func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(f.Reason)
	if f.RolledBack {
		b.WriteString("; the container before it runs again")
	}
	if f.Kept != "" {
		b.WriteString("; " + f.Kept)
	}
	return b.String()
}
