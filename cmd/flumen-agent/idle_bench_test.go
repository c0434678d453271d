package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/docker/enginetest"
)

const (
	idleServices = 100
	// idleWindow is how long one iteration watches.
	idleWindow = time.Minute
	// clockTick is the unit of CPU times in /proc on Linux.
	clockTick = 10 * time.Millisecond
)

// BenchmarkIdle measures what an agent takes that has nothing to do but to look once a
// minute, at a hundred services that are all right, with a repository it asks as often.
func BenchmarkIdle(b *testing.B) {
	host := os.Getenv("FLUMEN_BENCH_ENGINE")
	if host == "" {
		b.Skip("FLUMEN_BENCH_ENGINE is not set: run make bench")
	}
	engine := enginetest.Connect(b, host)
	enginetest.Images(b, engine)
	s := newSoak(b, engine, 1)
	var text strings.Builder
	fmt.Fprintf(&text, "name: %s\nservices:\n", s.project)
	for i := range idleServices {
		fmt.Fprintf(&text, "  s%03d: {image: '%s', healthcheck: {interval: 30s, start_interval: 200ms, start_period: 30s}, stop_grace_period: 1s}\n", i, enginetest.HealthySleeper)
	}
	s.write("flumen.yaml", text.String())
	s.commit()
	s.interval, s.program = "1m", os.Getenv("FLUMEN_BENCH_AGENT") // a test is a larger program
	s.start()
	defer s.end(os.Interrupt)
	if !s.settle() {
		b.Fatal("the engine came to harm")
	}
	lasts(idleWindow) // what starting took is given back by then
	before, began := s.cpu(), time.Now()
	for b.Loop() {
		lasts(idleWindow)
	}
	b.ReportMetric(100*float64(s.cpu()-before)/float64(time.Since(began)), "cpu-%")
	b.ReportMetric(float64(s.usage().kib)*1024/1e6, "resident-MB")
	b.ReportMetric(0, "ns/op")
}

// cpu is the time that the agent has been on a processor.
func (s *soak) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.agent.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	// The fields after the name, which is in parentheses, begin with the third.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}
