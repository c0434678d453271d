package notify_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/notify"
	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/spec"
)

func TestOnlyAChangeOfConditionIsToldAndNotEveryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{key: "a"}
		n, _ := start(t, nil, r)
		beside := broken()
		beside.Beside = true
		for _, rep := range []report.Report{calm(), calm(), drifted(), drifted(), broken(), broken(), beside, calm(), beside, calm()} {
			n.Reported(rep, kept)
			synctest.Wait()
		}
		if diff := cmp.Diff([]notify.Condition{notify.Drift, notify.Failed, notify.InSync}, r.conditions()); diff != "" {
			t.Error(diff)
		}
		if got := n.Counts(); got != (notify.Counts{Sent: 3}) {
			t.Error(got)
		}
	})
}

func TestAnotherRevisionInQuarantineIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{key: "a"}
		n, _ := start(t, nil, r)
		for _, id := range []string{"aa", "aa", "bb"} {
			bad := spec.Revision{ID: id}
			n.Reported(calm(), report.Kept{Wanted: bad, Quarantined: []spec.Revision{bad}})
			synctest.Wait()
		}
		if diff := cmp.Diff([]notify.Condition{notify.Quarantined, notify.Quarantined}, r.conditions()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNewAgentRepeatsNothingThatWasTaken(t *testing.T) {
	m, r := memory(t), &receiver{key: "a"}
	told := make(chan struct{}, 8)
	r.answer = func(int) error { told <- struct{}{}; return nil }
	n, stop := start(t, m, r)
	n.Reported(drifted(), kept)
	<-told
	stop()

	n, stop = start(t, m, r)
	n.Reported(drifted(), kept)
	n.Reported(calm(), kept)
	<-told
	stop()
	if diff := cmp.Diff([]notify.Condition{notify.Drift, notify.InSync}, r.conditions()); diff != "" {
		t.Error(diff)
	}
}

func TestMessageThatIsTakenWhileTheAgentEndsIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := notes{}, &receiver{key: "a", answer: func(int) error { time.Sleep(time.Second); return nil }}
		n, stop := start(t, m, r)
		n.Reported(drifted(), kept)
		synctest.Wait()
		stop()
		n, _ = start(t, m, r)
		n.Reported(drifted(), kept)
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]notify.Condition{notify.Drift}, r.conditions()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReceiverThatHangsKeepsNoAgentFromEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := start(t, nil, hanging{})
		n.Reported(drifted(), kept)
		synctest.Wait()
		before := time.Now()
		if stop(); time.Since(before) != 2*time.Second {
			t.Errorf("it took %s", time.Since(before))
		}
	})
}

func TestNewAgentTellsWhatNobodyHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := notes{}, &receiver{key: "a", answer: func(int) error { return errDead }}
		n, stop := start(t, m, r)
		n.Reported(drifted(), kept)
		synctest.Wait()
		stop()

		r.answer = nil
		n, _ = start(t, m, r)
		n.Reported(drifted(), kept)
		synctest.Wait()
		if diff := cmp.Diff([]notify.Condition{notify.Drift}, r.conditions()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeadReceiverIsTriedForAWhileAndToldOnceItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := true
		r := &receiver{key: "a", answer: func(int) error {
			if dead {
				return errDead
			}
			return nil
		}}
		n, _ := start(t, nil, r)
		n.Reported(drifted(), kept)
		time.Sleep(5 * time.Minute)
		if got := r.tried(); got != 8 || n.Counts() != (notify.Counts{Dropped: 1}) {
			t.Errorf("tried %d times, %v", got, n.Counts())
		}
		r.mu.Lock()
		dead = false
		r.mu.Unlock()
		n.Reported(drifted(), kept)
		time.Sleep(15 * time.Minute)
		if diff := cmp.Diff([]notify.Condition{notify.Drift}, r.conditions()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReceiverThatRefusesIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{key: "a", answer: func(int) error { return fmt.Errorf("%w: it answered 404", notify.ErrRefused) }}
		n, _ := start(t, nil, r)
		n.Reported(drifted(), kept)
		time.Sleep(5 * time.Minute)
		if got := r.tried(); got != 1 || n.Counts() != (notify.Counts{Dropped: 1}) {
			t.Errorf("tried %d times, %v", got, n.Counts())
		}
	})
}

func TestReceiverThatHangsDelaysNeitherRunsNorOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		slow := &receiver{key: "slow", answer: func(int) error { <-release; return nil }}
		quick := &receiver{key: "quick"}
		n, _ := start(t, nil, slow, quick)
		before := time.Now()
		for i := range 40 {
			n.Reported([]report.Report{drifted(), broken()}[i%2], kept)
			synctest.Wait()
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("the runs were delayed by %s", took)
		}
		if got := len(quick.conditions()); got != 40 {
			t.Errorf("the other receiver got %d messages", got)
		}
		// One is under way, sixteen wait, and the rest has made room.
		if got := n.Counts(); got != (notify.Counts{Sent: 40, Dropped: 23}) {
			t.Error(got)
		}
	})
}

func TestMessageIsBoundedAndCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{key: "a"}
		n, _ := start(t, nil, r)
		rep := broken()
		for i := range 30 {
			rep.Steps[0].Log = append(rep.Steps[0].Log, fmt.Sprint("line ", i))
			rep.After = append(rep.After, drift.Difference{Ref: spec.InstanceRef("worker", i+1), Verdict: drift.Missing})
		}
		n.Reported(rep, kept)
		synctest.Wait()
		m := r.taken[0]
		if len(m.Differences) != 20 || m.LeftOut != 11 || len(m.Failures[0].Log) != 20 || m.Failures[0].Log[19] != "line 29" {
			t.Errorf("%d differences, %d left out, log %q", len(m.Differences), m.LeftOut, m.Failures[0].Log)
		}
		if len(rep.Steps[0].Log) != 32 || !slices.Equal(rep.Steps[0].Log[:2], broken().Steps[0].Log) {
			t.Error("the report of the run was changed")
		}
	})
}
