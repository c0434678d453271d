package main

import (
	"fmt"
	"io"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
)

// retentionProgress says how far a look at Delta tables has come: on a terminal in one line that
// changes, else in a line now and then.
type retentionProgress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
	began    time.Time
	last     time.Time
	shown    bool
}

// liveEvery is how often a line on a terminal changes.
const liveEvery = 200 * time.Millisecond

func (a *app) retentionProgress() *retentionProgress {
	p := &retentionProgress{w: a.stderr, terminal: a.terminal, every: plainEvery, began: time.Now()}
	if p.terminal {
		p.every = liveEvery
	}
	p.last = p.began // a look that is soon over says nothing
	return p
}

func (p *retentionProgress) tell(now delta.Progress) {
	if time.Since(p.last) < p.every {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("searching: %d tables found", now.Tables)
	if now.Table != "" {
		text = fmt.Sprintf("%s (%d of %d): %d files, %.1f GiB listed so far%s", now.Table, now.Done+1, now.Tables, now.Files, float64(now.Listed)/(1<<30), p.left(now))
	}
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, text)
}

// left estimates the time that is left, by the tables that are done.
func (p *retentionProgress) left(now delta.Progress) string {
	if now.Done == 0 {
		return ""
	}
	spent := time.Since(p.began)
	return fmt.Sprintf(", about %s left", (spent / time.Duration(now.Done) * time.Duration(now.Tables-now.Done)).Round(time.Second))
}

func (p *retentionProgress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
