package schedule_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flumendata/flumen-agent/drift/schedule"
)

func mustParse(t *testing.T, text string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNextIsWhenTheTextSays(t *testing.T) {
	at := time.Date(2026, 3, 28, 12, 7, 0, 0, time.UTC)
	for text, expected := range map[string]string{
		"*/15 * * * *":                       "2026-03-28T12:15:00Z",
		"@daily":                             "2026-03-29T00:00:00Z",
		"@every 90m":                         "2026-03-28T13:37:00Z",
		"CRON_TZ=Europe/Berlin 30 3 * * *":   "2026-03-29T01:30:00Z", // on the day the clocks go forward
		"CRON_TZ=America/New_York 0 9 * * 1": "2026-03-30T13:00:00Z",
	} {
		next, ok := mustParse(t, text).Next(at)
		if got := next.UTC().Format(time.RFC3339); !ok || got != expected {
			t.Errorf("%s: %s, expected %s", text, got, expected)
		}
	}
}

func TestTextThatIsNoScheduleSaysHowToWriteOne(t *testing.T) {
	for _, text := range []string{"* * * *", "61 * * * *", "daily", "@every soon", "TZ=", "TZ=Mars/Base * * * * *", "0 0 31 2 *", "CRON_TZ="} {
		if _, err := schedule.Parse(text); err == nil || !strings.Contains(err.Error(), "*/15 * * * *") || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNothingIsNeverDue(t *testing.T) {
	s := mustParse(t, "")
	if _, ok := s.Next(time.Now()); ok || s.Due(time.Time{}, time.Now()) {
		t.Error("it is")
	}
}

// checks runs a schedule for a while and gives when it was done, as hours and minutes.
func checks(t *testing.T, text string, last time.Time, during time.Duration, do func()) string {
	t.Helper()
	s := mustParse(t, text)
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var done []string
	schedule.Run(ctx, func() schedule.Schedule { return s }, func() time.Time { return last }, func(_ context.Context, at time.Time) {
		done = append(done, at.UTC().Format("15:04"))
		do()
	})
	return strings.Join(done, " ")
}

func TestRunDoesItWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000-01-01
		if got := checks(t, "*/15 * * * *", time.Now(), time.Hour+time.Minute, func() {}); got != "00:15 00:30 00:45 01:00" {
			t.Error(got)
		}
	})
}

func TestWhatWasMissedIsDoneOnceAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := time.Now().Add(-5 * time.Hour)
		if got := checks(t, "0 * * * *", last, 2*time.Hour+time.Minute, func() {}); got != "00:00 01:00 02:00" {
			t.Error(got)
		}
	})
}

func TestChecksThatTakeLongDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := checks(t, "*/10 * * * *", time.Now(), time.Hour, func() { time.Sleep(25 * time.Minute) })
		if got != "00:10 00:35 01:00" && got != "00:10 00:35" {
			t.Error(got)
		}
	})
}

func TestSpreadIsTheSameScheduleALittleLater(t *testing.T) {
	at := time.Date(2026, 3, 1, 11, 59, 59, 0, time.UTC)
	for text, most := range map[string]time.Duration{"0 3 * * *": 10 * time.Minute, "0 * * * *": 6 * time.Minute, "*/5 * * * *": 30 * time.Second, "0,1 3 * * *": 6 * time.Second, "0 0 1 1 *": 10 * time.Minute} {
		s := mustParse(t, text)
		different := map[time.Duration]bool{}
		for _, name := range []string{"a", "b", "lake", "lake-2", "bronze", "silver", "gold"} {
			spread, plain := s.Spread(name), at
			later := time.Duration(-1)
			for begins := at; begins.Before(at.Add(30 * time.Hour)); {
				next, ok := spread.Next(begins)
				plain, _ = s.Next(plain)
				if by := next.Sub(plain); !ok || by < 0 || by >= most || later >= 0 && by != later || !next.After(begins) {
					t.Fatalf("%s of %s: %s instead of %s", text, name, next, plain)
				}
				later, begins = next.Sub(plain), next
				if spread.Due(next, next.Add(time.Second)) || !spread.Due(next.Add(-time.Second), next) {
					t.Errorf("%s of %s is not due at %s, and once", text, name, next)
				}
			}
			different[later] = true
			if again, _ := mustParse(t, text).Spread(name).Next(at); !again.Equal(first(spread, at)) {
				t.Errorf("%s of %s is another time each time", text, name)
			}
		}
		if len(different) < 3 {
			t.Errorf("%s: all are spread by %v", text, different)
		}
		if got := first(s.Spread(""), at); !got.Equal(first(s, at)) {
			t.Errorf("without a name %s is %s", text, got)
		}
	}
	if _, ok := mustParse(t, "").Spread("a").Next(at); ok {
		t.Error("nothing is due")
	}
}

func first(s schedule.Schedule, after time.Time) time.Time {
	next, _ := s.Next(after)
	return next
}

func TestClockThatWasSetBackMakesItDue(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if s := mustParse(t, "@daily"); !s.Due(now.Add(48*time.Hour), now) || s.Due(now.Add(-time.Hour), now) {
		t.Error("it is not")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/15 * * * *", "@daily", "@every 1h", "TZ=UTC 0 0 * * *", "1-5/2 * 1,15 * mon", "TZ=", "0 0 31 2 *"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		if next, ok := s.Next(now); ok && !next.After(now) {
			t.Errorf("%q: next is %s", text, next)
		}
	})
}
