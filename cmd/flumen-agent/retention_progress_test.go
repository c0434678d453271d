package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
)

// looks is what is told of a look at three tables, ten seconds apart.
var looks = []delta.Progress{
	{Tables: 2},
	{Table: "s3://lake/a", Tables: 3, Files: 48_210, Listed: 3 << 30},
	{Table: "s3://lake/a", Tables: 3, Files: 48_210, Listed: 3 << 30, Read: 100, Commits: 300},
	{Table: "/srv/lake/b", Done: 1, Tables: 3, Files: 50_000},
	{Table: "s3://lake/b", Done: 1, Tables: 3, Files: 60_000, Listed: 4 << 30, Goes: proof.Amount{Files: 1204, Bytes: 88 << 30}},
}

func (p *retentionProgress) tellAll(every time.Duration) {
	for _, one := range looks {
		time.Sleep(every)
		p.tell(one)
	}
	p.end()
}

func TestProgressOfALookAtTablesIsPlainLinesInAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := &retentionProgress{w: &b, every: plainEvery, began: time.Now(), last: time.Now()}
		p.tellAll(10 * time.Second)
		// After 30 s 0.3 of the first table are done, and 2.7 are left; after 40 s one is, and after 50 s too.
		want := `searching: 2 tables found
s3://lake/a (1 of 3): 48,210 files, 3.0 GiB listed
s3://lake/a (1 of 3): 48,210 files, 3.0 GiB listed, 100 of 300 versions read, about 4m30s left
/srv/lake/b (2 of 3): 50,000 files listed, about 1m20s left
s3://lake/b (2 of 3): 60,000 files, 4.0 GiB listed, 1,204 files, 88.0 GiB could go so far, about 1m40s left
`
		if b.String() != want {
			t.Errorf("want\n%s\nhave\n%s", want, &b)
		}
	})
}

func TestProgressOfALookAtTablesIsOneLineOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := &retentionProgress{w: &b, terminal: true, every: liveEvery, began: time.Now(), last: time.Now()}
		p.tellAll(time.Second)
		if text := b.String(); strings.Contains(text, "\n") || strings.Count(text, "\r\x1b[K") != len(looks)+1 || !strings.HasSuffix(text, "\r\x1b[K") {
			t.Errorf("%q", text)
		}
	})
}

func TestProgressOfALookThatIsSoonOverSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := &retentionProgress{w: &b, every: plainEvery, began: time.Now(), last: time.Now()}
		p.tellAll(time.Millisecond)
		if b.Len() > 0 {
			t.Errorf("%q", &b)
		}
	})
}

// How many files there are nobody knows before they are listed: versions that are read beside that tell nothing of the time.
func TestProgressTellsNoTimeWhileFilesAreListed(t *testing.T) {
	p := &retentionProgress{began: time.Now()}
	one := delta.Progress{Table: "s3://lake/a", Tables: 1, Read: 100, Commits: 300}
	if text := p.text(one); !strings.Contains(text, "left") {
		t.Error(text)
	}
	one.Listing = true
	if text := p.text(one); strings.Contains(text, "left") || !strings.Contains(text, "100 of 300 versions read") {
		t.Error(text)
	}
}
