package main

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/flumendata/flumen-agent/reconciler/docker/engineproxy"
	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

// firsts tells when the agent makes its next call that changes something.
type firsts struct {
	mu   sync.Mutex
	next chan time.Time // nil: nobody waits
}

func (f *firsts) note(c engineproxy.Call, _ int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.Mutating() && f.next != nil {
		f.next <- time.Now()
		f.next = nil
	}
	return nil
}

func (f *firsts) await() <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = make(chan time.Time, 1)
	return f.next
}

// BenchmarkReaction measures how long it takes the running agent to begin to act: after the
// engine's event of a container that was killed, and after a commit, with the repository
// asked once a second.
func BenchmarkReaction(b *testing.B) {
	host := os.Getenv("FLUMEN_BENCH_ENGINE")
	if host == "" {
		b.Skip("FLUMEN_BENCH_ENGINE is not set: run make bench")
	}
	engine := enginetest.Connect(b, host)
	enginetest.Images(b, engine)
	s := newSoak(b, engine, 1)
	var calls firsts
	s.proxy.Before = calls.note
	s.interval = "1s"
	s.start()
	defer s.end(os.Interrupt)
	settle := func() {
		if !s.settle() {
			b.Fatal("the engine came to harm")
		}
	}
	settle()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	messages, _ := engine.Events(ctx, events.ListOptions{Filters: ofProject(s.project)})
	var kills, commits []time.Duration
	for b.Loop() {
		next := calls.await()
		if err := engine.ContainerKill(ctx, s.project+"-db-1", "KILL"); err != nil {
			b.Fatal(err)
		}
		for m := range messages {
			if m.Action == events.ActionDie {
				heard := time.Now()
				kills = append(kills, (<-next).Sub(heard))
				break
			}
		}
		settle()
		next = calls.await()
		s.push("0s")
		committed := time.Now()
		commits = append(commits, (<-next).Sub(committed))
		settle()
	}
	b.ReportMetric(median(kills), "kill-ms")
	b.ReportMetric(median(commits), "commit-ms")
	b.ReportMetric(0, "ns/op")
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}
