package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
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
	text := p.text(now)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.w, text)
}

// text says how far it has come: "s3://lake/wh/t (2 of 7): 48,210 files, 3.2 GiB listed, 120 of 412
// versions read, 1,204 files, 88.0 GiB could go so far, about 2m10s left".
func (p *retentionProgress) text(now delta.Progress) string {
	if now.Table == "" {
		return fmt.Sprintf("searching: %d tables found", now.Tables)
	}
	listed := spec.Counted(now.Files, "file") // in a folder nobody has looked how large they are
	if now.Listed > 0 {
		listed = proof.Amount{Files: now.Files, Bytes: now.Listed}.String()
	}
	parts := []string{listed + " listed"}
	if now.Commits > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d versions read", now.Read, now.Commits))
	}
	if now.Goes.Files > 0 {
		parts = append(parts, now.Goes.String()+" could go so far")
	}
	if left := p.left(now); left > 0 {
		parts = append(parts, fmt.Sprintf("about %s left", left))
	}
	return fmt.Sprintf("%s (%d of %d): %s", now.Table, now.Done+1, now.Tables, strings.Join(parts, ", "))
}

// left estimates the time that is left: by the tables that are done, and of the one that is looked
// at by its versions once its files are listed, for how many of these there are is known then. 0 is unknown.
func (p *retentionProgress) left(now delta.Progress) time.Duration {
	done := float64(now.Done)
	if now.Commits > 0 && !now.Listing {
		done += float64(now.Read) / float64(now.Commits) * logPart
	}
	if done == 0 {
		return 0
	}
	spent := time.Since(p.began)
	return max(time.Second, time.Duration(float64(spent)*(float64(now.Tables)-done)/done).Round(time.Second))
}

// logPart is how much of a look at a table is done when its log is read; the rest is to judge its
// files.
const logPart = 0.9

func (p *retentionProgress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
