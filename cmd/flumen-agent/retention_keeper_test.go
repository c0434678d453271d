package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flumendata/flumen-agent/reconciler"
	"github.com/flumendata/flumen-agent/reconciler/delta"
	"github.com/flumendata/flumen-agent/reconciler/delta/proof"
	"github.com/flumendata/flumen-agent/spec"
)

// kept is a keeper of tables, and what its agent says.
type kept struct {
	*testing.T
	tableKeeper
	dir  string
	due  bool // an earlier run was not verified
	took time.Duration

	mu    sync.Mutex
	now   tableStand
	looks []string
}

// newKept has tables in force with a schedule, of a project without a name, which is due to the second. The time begins at midnight of 2000-01-01, in UTC.
func newKept(t *testing.T, schedule string) *kept {
	k := &kept{T: t, dir: t.TempDir()}
	k.change(func(s *tableStand) {
		s.want.Retention = spec.Retention{Schedule: schedule, Discover: []spec.Discovery{{Store: &spec.Store{Name: "minio"}, Prefix: "lake"}}}
		s.newest = s.want.Retention
	})
	k.tableKeeper = tableKeeper{
		log: slog.New(slog.DiscardHandler),
		stand: func() tableStand {
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.now
		},
		show:   func(spec.Desired, proof.Report) error { return nil },
		memory: func(string) lookMemory { return k },
		look: func(ctx context.Context, l tableLook) (proof.Report, error) {
			k.looks = append(k.looks, time.Now().UTC().Format("2 15:04")+map[lookMode]string{lookReports: " report", lookVerifies: " verify", lookEnforces: ""}[l.mode])
			select {
			case <-time.After(k.took):
			case <-ctx.Done():
				return proof.Report{}, nil // a run that is ended has a report
			}
			if why := l.stop(); why != "" {
				k.looks = append(k.looks, why)
			}
			return proof.Report{}, nil
		},
	}
	return k
}

func (k *kept) Due(time.Time) (bool, error)   { return k.due, nil }
func (k *kept) LastScheduled() time.Time      { return delta.NewMemory(k.dir).LastScheduled() }
func (k *kept) Turn() (func(), string, error) { return delta.NewMemory(k.dir).Turn() }
func (k *kept) Note(o delta.Outcome) error    { return delta.NewMemory(k.dir).Note(o) }
func (k *kept) Keep(by spec.Retention, r proof.Report) error {
	return delta.NewMemory(k.dir).Keep(by, r)
}
func (k *kept) change(do func(s *tableStand)) { k.mu.Lock(); defer k.mu.Unlock(); do(&k.now) }

// lasts runs it for a while.
func (k *kept) lasts(d time.Duration) {
	ctx, cancel := context.WithTimeout(k.Context(), d)
	defer cancel()
	k.run(ctx)
}

func (k *kept) looked(want ...string) {
	k.Helper()
	if diff := cmp.Diff(want, k.looks); diff != "" {
		k.Errorf("-want +looked\n%s", diff)
	}
}

// before is a look that a schedule had done.
func (k *kept) before(ago time.Duration) {
	k.Helper()
	if err := k.Note(delta.Outcome{At: time.Now().Add(-ago), By: delta.BySchedule, Whole: true}); err != nil {
		k.Fatal(err)
	}
}

func TestFirstLookOnAScheduleReportsAndTheNextRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 3 * * *")
		k.lasts(50 * time.Hour)
		k.looked("1 00:00 report", "1 03:00", "2 03:00")
	})
}

func TestScheduleOfRetentionIsInItsTimeZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 3 * * *")
		k.change(func(s *tableStand) { s.want.Retention.Timezone = "Asia/Tokyo" })
		k.before(time.Minute)
		k.lasts(24 * time.Hour)
		k.looked("1 18:00")
	})
}

func TestMissedLookIsMadeUpForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 * * * *")
		k.before(50 * time.Hour)
		k.took = 90 * time.Minute // longer than the schedule's hour: they do not overlap
		k.lasts(4 * time.Hour)
		k.looked("1 00:00", "1 01:30", "1 03:00")
	})
}

func TestNothingIsLookedAtWithoutASchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "")
		k.lasts(48 * time.Hour)
		k.looked()
	})
}

func TestLookThatIsDueWaitsForThePauseToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 * * * *")
		k.before(time.Minute)
		k.change(func(s *tableStand) { s.waits = "the agent is paused" })
		time.AfterFunc(150*time.Minute, func() { k.change(func(s *tableStand) { s.waits = "" }) })
		k.lasts(4*time.Hour - time.Minute)
		k.looked("1 02:30", "1 03:00")
	})
}

func TestAgentThatMayNotRemoveReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 3 * * *")
		k.before(time.Minute)
		k.due = true
		k.change(func(s *tableStand) { s.reports = "the newest spec cannot be had" })
		k.lasts(4 * time.Hour)
		k.looked("1 03:00 report")
	})
}

func TestWhatNobodyVerifiedComesFirstWhateverTheScheduleSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "")
		k.due = true
		k.change(func(s *tableStand) { s.waits = "the agent has not seen yet how the project stands" })
		time.AfterFunc(10*time.Minute, func() { k.change(func(s *tableStand) { s.waits = "" }) })
		k.lasts(time.Hour)
		k.looked("1 00:10 verify")
	})
}

func TestRunIsStoppedByAPauseAndByAnotherRetention(t *testing.T) {
	for name, c := range map[string]struct {
		does func(s *tableStand)
		says string
	}{
		"pause": {func(s *tableStand) { s.waits = "the agent is paused" }, "the agent is paused"},
		"rule": {func(s *tableStand) {
			s.newest.Rules = []spec.RetentionRule{{Match: []spec.Pattern{"bronze.*"}, Data: 90 * 24 * time.Hour}}
		}, "the spec says something else about retention by now: the rest is planned anew"},
		"store": {func(s *tableStand) {
			s.newest.Discover = []spec.Discovery{{Store: &spec.Store{Name: "minio", Service: "other"}, Prefix: "lake"}}
		}, "the spec says something else about retention by now: the rest is planned anew"},
		"the same anew": {func(s *tableStand) {
			s.want.Revision.ID = "2"
			s.newest.Discover = []spec.Discovery{{Store: &spec.Store{Name: "minio"}, Prefix: "lake"}}
			s.newest.Schedule = "0 4 * * *"
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKept(t, "0 3 * * *")
				k.before(time.Minute)
				k.took = time.Hour
				time.AfterFunc(210*time.Minute, func() { k.change(c.does) })
				k.lasts(5 * time.Hour)
				if c.says == "" {
					k.looked("1 03:00")
				} else {
					k.looked("1 03:00", c.says)
				}
			})
		})
	}
}

func TestLookThatEndsWithTheAgentIsDoneAgainByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 3 * * *")
		k.before(time.Minute)
		k.took = time.Hour
		k.lasts(3*time.Hour + 10*time.Minute) // to the middle of it
		k.lasts(2 * time.Hour)
		k.looked("1 03:00", "1 03:10")
		all, err := delta.NewMemory(k.dir).Outcomes()
		if err != nil || len(all) != 3 || !strings.HasPrefix(all[1].Says, "ended with the agent") || all[1].Whole || !all[0].Whole {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestLookThatFailedIsSaidAndDoneAgainByTheNextAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept(t, "0 3 * * *")
		k.before(time.Minute)
		var logged strings.Builder
		k.log = slog.New(slog.NewTextHandler(&logged, nil))
		look := k.look
		k.look = func(ctx context.Context, l tableLook) (proof.Report, error) {
			_, _ = look(ctx, l)
			return proof.Report{}, errors.New("no memory of it")
		}
		k.lasts(4 * time.Hour)
		k.lasts(time.Minute)
		k.looked("1 03:00", "1 04:00")
		if n := strings.Count(logged.String(), "level=ERROR msg=\"retention failed\" err=\"no memory of it\""); n != 2 {
			t.Error(logged.String())
		}
	})
}

// TestOneLooksAtTablesAtATime of the agents of a machine; the others wait, and say so.
func TestOneLooksAtTablesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := newKept(t, "0 3 * * *"), newKept(t, "1 3 * * *")
		var logged strings.Builder
		for _, k := range []*kept{one, other} {
			k.before(time.Minute)
			k.took = 40 * time.Minute
			k.log = slog.New(slog.NewTextHandler(&logged, nil))
		}
		other.dir = filepath.Join(filepath.Dir(one.dir), "other")
		other.before(time.Minute)
		time.AfterFunc(3*time.Hour+10*time.Minute, func() {
			if by := delta.NewMemory(one.dir).Looking(); by != "001" {
				t.Errorf("%q looks at tables", by)
			}
		})
		// The second one is ended while it waits, and the next agent goes on.
		var both sync.WaitGroup
		both.Go(func() { one.lasts(4 * time.Hour) })
		both.Go(func() { other.lasts(3*time.Hour + 20*time.Minute) })
		both.Wait()
		other.looked()
		other.lasts(time.Hour)
		one.looked("1 03:00")
		other.looked("1 04:00")
		if by := delta.NewMemory(one.dir).Looking(); by != "" {
			t.Errorf("%q still looks at tables", by)
		}
		if says := `msg="retention waits" cause="tables of the project 001 are looked at"`; strings.Count(logged.String(), says) != 1 {
			t.Error(logged.String())
		}
	})
}

// TestLooksOfProjectsDoNotBeginTogether, each at a time that does not change.
func TestLooksOfProjectsDoNotBeginTogether(t *testing.T) {
	begins := map[time.Time]string{}
	for i := range 5 {
		project := fmt.Sprintf("project-%d", i)
		next, _ := tableSchedule(spec.Desired{Project: project, Retention: spec.Retention{Schedule: "0 3 * * *"}}).Next(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		if other, taken := begins[next]; taken {
			t.Errorf("%s and %s begin at %s", project, other, next)
		}
		begins[next] = project
	}
}

func TestWhatTablesWaitForIsSaidInWords(t *testing.T) {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := began.Add(time.Hour)
	one, two := spec.Revision{ID: "1111111111111111"}, spec.Revision{ID: "2222222222222222"}
	calm := reconciler.Standing{Wanted: one, Enforced: one, Looked: reconciler.Looked{At: began.Add(time.Minute)}}
	for says, change := range map[string]func(s *reconciler.Standing, want *spec.Desired){
		" | ": func(*reconciler.Standing, *spec.Desired) {},
		"the agent is paused (disks) | ": func(s *reconciler.Standing, _ *spec.Desired) {
			s.Pause = &reconciler.Pause{At: began, Reason: "disks"}
		},
		"the agent has not seen yet how the project stands | ": func(s *reconciler.Standing, _ *spec.Desired) { s.Looked.At = began.Add(-time.Minute) },
		" | the spec says drift.heal: false":                   func(_ *reconciler.Standing, want *spec.Desired) { want.Checks.NoHeal = true },
		" | the newest spec cannot be had: no route":           func(s *reconciler.Standing, _ *spec.Desired) { s.Trouble = "no route" },
		" | revision 222222222222 is wanted and not in force: it failed": func(s *reconciler.Standing, _ *spec.Desired) {
			s.Wanted, s.Why = two, "it failed"
		},
	} {
		s, want := calm, spec.Desired{}
		change(&s, &want)
		stand := tableStandOf(s, want, began, now)
		if got := fmt.Sprintf("%s | %s", stand.waits, stand.reports); got != says {
			t.Errorf("%q, want %q", got, says)
		}
	}
}
