package file

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// burst runs a debouncer with a settle time of 200 ms, feeds it every `every` for
// `length`, and gives the times of the signals since the beginning.
func burst(t *testing.T, every, length time.Duration) (signals []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		in := make(chan struct{}, 1)
		began := time.Now()
		go debounce(ctx, in, 200*time.Millisecond, func() { signals = append(signals, time.Since(began)) })
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for poke(in); time.Since(began) < length; {
			<-ticks.C
			poke(in)
		}
		<-time.After(time.Second) // the fake clock's: whatever was to come has come
		cancel()
		synctest.Wait()
	})
	return signals
}

func TestABurstIsOneSignalAfterItHasSettled(t *testing.T) {
	got := burst(t, 50*time.Millisecond, 150*time.Millisecond)
	if len(got) != 1 || got[0] != 350*time.Millisecond {
		t.Errorf("signals at %v, expected one at 350ms", got)
	}
}

func TestConstantWritingDoesNotKeepSignalsBack(t *testing.T) {
	got := burst(t, 150*time.Millisecond, 3*time.Second)
	if len(got) < 3 || got[0] != patience*200*time.Millisecond {
		t.Errorf("signals at %v, expected the first after 1s and more after it", got)
	}
}

func TestTwoChangesFarApartAreTwoSignals(t *testing.T) {
	if got := burst(t, 500*time.Millisecond, 500*time.Millisecond); len(got) != 2 {
		t.Errorf("signals at %v, expected two", got)
	}
}
