package schedule_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flumendata/flumen-agent/drift/schedule"
)

func TestMeetsTellsWhetherAScheduleIsEverDueInAWindow(t *testing.T) {
	from := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC) // a Monday
	type w struct {
		begins, zone string
		lasts        time.Duration
		deny         bool
	}
	sundays := w{"0 2 * * 0", "Europe/Berlin", 2 * time.Hour, false}
	for _, c := range []struct {
		name    string
		text    string
		windows []w
		want    bool
	}{
		{"as it opens", "CRON_TZ=Europe/Berlin 0 2 * * 0", []w{sundays}, true},
		{"on other days", "CRON_TZ=Europe/Berlin 0 2 * * 1-6", []w{sundays}, false},
		{"each night", "CRON_TZ=Europe/Berlin 30 3 * * *", []w{sundays}, true},
		{"the last minute", "CRON_TZ=Europe/Berlin 59 3 * * *", []w{sundays}, true},
		{"as it closes", "CRON_TZ=Europe/Berlin 0 4 * * *", []w{sundays}, false},
		{"in another zone, in summer alone", "CRON_TZ=UTC 30 0 * * *", []w{sundays}, true},
		{"in another zone, in winter alone", "CRON_TZ=UTC 30 2 * * *", []w{sundays}, true},
		{"in another zone, never", "CRON_TZ=UTC 0 3 * * *", []w{sundays}, false},
		{"the day before in its own zone", "CRON_TZ=America/Los_Angeles 30 17 * * 6", []w{sundays}, true},
		{"the same day in its own zone", "CRON_TZ=America/Los_Angeles 30 17 * * 0", []w{sundays}, false},
		{"after midnight of a window of the day before", "30 1 * * 2", []w{{"0 22 * * 1", "", 6 * time.Hour, false}}, true},
		{"before midnight of that", "0 23 * * 2", []w{{"0 22 * * 1", "", 6 * time.Hour, false}}, false},
		{"where it is denied", "0 2 * * *", []w{{"0 2 * * *", "", time.Hour, false}, {"0 1 * * *", "", 2 * time.Hour, true}}, false},
		{"where it is denied at times", "0 2 * * *", []w{{"0 2 * * *", "", time.Hour, false}, {"0 1 24 12 *", "", 72 * time.Hour, true}}, true},
		{"in the second window", "0 14 * * *", []w{sundays, {"0 13 1 * *", "", 2 * time.Hour, false}}, true},
		{"in the sooner of two alone", "CRON_TZ=Europe/Berlin 0 1 * * *", []w{{"0 0 * * 6", "UTC", time.Minute, false}, {"0 2 * * 0", "UTC", time.Minute, false}}, true},
		{"once a year, which is no Sunday before 2034", "0 1 1 1 *", []w{{"0 0 * * 0", "", 24 * time.Hour, false}}, false},
		{"once a year, which is a Saturday in 2028", "0 1 1 1 *", []w{{"0 0 * * 6", "", 24 * time.Hour, false}}, true},
		{"on the day that comes every four years", "0 0 * * *", []w{{"0 0 29 2 *", "", time.Hour, false}}, true},
		{"on other days than that", "0 0 1-28 * *", []w{{"0 0 29 2 *", "", time.Hour, false}}, false},
		{"each minute but those", "1-59/2 * * * *", []w{{"*/2 * * * *", "", time.Minute, false}}, false},
		{"a window that is always on", "7 7 7 7 *", []w{{"* * * * *", "", time.Hour, false}}, true},
		{"one that always denies", "0 3 * * *", []w{{"0 3 * * *", "", time.Hour, false}, {"* * * * *", "", time.Hour, true}}, false},
		{"intervals", "@every 24h", []w{sundays}, true},
		{"never", "", []w{sundays}, false},
	} {
		var all schedule.Windows
		for _, one := range c.windows {
			all = append(all, window(t, one.begins, one.zone, one.lasts, one.deny))
		}
		if got := mustParse(t, c.text).Meets(all, from); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestMeetsCountsFromWhenTheProjectsLooksBegin(t *testing.T) {
	from := time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)
	s := mustParse(t, "0 3 * * *")
	short := func(begins string) schedule.Windows {
		return schedule.Windows{window(t, begins, "", time.Minute, false)}
	}
	met := 0
	for _, name := range []string{"a", "lake", "lake-2", "bronze", "gold"} {
		spread := s.Spread(name)
		if spread.Meets(short("0 3 * * *"), from) != (spread.Later() < time.Minute) {
			t.Errorf("%s is due %s later", name, spread.Later())
		}
		for minute := range 10 {
			if spread.Meets(short(time.Date(0, 1, 1, 3, minute, 0, 0, time.UTC).Format("4 15 * * *")), from) {
				met++
			}
		}
	}
	if met != 5 {
		t.Errorf("%d meet one of the ten minutes", met)
	}
}

// TestMeetsIsWhatComesOfWaiting holds it against a clock that goes through some weeks.
func TestMeetsIsWhatComesOfWaiting(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"}
	rapid.Check(t, func(rt *rapid.T) {
		of := func(what string, values ...string) string { return rapid.SampledFrom(values).Draw(rt, what) }
		text := "CRON_TZ=" + of("zone", zones...) + " " + of("minute", "0", "30", "*/20") + " " + of("hour", "1", "2", "3-4", "23") + " * * " + of("day", "*", "0", "1-5")
		s := mustParse(t, text)
		var ws schedule.Windows
		for range rapid.IntRange(1, 3).Draw(rt, "windows") {
			begins := of("begins", "0 2 * * 0", "30 22 * * *", "0 0 * * 6", "15 3 * * 1")
			lasts := time.Duration(rapid.IntRange(1, 600).Draw(rt, "minutes")) * time.Minute
			ws = append(ws, window(t, begins, of("its zone", zones...), lasts, rapid.IntRange(0, 3).Draw(rt, "deny") == 0))
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 364).Draw(rt, "from"))
		seen := false
		for at := from; !seen && at.Before(from.AddDate(1, 0, 7)); { // all of the year, with both changes of the clocks
			next, ok := s.Next(at)
			if !ok {
				break
			}
			seen, at = !ws.At(next).Closed, next
		}
		if got := s.Meets(ws, from); got != seen {
			rt.Fatalf("%s: %t, and it was %t", text, got, seen)
		}
	})
}
