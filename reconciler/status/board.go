package status

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flumendata/flumen-agent/reconciler/report"
)

// Standing is what an agent says of itself, beside its reports.
type Standing struct {
	report.Kept
	Holds   bool      // it is the one that changes the project
	Fetched time.Time // when the repository has last answered; zero if there is none
}

// Options say what a Board shows beside reports.
type Options struct {
	Version string
	// Standing is asked at each request; ok is false until a spec has loaded. It must not
	// wait for the agent.
	Standing func() (s Standing, ok bool)
	// Hide takes secrets out of a JSON text. Nil: there are none.
	Hide func(json []byte) []byte
	Now  func() time.Time // nil: time.Now
	// Notified counts notifications that were taken, and those that were dropped. Nil: nobody
	// is to be told anything.
	Notified func() (sent, dropped int)
	// Tables gives what the last look at Delta tables came to; nil until there was one. It is asked
	// at each request for metrics. Nil: there are no tables.
	Tables func() *Tables
}

// Board keeps what is shown. Its methods may be called from any goroutine.
type Board struct {
	options  Options
	registry *prometheus.Registry
	counts   counts

	mu      sync.Mutex
	status  *report.Status // as last seen
	held    map[string]int // steps, by the rule that holds them
	looked  time.Time      // when it was last seen
	differs time.Time      // since when it has not been in sync
	ready   string         // the revision that was last seen ready
	checked time.Time      // when a drift report was last made
}

// New gives a board on which nothing stands yet.
func New(o Options) *Board {
	if o.Hide == nil {
		o.Hide = func(text []byte) []byte { return text }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Board{options: o, registry: prometheus.NewRegistry(), counts: newCounts()}
	b.register()
	return b
}

// Reported takes in a run. It does not wait for anybody.
func (b *Board) Reported(rep report.Report) {
	b.mu.Lock()
	heals := b.ready != "" && b.ready == rep.Revision.ID
	if rep.Ready {
		b.ready = rep.Revision.ID
	}
	if rep.Fault == "" && rep.Status != nil {
		b.saw(rep)
	}
	b.mu.Unlock()
	b.counts.add(rep, heals)
}

// saw takes in what a run has seen.
func (b *Board) saw(rep report.Report) {
	b.status, b.looked, b.held = rep.Status, rep.At.Add(rep.Took), map[string]int{}
	for _, h := range rep.Held {
		b.held[h.Rule]++
	}
	switch {
	case rep.After.InSync():
		b.differs = time.Time{}
	case b.differs.IsZero():
		b.differs = b.looked
	}
}

// Checked takes in that a drift report was made.
func (b *Board) Checked(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.checked = at
}

// shown is what stands on the board at one moment.
type shown struct {
	status                   *report.Status
	held                     map[string]int
	looked, differs, checked time.Time
}

// shown gives that. What it holds is not changed any more.
func (b *Board) shown() shown {
	b.mu.Lock()
	defer b.mu.Unlock()
	return shown{b.status, b.held, b.looked, b.differs, b.checked}
}
